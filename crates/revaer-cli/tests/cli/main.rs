//! The built binary against a scripted server.
#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod calls;
mod config;
mod keys;
mod manual;
mod presets;
mod rotation;
mod setup;
mod streams;
mod support;
