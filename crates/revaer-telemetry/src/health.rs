//! The one health registry: component → ok, or degraded with a reason and since when.
//!
//! `/health/full`, the `health_changed` event and the gauges all read it; nothing else says "degraded".

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use tokio::sync::watch;

/// A part of the server whose health is reported; the names are part of the HTTP contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names are the contract's and say what they are")]
pub enum Component {
    Database,
    ConfigWatcher,
    Engine,
    ResumeStore,
    Fsops,
    EventLog,
    Disk,
    ApiKeys,
    ApiRateLimitGuard,
    EngineRateGuard,
    LoopbackGuard,
}

impl Component {
    /// Every component, in the order of the contract.
    pub const ALL: [Self; 11] = [
        Self::Database,
        Self::ConfigWatcher,
        Self::Engine,
        Self::ResumeStore,
        Self::Fsops,
        Self::EventLog,
        Self::Disk,
        Self::ApiKeys,
        Self::ApiRateLimitGuard,
        Self::EngineRateGuard,
        Self::LoopbackGuard,
    ];

    /// The name on the wire and in metrics labels.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::ConfigWatcher => "config_watcher",
            Self::Engine => "engine",
            Self::ResumeStore => "resume_store",
            Self::Fsops => "fsops",
            Self::EventLog => "event_log",
            Self::Disk => "disk",
            Self::ApiKeys => "api_keys",
            Self::ApiRateLimitGuard => "api_rate_limit_guard",
            Self::EngineRateGuard => "engine_rate_guard",
            Self::LoopbackGuard => "loopback_guard",
        }
    }
}

/// How a component is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Why it is degraded and what to do; `None` while it is ok.
    pub reason: Option<String>,
    /// When it entered this state.
    pub since: SystemTime,
}

#[derive(Debug)]
struct Registry {
    statuses: Mutex<BTreeMap<Component, Status>>,
    degraded: watch::Sender<Vec<&'static str>>,
}

/// A handle on the registry. Clones share it.
#[derive(Debug, Clone)]
pub struct Health {
    registry: Arc<Registry>,
}

impl Default for Health {
    fn default() -> Self {
        Self::new()
    }
}

impl Health {
    /// A registry in which every component is ok.
    pub fn new() -> Self {
        let now = wall_clock();
        let statuses =
            Component::ALL.into_iter().map(|one| (one, Status { reason: None, since: now })).collect();
        Self {
            registry: Arc::new(Registry {
                statuses: Mutex::new(statuses),
                degraded: watch::Sender::new(Vec::new()),
            }),
        }
    }

    /// Says that `component` is degraded. A new reason for a component that was degraded keeps `since`.
    pub fn degrade(&self, component: Component, reason: impl Into<String>) {
        self.set(component, Some(reason.into()));
    }

    /// Says that `component` is ok again.
    pub fn clear(&self, component: Component) {
        self.set(component, None);
    }

    /// Every component with its status.
    pub fn snapshot(&self) -> Vec<(Component, Status)> {
        self.lock().iter().map(|(component, status)| (*component, status.clone())).collect()
    }

    /// The names of the degraded components, in the order of the contract.
    pub fn degraded(&self) -> Vec<&'static str> {
        names_of_degraded(&self.lock())
    }

    /// Wakes whenever the set of degraded components changes.
    pub fn subscribe(&self) -> watch::Receiver<Vec<&'static str>> {
        self.registry.degraded.subscribe()
    }

    fn set(&self, component: Component, reason: Option<String>) {
        let mut statuses = self.lock();
        let status =
            statuses.entry(component).or_insert_with(|| Status { reason: None, since: wall_clock() });
        if status.reason == reason {
            return;
        }
        if status.reason.is_some() != reason.is_some() {
            status.since = wall_clock();
            match &reason {
                Some(reason) => tracing::warn!(component = component.name(), reason, "degraded"),
                None => tracing::info!(component = component.name(), "ok again"),
            }
        }
        status.reason = reason;
        let names = names_of_degraded(&statuses);
        // Sent under the lock, so that two changes cannot be published in the wrong order.
        self.registry.degraded.send_if_modified(|published| {
            let changed = *published != names;
            *published = names;
            changed
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Component, Status>> {
        self.registry.statuses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn names_of_degraded(statuses: &BTreeMap<Component, Status>) -> Vec<&'static str> {
    statuses.iter().filter(|(_, status)| status.reason.is_some()).map(|(one, _)| one.name()).collect()
}

fn wall_clock() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_the_set_wakes_subscribers_and_a_new_reason_does_not() {
        let health = Health::new();
        let mut seen = health.subscribe();
        health.degrade(Component::Disk, "gone");
        assert!(seen.has_changed().unwrap());
        assert_eq!(*seen.borrow_and_update(), ["disk"]);
        health.degrade(Component::Disk, "still gone");
        assert!(!seen.has_changed().unwrap());
        health.clear(Component::Disk);
        assert!(seen.borrow_and_update().is_empty());
    }
}
