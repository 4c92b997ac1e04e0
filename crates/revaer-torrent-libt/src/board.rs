//! The observations as levels: per torrent the latest, and the set of those that changed. Bounded by the number
//! of torrents, however slow whoever takes them is.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use revaer_torrent_core::{
    TorrentId,
    engine::{EngineStatus, Observation},
};
use tokio::sync::Notify;

#[derive(Debug, Default)]
struct Levels {
    observations: HashMap<TorrentId, Arc<Observation>>,
    changed: HashSet<TorrentId>,
    status: EngineStatus,
}

/// What the engine shows. The owner writes, everybody reads; the lock is held for a copy at most.
#[derive(Debug, Default)]
pub(crate) struct Board {
    levels: Mutex<Levels>,
    changed: Notify,
}

impl Board {
    /// Shows `observation` as the latest of its torrent. One that says nothing new wakes nobody.
    pub(crate) fn publish(&self, observation: Observation) {
        let mut levels = self.lock();
        let id = observation.id;
        if levels.observations.get(&id).is_some_and(|shown| **shown == observation) {
            return;
        }
        levels.observations.insert(id, Arc::new(observation));
        levels.changed.insert(id);
        drop(levels);
        self.changed.notify_waiters();
    }

    /// Forgets a torrent that is gone for good.
    pub(crate) fn forget(&self, id: TorrentId) {
        let mut levels = self.lock();
        levels.observations.remove(&id);
        levels.changed.remove(&id);
    }

    /// The latest observation of one torrent.
    pub(crate) fn observe(&self, id: TorrentId) -> Option<Arc<Observation>> {
        self.lock().observations.get(&id).cloned()
    }

    /// Those that changed since the last time.
    pub(crate) fn take_changed(&self) -> Vec<Arc<Observation>> {
        let mut levels = self.lock();
        let changed = std::mem::take(&mut levels.changed);
        changed.iter().filter_map(|id| levels.observations.get(id).cloned()).collect()
    }

    /// Waits until there is something to take.
    pub(crate) async fn changed(&self) {
        loop {
            let notified = self.changed.notified();
            tokio::pin!(notified);
            // Before the look, so that a change between the look and the wait is not missed.
            notified.as_mut().enable();
            if !self.lock().changed.is_empty() {
                return;
            }
            notified.await;
        }
    }

    /// The session as a whole.
    pub(crate) fn status(&self) -> EngineStatus {
        self.lock().status.clone()
    }

    /// Changes what is shown of the session.
    pub(crate) fn set_status(&self, change: impl FnOnce(&mut EngineStatus)) {
        change(&mut self.lock().status);
    }

    fn lock(&self) -> MutexGuard<'_, Levels> {
        self.levels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
