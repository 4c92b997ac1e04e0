//! Every statement of this crate, one file per table family.

pub(crate) mod history;
pub(crate) mod keys;
pub(crate) mod presets;
pub(crate) mod secrets;
pub(crate) mod settings;
pub(crate) mod tokens;
