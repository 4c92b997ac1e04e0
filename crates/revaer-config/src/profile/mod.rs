//! The three settings documents as types; their serde form is their wire form.

mod app;
mod engine;
mod fs;

pub use app::{AppProfile, Features, LogFormat, LogLevel, Mode, Telemetry};
pub use engine::{Encryption, EngineProfile, Implementation, Tracker};
pub use fs::{FsPolicy, MoveMode, Par2};
