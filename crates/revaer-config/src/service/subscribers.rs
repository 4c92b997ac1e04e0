//! Who works by the settings, and up to which revision they have said so.
//!
//! A revision is in force once every subscriber has said that it works by it; the time from its commit to the last
//! word is `config_apply_latency_ms`.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use revaer_telemetry::{Component, Guard, Telemetry};
use tokio::sync::watch;

use super::ConfigService;
use crate::snapshot::{ConfigSnapshot, Revision};

/// What takes longer is slow (contract §6).
const SLOW: Duration = Duration::from_secs(2);
/// Revisions that are waited for; of older ones the latency is not told.
const MOST_OPEN: usize = 1024;
const LATENCY: &str = "latency";
const APPLY: &str = "apply";

#[derive(Debug, Default)]
struct Progress {
    applied: i64,
    failure: Option<String>,
}

#[derive(Debug)]
struct Open {
    revision: i64,
    committed_at: Instant,
    /// It has been counted as slow.
    counted: bool,
}

#[derive(Debug, Default)]
struct State {
    subscribers: BTreeMap<&'static str, Progress>,
    open: VecDeque<Open>,
}

impl State {
    /// The revision that everybody works by.
    fn reached(&self) -> Option<i64> {
        self.subscribers.values().map(|progress| progress.applied).min()
    }

    fn laggards(&self, revision: i64) -> Vec<&'static str> {
        let behind = self.subscribers.iter().filter(|(_, progress)| progress.applied < revision);
        behind.map(|(name, _)| *name).collect()
    }
}

/// The subscribers of one service.
#[derive(Debug)]
pub(super) struct Subscribers {
    state: Mutex<State>,
    telemetry: Telemetry,
}

