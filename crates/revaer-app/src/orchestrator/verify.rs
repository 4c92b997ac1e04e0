//! The look at a torrent's files before it is believed complete.

use std::{sync::Arc, time::Duration};

use revaer_catalog::{TorrentRecord, TorrentView};
use revaer_torrent_core::TorrentId;
use tokio::time::Instant;
use tracing::{info, warn};

use super::{
    actions::Actor,
    content::{self, StoredContent},
    observe,
    run::{End, Orchestrator, send},
};
use crate::ledger::Level;

/// How long files rest that could not be looked at.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// What a look at a torrent's files found.
pub(crate) enum Look {
    /// All of them, whole.
    Whole,
    /// Not what the pieces say.
    Missing(String),
    /// It was not possible to look.
    NotNow(String),
}

impl Orchestrator {
    /// Looks for the wanted files on disk before the torrent is believed complete.
    pub(super) fn verify(&self, view: &TorrentView) {
        let (actor, permits, ends) = (self.actor.clone(), Arc::clone(&self.permits), self.ends.0.clone());
        let record = Arc::clone(&view.record);
        self.spawn("torrent-verify", async move {
            let Ok(permit) = permits.acquire_owned().await else { return };
            let version = record.wish.selection_version;
            let found = look_for_files(&actor, &record).await;
            // Before its end is told: whoever waits for room is looked at then.
            drop(permit);
            send(&ends, End::Verified(record.id, version, found)).await;
        });
    }

    pub(super) fn on_verified(&mut self, id: TorrentId, version: u64, found: Look) {
        let slot = self.slots.entry(id).or_default();
        slot.verifying = false;
        match found {
            Look::Whole => slot.verified = Some(version),
            Look::NotNow(reason) => {
                info!(torrent.id = %id, reason, "its files cannot be looked at now; they are again later");
                let at = Instant::now() + LOOK_AGAIN;
                slot.verifying = true;
                slot.verify_at = Some(at);
                self.timers.insert((at, id));
                return self.look_at(id);
            }
            Look::Missing(reason) => {
                // Nothing is believed until the files are there: the next observation looks again.
                warn!(torrent.id = %id, reason, "the pieces say complete, the files do not");
                self.parts.ledger.board.post(id, Level { error: Some(reason), ..observe::absent() });
                return;
            }
        }
        if let Some(seen) = self.parts.engine.observe(id) {
            self.observed(&seen);
        }
        self.look_at(id);
    }
}

async fn look_for_files(actor: &Actor, record: &TorrentRecord) -> Look {
    let Some(path) = record.placement.content.clone() else {
        return Look::NotNow("the content has no place yet".to_owned());
    };
    // An empty mount point takes writes like a disk: nothing is complete on a volume that is not the right one.
    if let Err(reason) = actor.gate.check(&path.save_dir).await {
        return Look::NotNow(reason);
    }
    let stored = match StoredContent::read(&actor.pool, &*actor.engine, record).await {
        Ok(stored) => stored,
        Err(error @ content::ContentError::Database(_)) => return Look::NotNow(error.to_string()),
        Err(error @ content::ContentError::Broken(_)) => return Look::Missing(error.to_string()),
    };
    let files = stored.wanted_files();
    let missing = tokio::task::spawn_blocking(move || content::first_missing(&path.save_dir, &files)).await;
    match missing {
        Ok(None) => Look::Whole,
        Ok(Some(missing)) => Look::Missing(format!(
            "{} is missing or has the wrong size although every piece was verified; put it back, or resume the \
             torrent to download it again",
            missing.display()
        )),
        Err(error) => Look::NotNow(error.to_string()),
    }
}
