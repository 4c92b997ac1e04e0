//! Answers of the resume store.

use std::time::Instant;

use revaer_torrent_core::{TorrentId, engine::EngineError};

use super::core::Core;
use crate::{mailbox::answer, resume::Response, session::LibtSession};

impl<S: LibtSession> Core<S> {
    pub(crate) fn take_responses(&mut self, now: Instant) {
        while let Some(response) = self.store.response() {
            match response {
                // The store has reported it as degraded, and tries again with every round.
                Response::Opened(Err(reason)) => {
                    tracing::error!(reason, "resume data cannot be kept");
                    self.save_everything();
                }
                Response::Opened(Ok(0)) => {}
                Response::Opened(Ok(_)) => self.save_everything(),
                Response::Loaded(loaded) => self.on_loaded(&loaded),
                Response::Saved(outcomes) => {
                    self.on_stored(outcomes.into_iter().map(|(_, outcome)| outcome), now);
                }
                Response::Deleted(id, outcome) => {
                    if let Err(reason) = &outcome {
                        tracing::warn!(torrent.id = %id, reason, "resume data was not deleted");
                    }
                    self.on_stored_deleted(id, outcome);
                }
                Response::OrphansSetAside(outcome) => {
                    if let Ok(count @ 1..) = outcome {
                        tracing::warn!(count, "resume data of unknown torrents was moved to orphaned/");
                    }
                    if let Some(reply) = self.waiting.orphans.pop_front() {
                        answer(reply, outcome.map(drop).map_err(EngineError::Storage));
                    }
                }
                Response::CleanStopMarked(outcome) => self.on_clean_stop_marked(outcome),
            }
        }
    }

    /// What the directory before holds may not be in the one in use: it is written there.
    fn save_everything(&mut self) {
        for slot in self.members.by_slot.keys() {
            self.saver.mark(*slot);
        }
    }

    /// The oldest removal of that torrent is complete.
    fn on_stored_deleted(&mut self, id: TorrentId, outcome: Result<(), String>) {
        let Some(replies) = self.waiting.deletions.get_mut(&id) else { return };
        let reply = replies.pop_front();
        if replies.is_empty() {
            self.waiting.deletions.remove(&id);
        }
        if let Some(reply) = reply {
            answer(reply, outcome.map_err(EngineError::Storage));
        }
    }
}
