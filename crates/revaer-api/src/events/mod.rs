//! Server-sent events: a position in the log, put on the wire frame by frame.

pub(crate) mod asked;
pub(crate) mod frame;
pub(crate) mod gate;
pub(crate) mod stream;
pub(crate) mod wire;
