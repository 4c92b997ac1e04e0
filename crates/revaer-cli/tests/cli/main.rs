//! The built binary against a scripted server.
#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod calls;
mod setup;
mod streams;
mod support;
