//! The server as a library: what `main.rs` composes, and what the tests of this crate drive directly.

pub mod child;
pub mod commands;
mod database;
pub mod datadir;
mod environment;
mod facts;
mod feeders;
mod fence;
pub mod healthcheck;
pub mod identity;
pub mod instance;
pub mod ledger;
mod listener;
pub mod options;
pub mod orchestrator;
pub mod postgres;
mod records;
pub mod roots;
mod serve;
mod settings;
pub mod shutdown;
mod signals;
pub mod volume;
mod watchdog;

pub use feeders::Logging;
pub use serve::serve;
