//! `Troubles`: why the store is degraded, gathered from both of its threads.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use revaer_telemetry::{Component, Health};
use revaer_torrent_core::TorrentId;

/// The reasons; the store is ok again when nothing is left.
#[derive(Debug)]
pub(super) struct Troubles {
    health: Health,
    reasons: Mutex<Reasons>,
}

#[derive(Debug, Default)]
struct Reasons {
    died: Option<String>,
    open: Option<String>,
    save: Option<String>,
    files: BTreeMap<TorrentId, String>,
}

impl Troubles {
    pub(super) fn new(health: Health) -> Self {
        Self { health, reasons: Mutex::default() }
    }

    /// A thread is gone, until the server is started again.
    pub(super) fn died(&self, reason: String) {
        self.change(|reasons| reasons.died = Some(reason));
    }

    /// The directory cannot be used.
    pub(super) fn set_open(&self, reason: Option<String>) {
        self.change(|reasons| reasons.open = reason);
    }

    /// How the last round went, and which torrents it stored: what was wrong with their files is gone.
    pub(super) fn set_save(&self, failure: Option<String>, stored: impl IntoIterator<Item = TorrentId>) {
        self.change(|reasons| {
            if failure.is_none() {
                reasons.open = None;
            }
            reasons.save = failure;
            for id in stored {
                reasons.files.remove(&id);
            }
        });
    }

    /// What is wrong with the files of one torrent.
    pub(super) fn set_file(&self, id: TorrentId, reason: Option<String>) {
        self.change(|reasons| match reason {
            Some(reason) => drop(reasons.files.insert(id, reason)),
            None => drop(reasons.files.remove(&id)),
        });
    }

    fn change(&self, change: impl FnOnce(&mut Reasons)) {
        let mut reasons = self.reasons.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut reasons);
        let all = [&reasons.died, &reasons.open, &reasons.save].into_iter().flatten();
        // Told under the lock, so that the last word is that of the last change.
        match all.chain(reasons.files.values()).next() {
            Some(reason) => self.health.degrade(Component::ResumeStore, reason.clone()),
            None => self.health.clear(Component::ResumeStore),
        }
    }
}
