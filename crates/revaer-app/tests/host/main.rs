//! The commands of the host, with the real program on real databases: embedded and external, running and stopped.

#![expect(clippy::unwrap_used, reason = "a test, on directories of its own")]

#[path = "../common/mod.rs"]
mod common;

mod backup;
mod identity;
mod keys;
mod migrate;
mod place;
mod restore;