impl Subscribers {
    pub(super) fn new(telemetry: Telemetry) -> Self {
        Self { state: Mutex::default(), telemetry }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A revision is in memory.
    pub(super) fn begin(&self, revision: Revision, committed_at: Instant) {
        self.telemetry.metrics.config_watched(milliseconds(committed_at.elapsed()));
        let mut state = self.lock();
        if state.open.len() == MOST_OPEN {
            state.open.pop_front();
        }
        state.open.push_back(Open { revision: revision.get(), committed_at, counted: false });
        self.settle(&mut state);
    }

    fn applied(&self, name: &'static str, revision: Revision) {
        let mut state = self.lock();
        let progress = state.subscribers.entry(name).or_default();
        progress.applied = progress.applied.max(revision.get());
        progress.failure = None;
        self.report_failures(&state);
        self.settle(&mut state);
    }

    fn failed(&self, name: &'static str, revision: Revision, reason: &str) {
        let mut state = self.lock();
        let reason = format!("{name} could not put revision {revision} in force: {reason}");
        self.telemetry.metrics.config_update_failed();
        state.subscribers.entry(name).or_default().failure = Some(reason);
        self.report_failures(&state);
    }

    fn left(&self, name: &'static str) {
        let mut state = self.lock();
        state.subscribers.remove(name);
        self.report_failures(&state);
        // What only it had not put in force is in force now.
        self.settle(&mut state);
    }

    fn report_failures(&self, state: &State) {
        let reasons: Vec<&str> =
            state.subscribers.values().filter_map(|progress| progress.failure.as_deref()).collect();
        if reasons.is_empty() {
            self.telemetry.health.clear_by(Component::ConfigWatcher, APPLY);
        } else {
            self.telemetry.health.degrade_by(Component::ConfigWatcher, APPLY, reasons.join("; "));
        }
    }

    /// Closes what everybody works by.
    fn settle(&self, state: &mut State) {
        let reached = state.reached().unwrap_or(i64::MAX);
        while let Some(open) = state.open.pop_front_if(|open| open.revision <= reached) {
            let latency = open.committed_at.elapsed();
            self.telemetry.metrics.config_applied(milliseconds(latency));
            if latency <= SLOW {
                self.telemetry.health.clear_by(Component::ConfigWatcher, LATENCY);
            } else if !open.counted {
                let after = latency.as_millis();
                self.slow(&format!("revision {} was in force {after} ms after its commit", open.revision));
            }
        }
    }

    fn slow(&self, reason: &str) {
        self.telemetry.metrics.config_watch_slow();
        self.telemetry.guardrails.violated(Guard::ConfigLatency, reason);
        self.telemetry.health.degrade_by(Component::ConfigWatcher, LATENCY, reason);
    }

    /// Says so where a revision has been waited for too long, naming who has not put it in force.
    pub(super) fn look_for_laggards(&self) {
        let mut state = self.lock();
        let late: Vec<i64> = state
            .open
            .iter_mut()
            .filter(|open| !open.counted && open.committed_at.elapsed() > SLOW)
            .map(|open| {
                open.counted = true;
                open.revision
            })
            .collect();
        for revision in late {
            let behind = state.laggards(revision).join(", ");
            self.slow(&format!(
                "revision {revision} is not in force 2 s after its commit: {behind} has not taken it over"
            ));
        }
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// One part of the server that works by the settings. It is waited for until it is dropped.
#[derive(Debug)]
pub struct Subscriber {
    name: &'static str,
    snapshots: watch::Receiver<Arc<ConfigSnapshot>>,
    subscribers: Arc<Subscribers>,
}

impl Subscriber {
    /// The next snapshot; the first call answers at once with the present one. Cancel-safe; `None` once there is no
    /// service any more.
    pub async fn changed(&mut self) -> Option<Arc<ConfigSnapshot>> {
        self.snapshots.changed().await.ok()?;
        Some(Arc::clone(&self.snapshots.borrow_and_update()))
    }

    /// The snapshot of a revision, and of all before it, is what this part works by.
    pub fn applied(&self, revision: Revision) {
        self.subscribers.applied(self.name, revision);
    }

    /// It could not be put in force; what was in force still is.
    pub fn failed(&self, revision: Revision, reason: &str) {
        self.subscribers.failed(self.name, revision, reason);
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.subscribers.left(self.name);
    }
}

impl ConfigService {
    /// Follows the settings under a name of its own; each revision has to be reported.
    pub fn subscribe(&self, name: &'static str) -> Subscriber {
        let mut snapshots = self.watch();
        snapshots.mark_changed();
        let subscribers = Arc::clone(&self.shared.subscribers);
        subscribers.lock().subscribers.insert(name, Progress::default());
        Subscriber { name, snapshots, subscribers }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(subscribers: &Subscribers) -> (bool, u64, Vec<&'static str>) {
        let telemetry = &subscribers.telemetry;
        let figures = telemetry.metrics.config_figures();
        (figures.apply_latency_ms > 0.0, figures.slow, telemetry.health.degraded())
    }

    #[test]
    fn a_revision_is_in_force_by_the_last_word() {
        let subscribers = Subscribers::new(Telemetry::new());
        subscribers.applied("a", Revision(1));
        subscribers.applied("b", Revision(1));
        subscribers.begin(Revision(2), Instant::now());
        subscribers.begin(Revision(3), Instant::now());
        subscribers.applied("a", Revision(3));
        assert_eq!(figures(&subscribers), (false, 0, vec![]));
        subscribers.applied("b", Revision(3));
        assert_eq!(figures(&subscribers), (true, 0, vec![]));
        assert!(subscribers.lock().open.is_empty());
    }

    #[test]
    fn a_slow_revision_degrades_until_a_fast_one() {
        let subscribers = Subscribers::new(Telemetry::new());
        let long_ago = Instant::now().checked_sub(Duration::from_secs(3)).unwrap();
        subscribers.applied("engine", Revision(1));
        subscribers.begin(Revision(2), long_ago);
        subscribers.look_for_laggards();
        subscribers.look_for_laggards();
        assert_eq!(figures(&subscribers), (false, 1, vec!["config_watcher"]));
        let reason = subscribers.telemetry.health.snapshot()[1].1.reason.clone().unwrap();
        assert!(reason.contains("engine has not taken it over"), "{reason}");
        subscribers.applied("engine", Revision(2));
        assert_eq!(figures(&subscribers).2, ["config_watcher"]);
        subscribers.begin(Revision(3), Instant::now());
        subscribers.applied("engine", Revision(3));
        assert_eq!(figures(&subscribers), (true, 1, vec![]));
    }

    #[test]
    fn a_failure_is_told_until_it_is_mended() {
        let subscribers = Subscribers::new(Telemetry::new());
        subscribers.failed("engine", Revision(2), "no");
        assert_eq!(figures(&subscribers).2, ["config_watcher"]);
        assert_eq!(subscribers.telemetry.metrics.config_figures().update_failures, 1);
        subscribers.applied("engine", Revision(2));
        assert!(figures(&subscribers).2.is_empty());
    }
}
