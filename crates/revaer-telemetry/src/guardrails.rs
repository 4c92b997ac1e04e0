//! Guard rails: settings and calls that deserve a second look. Each one is counted and logged; some leave an entry
//! that stands in `/health/full` until what it speaks of is changed.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use crate::Metrics;

/// What is guarded; the names are part of the HTTP contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Guard {
    /// An API key without a rate limit.
    UnlimitedKey,
    /// A cap on the whole engine that is off, 0, or beyond 5 Gbit/s.
    EngineRate,
    /// A setup call that does not come from this host, or an address that setup mode does not listen on.
    Loopback,
    /// A key that was over its rate.
    ApiRateLimit,
    /// Something waits in too long a queue.
    QueueDepth,
    /// A job of the pipeline failed.
    Fsops,
    /// Resume data was not what the record says.
    ResumeMismatch,
    /// Settings took too long to be in force.
    ConfigLatency,
}

impl Guard {
    /// Every guard.
    pub const ALL: [Self; 8] = [
        Self::UnlimitedKey,
        Self::EngineRate,
        Self::Loopback,
        Self::ApiRateLimit,
        Self::QueueDepth,
        Self::Fsops,
        Self::ResumeMismatch,
        Self::ConfigLatency,
    ];

    /// The name on the wire and in metrics labels.
    pub const fn name(self) -> &'static str {
        match self {
            Self::UnlimitedKey => "unlimited_key",
            Self::EngineRate => "engine_rate",
            Self::Loopback => "loopback",
            Self::ApiRateLimit => "api_rate_limit",
            Self::QueueDepth => "queue_depth",
            Self::Fsops => "fsops",
            Self::ResumeMismatch => "resume_mismatch",
            Self::ConfigLatency => "config_latency",
        }
    }
}

/// A guard rail that is being leaned on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuardEntry {
    /// Which one.
    pub guard: Guard,
    /// What it saw, and what to do about it.
    pub reason: String,
    /// Since when.
    pub since: SystemTime,
}

/// A handle on the guard rails. Clones share them.
#[derive(Debug, Clone)]
pub struct Guardrails {
    metrics: Metrics,
    /// By guard and by what it speaks of: a key's id, a setting's name.
    entries: Arc<Mutex<BTreeMap<(Guard, String), GuardEntry>>>,
}

impl Guardrails {
    /// No entry, and nothing counted.
    pub fn new(metrics: Metrics) -> Self {
        for guard in Guard::ALL {
            metrics.guardrail_known(guard.name());
        }
        Self { metrics, entries: Arc::default() }
    }

    /// Counts and logs something that leaves no entry.
    pub fn violated(&self, guard: Guard, reason: &str) {
        self.metrics.guardrail_violated(guard.name());
        tracing::warn!(
            event = "guardrail.violated",
            guard = guard.name(),
            reason,
            "a guard rail was touched"
        );
    }

    /// Counts and logs something, and keeps an entry of it.
    pub fn raise(&self, guard: Guard, subject: &str, reason: &str) {
        self.keep(guard, subject, reason);
        self.violated(guard, reason);
    }

    /// Keeps an entry of something that was counted by an earlier process.
    pub fn keep(&self, guard: Guard, subject: &str, reason: &str) {
        let entry = GuardEntry { guard, reason: reason.to_owned(), since: SystemTime::now() };
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let known = entries.entry((guard, subject.to_owned())).or_insert_with(|| entry.clone());
        known.reason = entry.reason;
    }

    /// Takes an entry away: what it spoke of was changed.
    pub fn lower(&self, guard: Guard, subject: &str) {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).remove(&(guard, subject.to_owned()));
    }

    /// What is being leaned on, in a fixed order.
    pub fn entries(&self) -> Vec<GuardEntry> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_stands_until_it_is_lowered_and_the_count_stays() {
        let metrics = Metrics::new();
        let guardrails = Guardrails::new(metrics.clone());
        assert_eq!(metrics.guardrail_violations(), 0);
        guardrails.raise(Guard::UnlimitedKey, "a", "no limit");
        guardrails.raise(Guard::UnlimitedKey, "b", "no limit");
        guardrails.violated(Guard::Loopback, "from elsewhere");
        assert_eq!(guardrails.entries().len(), 2);
        guardrails.lower(Guard::UnlimitedKey, "a");
        guardrails.lower(Guard::UnlimitedKey, "never there");
        assert_eq!(guardrails.entries().len(), 1);
        assert_eq!(metrics.guardrail_violations(), 3);
    }

    #[test]
    fn an_entry_keeps_its_time_when_its_reason_changes() {
        let guardrails = Guardrails::new(Metrics::new());
        guardrails.keep(Guard::EngineRate, "download", "off");
        let since = guardrails.entries()[0].since;
        guardrails.keep(Guard::EngineRate, "download", "0");
        let [entry] = guardrails.entries().try_into().unwrap();
        assert_eq!((entry.since, entry.reason.as_str()), (since, "0"));
    }
}
