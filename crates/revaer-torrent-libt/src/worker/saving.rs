//! Drives the saver: asks libtorrent for blobs, hands rounds to the store, and ends a shutdown when all is stored.

use std::time::{Duration, Instant};

use revaer_torrent_core::{PieceSet, engine::EngineError};

use super::{
    core::Core,
    leave::Leaving,
    member::Phase,
    saver::{Done, Waiter},
};
use crate::{
    mailbox::answer,
    resume::{MetaRecord, Request, SaveItem},
    session::{LibtSession, Slot},
};

/// A shutdown that has not saved everything by then ends without: a wedged disk must not hold the server up. Less
/// than the 10 s that the server waits for the engine, so that it still hears what was not saved.
pub(crate) const STOP_WITHIN: Duration = Duration::from_secs(8);

impl<S: LibtSession> Core<S> {
    /// Goes on with the saves as far as possible.
    pub(crate) fn drive_saves(&mut self) {
        for slot in self.saver.take_asks() {
            self.ask_for_blob(slot);
        }
        if let Some(round) = self.saver.take_round()
            && !self.ask_store(Request::Save(round))
        {
            let reason = "the resume store takes no requests".to_owned();
            self.on_stored(
                std::iter::repeat_with(|| Err(reason.clone())).take(usize::from(u16::MAX)),
                Instant::now(),
            );
        }
    }

    pub(crate) fn ask_for_blob(&mut self, slot: Slot) {
        let Some(member) = self.members.by_slot.get(&slot) else {
            if let Some(done) = self.saver.on_failed(slot, "the torrent has left the session") {
                self.on_save_done(done, Instant::now());
            }
            return;
        };
        // Without metadata there is no storage, and libtorrent never answers a flush.
        let has_storage = member.view.has_metadata;
        let asked = self.session.save_resume(slot, false);
        let flushed = if has_storage { self.session.flush(slot) } else { Ok(()) };
        if let Err(error) = asked.and(flushed)
            && let Some(done) = self.saver.on_failed(slot, &error.to_string())
        {
            self.on_save_done(done, Instant::now());
        }
        if !has_storage {
            self.saver.skip_flush(slot);
        }
    }

    /// A blob came.
    pub(crate) fn on_blob(&mut self, slot: Slot, blob: Vec<u8>) {
        if !self.saver.wants_blob(slot) {
            return;
        }
        let Some(member) = self.members.by_slot.get_mut(&slot) else { return };
        member.saving.counters_since = None;
        let record = MetaRecord::new(
            member.selection.as_ref(),
            member.save_dir.clone(),
            member.sequential,
            &member.view.hashes,
        );
        // The last status may be older than the blob: only a magnet without metadata surely claims nothing.
        let claims_pieces = member.view.has_metadata
            && (member.saving.checked || !matches!(member.view.pieces, PieceSet::None));
        self.saver.on_blob(slot, SaveItem { id: member.id, blob, record, claims_pieces });
    }

    pub(crate) fn on_stored(&mut self, outcomes: impl IntoIterator<Item = Result<(), String>>, now: Instant) {
        for done in self.saver.on_stored(outcomes) {
            self.on_save_done(done, now);
        }
    }

    pub(crate) fn on_save_done(&mut self, done: Done, now: Instant) {
        let Done { slot, outcome, waiters } = done;
        if let (Err(reason), Some(stopping)) = (&outcome, &mut self.stopping) {
            stopping.failure.get_or_insert_with(|| reason.clone());
        }
        for waiter in waiters {
            match waiter {
                Waiter::Command(reply) => answer(reply, outcome.clone().map_err(EngineError::Storage)),
                Waiter::Leave => self.on_leave_saved(slot, &outcome, now),
            }
        }
    }

    /// Ends a shutdown when nothing is left to save.
    pub(crate) fn drive_stop(&mut self, now: Instant) {
        if let Some(stopping) = &mut self.stopping
            && now.duration_since(stopping.since) >= STOP_WITHIN
        {
            let late = || {
                "not everything was saved in time; the next start goes on from the saves before".to_owned()
            };
            stopping.failure.get_or_insert_with(late);
            stopping.late = true;
            stopping.done = true;
        }
        let busy = !self.saver.is_idle() || self.is_somebody_leaving();
        let Some(stopping) = self.stopping.as_mut().filter(|stopping| !busy && !stopping.mark_asked) else {
            return;
        };
        stopping.mark_asked = true;
        // What could not be saved is not a clean stop.
        if stopping.failure.is_some() {
            stopping.done = true;
        } else if let Err(reason) = self.store.request(Request::MarkCleanStop) {
            stopping.failure = Some(reason);
            stopping.done = true;
        }
    }

    pub(crate) fn on_clean_stop_marked(&mut self, outcome: Result<(), String>) {
        if let Some(stopping) = &mut self.stopping {
            stopping.failure = outcome.err();
            stopping.done = true;
        }
    }

    /// Those that are being unloaded have their save under way; a removal must not be cut between its two halves.
    fn is_somebody_leaving(&self) -> bool {
        self.stopping.is_some()
            && (!self.waiting.deletions.is_empty()
                || self.members.by_slot.values().any(|member| {
                    matches!(
                        member.phase,
                        Phase::Leaving(
                            Leaving::Pausing { .. } | Leaving::Saving { .. } | Leaving::Removing { .. }
                        )
                    )
                }))
    }
}
