//! `Troubles`: why the store is degraded, gathered from both of its threads.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use revaer_telemetry::{Component, Guard, Telemetry};
use revaer_torrent_core::TorrentId;
use tracing::{info, warn};

/// The reasons; the store is ok again when nothing is left.
#[derive(Debug)]
pub(super) struct Troubles {
    telemetry: Telemetry,
    reasons: Mutex<Reasons>,
}

#[derive(Debug, Default)]
struct Reasons {
    died: Option<String>,
    open: Option<String>,
    save: Option<String>,
    files: BTreeMap<TorrentId, String>,
}

impl Reasons {
    /// The one that is shown.
    fn first(&self) -> Option<&String> {
        let all = [&self.died, &self.open, &self.save].into_iter().flatten();
        all.chain(self.files.values()).next()
    }
}

impl Troubles {
    pub(super) fn new(telemetry: Telemetry) -> Self {
        Self { telemetry, reasons: Mutex::default() }
    }

    /// A thread is gone, until the server is started again.
    pub(super) fn died(&self, reason: String) {
        self.violated(&reason);
        self.change(|reasons| reasons.died = Some(reason));
    }

    /// The directory cannot be used.
    pub(super) fn set_open(&self, reason: Option<String>) {
        self.change(|reasons| reasons.open = reason);
    }

    /// The directory could not be made ready.
    pub(super) fn not_opened(&self, reason: String) {
        self.violated(&reason);
        self.set_open(Some(reason));
    }

    /// How the last round went, and which torrents it stored: what was wrong with their files is gone.
    pub(super) fn set_save(&self, failure: Option<String>, stored: impl IntoIterator<Item = TorrentId>) {
        self.change(|reasons| {
            match &failure {
                None => reasons.open = None,
                // Round after round fails of the same: that is one.
                Some(failure) if reasons.save.is_none() => self.violated(failure),
                Some(_) => {}
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
            Some(reason) => {
                self.violated(&reason);
                reasons.files.insert(id, reason);
            }
            None => drop(reasons.files.remove(&id)),
        });
    }

    fn change(&self, change: impl FnOnce(&mut Reasons)) {
        let mut reasons = self.reasons.lock().unwrap_or_else(PoisonError::into_inner);
        let was_degraded = reasons.first().is_some();
        change(&mut reasons);
        // Told under the lock, so that the last word is that of the last change.
        match reasons.first() {
            Some(reason) => {
                if !was_degraded {
                    warn!(event = "resume_store.degraded", reason, "resume data is not as it should be");
                }
                self.telemetry.health.degrade(Component::ResumeStore, reason.clone());
            }
            None => {
                if was_degraded {
                    info!(event = "resume_store.recovered", "resume data is as it should be");
                }
                self.telemetry.health.clear(Component::ResumeStore);
            }
        }
    }

    fn violated(&self, reason: &str) {
        self.telemetry.guardrails.violated(Guard::ResumeMismatch, reason);
    }
}
