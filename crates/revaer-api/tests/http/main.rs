//! The surface over a real socket, a real database and real settings. The engine and the ledger are scripted: what
//! they decide is tested where they live.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod auth;
mod create;
mod events;
mod health;
mod history;
mod hosts;
mod keys;
mod listing;
mod multipart;
mod openapi;
mod presets;
mod problems;
mod settings;
mod setup;
mod support;
mod torrents;
mod transport;
