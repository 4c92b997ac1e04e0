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

/// The cause that a component's owner speaks of.
const OWN: &str = "";

/// What is known of one component.
#[derive(Debug)]
struct Entry {
    /// Each cause with its reason: several watchers may look at one component, and none of them clears another's word.
    causes: BTreeMap<&'static str, String>,
    since: SystemTime,
    /// How often it became degraded.
    times: u64,
}

impl Entry {
    const fn ok(since: SystemTime) -> Self {
        Self { causes: BTreeMap::new(), since, times: 0 }
    }

    fn reason(&self) -> Option<String> {
        let reasons: Vec<&str> = self.causes.values().map(String::as_str).collect();
        (!reasons.is_empty()).then(|| reasons.join("; "))
    }
}

#[derive(Debug)]
struct Registry {
    statuses: Mutex<BTreeMap<Component, Entry>>,
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
        let statuses = Component::ALL.into_iter().map(|one| (one, Entry::ok(now))).collect();
        Self {
            registry: Arc::new(Registry {
                statuses: Mutex::new(statuses),
                degraded: watch::Sender::new(Vec::new()),
            }),
        }
    }

    /// Says that `component` is degraded. A new reason for a component that was degraded keeps `since`.
    pub fn degrade(&self, component: Component, reason: impl Into<String>) {
        self.set(component, OWN, Some(reason.into()));
    }

    /// Says that `component` is ok again, as far as its owner knows.
    pub fn clear(&self, component: Component) {
        self.set(component, OWN, None);
    }

    /// [`Self::degrade`] by somebody beside the component's owner; stands until [`Self::clear_by`] of the same cause.
    pub fn degrade_by(&self, component: Component, cause: &'static str, reason: impl Into<String>) {
        self.set(component, cause, Some(reason.into()));
    }

    /// Takes back what was said of `component` for `cause`.
    pub fn clear_by(&self, component: Component, cause: &'static str) {
        self.set(component, cause, None);
    }

    /// How often `component` became degraded since the process began.
    pub fn times_degraded(&self, component: Component) -> u64 {
        self.lock().get(&component).map_or(0, |entry| entry.times)
    }

    /// Every component with its status.
    pub fn snapshot(&self) -> Vec<(Component, Status)> {
        let status = |entry: &Entry| Status { reason: entry.reason(), since: entry.since };
        self.lock().iter().map(|(component, entry)| (*component, status(entry))).collect()
    }

    /// The names of the degraded components, in the order of the contract.
    pub fn degraded(&self) -> Vec<&'static str> {
        names_of_degraded(&self.lock())
    }

    /// Wakes whenever the set of degraded components changes.
    pub fn subscribe(&self) -> watch::Receiver<Vec<&'static str>> {
        self.registry.degraded.subscribe()
    }

    fn set(&self, component: Component, cause: &'static str, reason: Option<String>) {
        let mut statuses = self.lock();
        let entry = statuses.entry(component).or_insert_with(|| Entry::ok(wall_clock()));
        if entry.causes.get(cause) == reason.as_ref() {
            return;
        }
        let was_degraded = !entry.causes.is_empty();
        match reason {
            Some(reason) => {
                if !was_degraded {
                    tracing::warn!(component = component.name(), reason, "degraded");
                    entry.times += 1;
                }
                entry.causes.insert(cause, reason);
            }
            None => {
                entry.causes.remove(cause);
                if entry.causes.is_empty() {
                    tracing::info!(component = component.name(), "ok again");
                }
            }
        }
        if was_degraded == entry.causes.is_empty() {
            entry.since = wall_clock();
        }
        let names = names_of_degraded(&statuses);
        // Sent under the lock, so that two changes cannot be published in the wrong order.
        self.registry.degraded.send_if_modified(|published| {
            let changed = *published != names;
            *published = names;
            changed
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Component, Entry>> {
        self.registry.statuses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn names_of_degraded(statuses: &BTreeMap<Component, Entry>) -> Vec<&'static str> {
    statuses.iter().filter(|(_, entry)| !entry.causes.is_empty()).map(|(one, _)| one.name()).collect()
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
    #[test]
    fn one_cause_does_not_clear_another() {
        let health = Health::new();
        health.degrade(Component::ConfigWatcher, "a row breaks a rule");
        health.degrade_by(Component::ConfigWatcher, "latency", "slow");
        health.clear(Component::ConfigWatcher);
        assert_eq!(health.degraded(), ["config_watcher"]);
        let reason = |health: &Health| health.snapshot()[1].1.reason.clone();
        assert_eq!(reason(&health).as_deref(), Some("slow"));
        health.clear_by(Component::ConfigWatcher, "latency");
        assert_eq!((health.degraded().len(), health.times_degraded(Component::ConfigWatcher)), (0, 1));
    }
}
