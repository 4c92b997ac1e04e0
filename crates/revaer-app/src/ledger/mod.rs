//! The ledger: the one task that writes rows about torrents, jobs and lifecycle events, and the read model built
//! from them.
//!
//! It takes what waits, decides each item against the model, runs one transaction, and only after the commit
//! changes the model, publishes the events in the order of their numbers, answers whoever asked, and pokes those
//! who act on changes. So nothing is acknowledged before it is durable, no event is seen before it is stored, and
//! what was accepted is visible to the next read.

mod batch;
mod execute;
mod facts;
mod intents;
mod item;
mod levels;
mod stage;
#[cfg(test)]
mod tests;

pub use batch::{Ledger, LedgerHandles, LedgerParts, last_batch};
pub use item::{Board, Fact, FactReply, Facts, JobProgress, Level, NotStored, Pokes};
