//! What every other crate tells the operator through: tasks with a name and a failure policy, one health
//! registry, one metrics registry, the logger, and traces.
//!
//! Nothing here is global: the composition root makes one of each and hands clones down.

mod guardrails;
mod health;
pub mod logging;
mod metrics;
mod tasks;
pub mod traces;

pub use guardrails::{Guard, GuardEntry, Guardrails};
pub use health::{Component, Health, Status};
pub use metrics::{ConfigFigures, Metrics, TorrentCounts};
pub use tasks::{Backoff, OnFailure, TaskPanicked, Tasks};

/// What the parts of the server report to, together.
#[derive(Debug, Clone)]
pub struct Telemetry {
    /// Which components are well.
    pub health: Health,
    /// Figures.
    pub metrics: Metrics,
    /// What deserves a second look.
    pub guardrails: Guardrails,
}

impl Telemetry {
    /// Everything well, nothing counted.
    pub fn new() -> Self {
        let metrics = Metrics::new();
        Self { health: Health::new(), guardrails: Guardrails::new(metrics.clone()), metrics }
    }
}

impl Default for Telemetry {
    fn default() -> Self {
        Self::new()
    }
}
