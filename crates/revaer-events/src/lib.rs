//! The event log: what happened, in one order, over restarts.
//!
//! The ledger (in `revaer-app`) is the one writer: it numbers events with [`Numbers`], stores the lifecycle ones
//! through [`sql`] in its transaction, and publishes after the commit with [`EventLog::publish`]. Readers hold a
//! [`Subscription`], which is a position and not a queue, so a thousand idle readers cost nothing.

mod event;
mod filter;
mod log;
mod numbers;
mod ring;
pub mod sql;
mod subscription;

pub use event::{Envelope, Event, EventFile, MetadataChange};
pub use filter::EventFilter;
pub use log::EventLog;
pub use numbers::Numbers;
pub use subscription::{Item, Subscription, SubscriptionError};
