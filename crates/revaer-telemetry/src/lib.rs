//! What every other crate tells the operator through: tasks with a name and a failure policy, one health
//! registry, one metrics registry, and the logger.
//!
//! Nothing here is global: the composition root makes one of each and hands clones down.

mod health;
pub mod logging;
mod metrics;
mod tasks;

pub use health::{Component, Health, Status};
pub use metrics::{Metrics, TorrentCounts};
pub use tasks::{Backoff, OnFailure, TaskPanicked, Tasks};
