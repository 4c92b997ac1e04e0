//! Torrents on their way out.
//!
//! Unload: pause (which closes the files), save, store, remove from the session. Remove: libtorrent deletes the
//! part file, and says so only after every queued write; then the store deletes the resume data.

use std::{path::PathBuf, time::Instant};

use revaer_torrent_core::{InfoHashes, TorrentId, engine::EngineError};

use super::{
    core::Core,
    member::{Member, Phase},
    saver::Waiter,
};
use crate::{
    mailbox::{Reply, answer},
    resume::Request,
    session::{LibtSession, Slot},
};

/// The stage of leaving.
#[derive(Debug)]
pub(crate) enum Leaving {
    /// Its files are being closed.
    Pausing { reply: Reply },
    /// Its resume data is being stored.
    Saving { reply: Reply },
    /// libtorrent lets go of it, everything kept.
    Unloading { reply: Reply },
    /// libtorrent lets go of it and deletes its part file.
    Removing { reply: Reply, save_dir: PathBuf, removed: bool, deleted: bool },
}

impl Member {
    fn leave(&mut self, stage: Leaving) {
        self.phase = Phase::Leaving(stage);
    }
}

impl<S: LibtSession> Core<S> {
    pub(crate) fn unload(&mut self, id: TorrentId, reply: Reply, now: Instant) {
        let Some(slot) = self.members.by_id.get(&id).copied() else {
            // Not a member is what it was to become.
            return answer(reply, Ok(()));
        };
        self.refuse_pending(slot);
        let Some(member) = self.members.by_slot.get_mut(&slot) else { return };
        let paused = member.view.paused;
        member.leave(Leaving::Pausing { reply });
        if paused || self.session.pause(slot).is_err() {
            self.on_files_closed(slot, now);
        }
    }

    /// Its files are closed: what libtorrent knows now is what is on disk.
    pub(crate) fn on_files_closed(&mut self, slot: Slot, _now: Instant) {
        let Some(member) = self.members.by_slot.get_mut(&slot) else { return };
        match std::mem::replace(&mut member.phase, Phase::Active) {
            Phase::Leaving(Leaving::Pausing { reply }) => {
                member.leave(Leaving::Saving { reply });
                self.saver.queue(slot, Some(Waiter::Leave));
            }
            other => member.phase = other,
        }
    }

    /// Its resume data is stored, or cannot be: the older blob claims less and loses nothing.
    pub(crate) fn on_leave_saved(&mut self, slot: Slot, outcome: &Result<(), String>, now: Instant) {
        let Some(member) = self.members.by_slot.get_mut(&slot) else { return };
        if let Err(reason) = outcome {
            tracing::warn!(torrent.id = %member.id, reason, "unloaded without saving; pieces may be fetched again");
        }
        match std::mem::replace(&mut member.phase, Phase::Active) {
            Phase::Leaving(Leaving::Saving { reply }) => member.leave(Leaving::Unloading { reply }),
            other => {
                member.phase = other;
                return;
            }
        }
        if self.session.remove(slot, false).is_err() {
            self.on_removed(slot, now);
        }
    }

    pub(crate) fn leave_for_good(&mut self, slot: Slot, save_dir: PathBuf, reply: Reply, now: Instant) {
        self.refuse_pending(slot);
        for waiter in self.saver.forget(slot) {
            self.refuse_waiter(slot, waiter);
        }
        let Some(member) = self.members.by_slot.get_mut(&slot) else { return };
        member.leave(Leaving::Removing { reply, save_dir, removed: false, deleted: false });
        if self.session.remove(slot, true).is_err() {
            self.on_deleted(slot, "", now);
            self.on_removed(slot, now);
        }
    }

    /// libtorrent has let go of it.
    pub(crate) fn on_removed(&mut self, slot: Slot, now: Instant) {
        match self.members.by_slot.get_mut(&slot).map(|member| &mut member.phase) {
            Some(Phase::Leaving(Leaving::Removing { removed, .. })) => {
                *removed = true;
                self.finish_removal(slot, now);
            }
            Some(_) => self.finish_unload(slot, now),
            None => {}
        }
    }

    /// Its part file is gone, and no write of its is queued any more.
    pub(crate) fn on_deleted(&mut self, slot: Slot, trouble: &str, now: Instant) {
        let Some(member) = self.members.by_slot.get_mut(&slot) else { return };
        if !trouble.is_empty() {
            tracing::warn!(torrent.id = %member.id, trouble, "libtorrent could not delete the part file");
        }
        if let Phase::Leaving(Leaving::Removing { deleted, .. }) = &mut member.phase {
            *deleted = true;
            self.finish_removal(slot, now);
        }
    }

    /// Deletes what is stored of a torrent; the answer to its removal.
    pub(crate) fn delete_stored(
        &mut self,
        id: TorrentId,
        save_dir: PathBuf,
        hashes: InfoHashes,
        reply: Reply,
    ) {
        self.shared.board.forget(id);
        if self.ask_store(Request::Delete { id, save_dir, hashes }) {
            self.waiting.deletions.entry(id).or_default().push_back(reply);
        } else {
            answer(reply, Err(EngineError::Storage("the resume store takes no requests".to_owned())));
        }
    }

    fn finish_unload(&mut self, slot: Slot, now: Instant) {
        for waiter in self.saver.forget(slot) {
            self.refuse_waiter(slot, waiter);
        }
        self.session.forget(slot);
        let Some(member) = self.members.remove(slot) else { return };
        self.shared.board.publish(member.observation(false));
        if let Phase::Leaving(Leaving::Unloading { reply }) = member.phase {
            answer(reply, Ok(()));
        } else {
            tracing::warn!(torrent.id = %member.id, "libtorrent dropped the torrent unasked");
        }
        self.update_tick(slot);
        self.run_deferred(member.id, now);
    }

    fn finish_removal(&mut self, slot: Slot, now: Instant) {
        let done = self.members.by_slot.get(&slot).is_some_and(|member| {
            matches!(member.phase, Phase::Leaving(Leaving::Removing { removed: true, deleted: true, .. }))
        });
        if !done {
            return;
        }
        self.session.forget(slot);
        let Some(member) = self.members.remove(slot) else { return };
        if let Phase::Leaving(Leaving::Removing { reply, save_dir, .. }) = member.phase {
            self.delete_stored(member.id, save_dir, member.view.hashes, reply);
        }
        self.update_tick(slot);
        self.run_deferred(member.id, now);
    }

    fn refuse_pending(&mut self, slot: Slot) {
        let Some(member) = self.members.by_slot.get_mut(&slot) else { return };
        let id = member.id;
        for pending in member.pending.drain(..) {
            if let Some(reply) = pending.reply {
                Self::refuse_unknown(id, reply);
            }
        }
    }

    fn refuse_waiter(&self, slot: Slot, waiter: Waiter) {
        if let (Waiter::Command(reply), Some(member)) = (waiter, self.members.by_slot.get(&slot)) {
            Self::refuse_unknown(member.id, reply);
        }
    }
}
