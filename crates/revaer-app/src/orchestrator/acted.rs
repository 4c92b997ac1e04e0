//! The end of an action: what it changed, and when it is tried again where it failed.

use std::time::Duration;

use revaer_torrent_core::TorrentId;
use tokio::time::Instant;
use tracing::{error, info};

use super::{
    actions::{Acted, Effect, Setback},
    observe,
    run::{End, Orchestrator, send},
};
use crate::ledger::Fact;

/// The first wait after a setback; doubled each time, up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_mins(1);

impl Orchestrator {
    pub(super) fn on_acted(&mut self, id: TorrentId, acted: Acted) {
        let slot = self.slots.entry(id).or_default();
        slot.busy = false;
        let is_member = match &acted {
            Ok(Effect::Given(_)) => true,
            Ok(Effect::Out) => false,
            Ok(Effect::Unchanged) | Err(_) => slot.given.is_some(),
        };
        if !is_member {
            self.admission.leave(id);
        }
        match acted {
            Ok(effect) => {
                slot.start_anew();
                match effect {
                    Effect::Unchanged => slot.held_back = false,
                    Effect::Given(given) => {
                        slot.held_back = false;
                        slot.given = Some(given);
                        slot.verified = None;
                        slot.told_out = false;
                        if let Some(seen) = self.parts.engine.observe(id) {
                            self.observed(&seen);
                        }
                    }
                    Effect::Out => {
                        let last = self.parts.catalog.get(id).zip(self.parts.engine.observe(id));
                        let left = last.map(|(view, seen)| observe::left(&view.record, slot, &seen));
                        slot.given = None;
                        slot.verified = None;
                        slot.told_out = true;
                        self.parts.ledger.board.post(id, left.unwrap_or_else(observe::absent));
                    }
                }
                self.look_at(id);
            }
            Err(Setback::Later(reason)) => self.set_back(id, &reason),
            Err(Setback::Blocked(reason)) => {
                if !std::mem::replace(&mut slot.held_back, true) {
                    info!(torrent.id = %id, reason, "while others wait for their turn they go first");
                }
                self.set_back(id, &reason);
            }
            Err(Setback::Never(message)) => self.fail(id, message),
        }
    }

    /// Lets what failed rest for a while, unless something else is wanted by now.
    fn set_back(&mut self, id: TorrentId, reason: &str) {
        let slot = self.slots.entry(id).or_default();
        if std::mem::take(&mut slot.again) {
            slot.start_anew();
        } else {
            let wait = FIRST_WAIT.saturating_mul(1 << slot.failures.min(8)).min(LONGEST_WAIT);
            slot.failures += 1;
            slot.not_before = Some(Instant::now() + wait);
            info!(torrent.id = %id, reason, wait_ms = wait.as_millis(), "an action is tried again");
        }
        // What it was when it was last a member is not so any more.
        if slot.given.is_none() && !std::mem::replace(&mut slot.told_out, true) {
            self.parts.ledger.board.post(id, observe::absent());
        }
        self.look_at(id);
    }

    /// Has the ledger mark the torrent; told again until it is durable.
    fn fail(&mut self, id: TorrentId, message: String) {
        let slot = self.slots.entry(id).or_default();
        slot.busy = true;
        let (facts, ends) = (self.parts.ledger.facts.clone(), self.ends.0.clone());
        let tombstone = self.parts.catalog.get_any(id).is_some_and(|view| view.record.is_tombstone());
        if tombstone {
            error!(torrent.id = %id, message, "a removal cannot be finished; it is tried again");
        }
        self.spawn("torrent-failed", async move {
            let told = facts.tell(Fact::Failed { id, message }).await;
            let acted = match told {
                Ok(_) if !tombstone => Ok(Effect::Unchanged),
                Ok(_) => Err(Setback::Later("the removal failed".to_owned())),
                Err(error) => Err(Setback::Later(error.to_string())),
            };
            send(&ends, End::Acted(id, acted)).await;
        });
    }
}
