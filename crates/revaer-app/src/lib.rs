//! The server as a library: what `main.rs` composes, and what the tests of this crate drive directly.

pub mod child;
pub mod datadir;
pub mod healthcheck;
pub mod instance;
pub mod options;
pub mod postgres;
pub mod volume;
