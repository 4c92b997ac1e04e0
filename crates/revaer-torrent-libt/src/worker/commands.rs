//! Commands, one function each. A command for a torrent that is entering or leaving waits until it has.

use std::{collections::HashSet, path::PathBuf, time::Instant};

use revaer_torrent_core::{
    RateLimits, TorrentId,
    engine::{AppliedSelection, EngineCommand, EngineError},
};

use super::{
    Stopping,
    core::Core,
    member::{PendingPriorities, numbers},
    saver::Waiter,
};
use crate::{
    inspect::inspect,
    mailbox::{Reply, answer},
    resume::Request,
    session::{LibtSession, SessionError, Slot},
    settings::{is_zero, limit},
};

impl<S: LibtSession> Core<S> {
    pub(crate) fn on_command(&mut self, command: EngineCommand, reply: Reply, now: Instant) {
        if self.stopping.is_some() {
            answer(reply, Err(EngineError::NotRunning));
            return;
        }
        self.timers.active(now);
        if let Some(id) = subject(&command)
            && let Some(slot) = self.members.by_id.get(&id)
            && self.members.by_slot.get(slot).is_some_and(|member| !member.is_active())
        {
            self.waiting.deferred.entry(id).or_default().push_back((command, reply));
            return;
        }
        match command {
            EngineCommand::Configure(profile) => {
                let outcome = self.configure(*profile, now);
                answer(reply, outcome);
            }
            // A member already: what it was to become, it is.
            EngineCommand::Add(add) if self.members.by_id.contains_key(&add.id) => answer(reply, Ok(())),
            EngineCommand::Add(add) => self.enter(add, reply),
            EngineCommand::Select { id, selection } => self.select(id, selection, reply),
            EngineCommand::SetLimits { id, limits } => self.set_limits(id, limits, reply),
            EngineCommand::SaveResume { id } => match self.members.by_id.get(&id) {
                Some(slot) => self.saver.queue(*slot, Some(Waiter::Command(reply))),
                None => Self::refuse_unknown(id, reply),
            },
            EngineCommand::Unload { id } => self.unload(id, reply, now),
            EngineCommand::Remove { id, save_dir } => self.remove(id, save_dir, reply, now),
            EngineCommand::SetAsideUnknown { known } => self.set_aside_unknown(known, reply),
            EngineCommand::Shutdown => self.stop(reply, now),
        }
    }

    fn set_aside_unknown(&mut self, mut known: HashSet<TorrentId>, reply: Reply) {
        known.extend(self.members.by_id.keys());
        if self.ask_store(Request::SetAsideOrphans(known)) {
            self.waiting.orphans.push_back(reply);
        } else {
            answer(reply, Err(EngineError::NotRunning));
        }
    }

    fn select(&mut self, id: TorrentId, selection: AppliedSelection, reply: Reply) {
        let Some(slot) = self.members.by_id.get(&id).copied() else { return Self::refuse_unknown(id, reply) };
        let refused = |reason: String| Err(EngineError::Refused { id, reason });
        let Some(member) = self.members.by_slot.get_mut(&slot) else { return };
        if !member.view.has_metadata {
            return answer(reply, refused("its info dictionary is not known yet".to_owned()));
        }
        if member.view.file_sizes.is_empty()
            && let Some(Ok(metainfo)) = member.view.metainfo.known().map(|bytes| inspect(bytes))
        {
            let size =
                |file: &revaer_torrent_core::ContentFile| if file.is_padding { 0 } else { file.size.0 };
            member.view.file_sizes = metainfo.files.iter().map(size).collect();
        }
        let (given, files) = (selection.priorities.len(), member.view.file_sizes.len());
        if files != 0 && given != files {
            return answer(reply, refused(format!("{given} priorities were given for its {files} files")));
        }
        match self.session.prioritize(slot, &numbers(&selection)) {
            Ok(()) => member.pending.push_back(PendingPriorities { selection, reply: Some(reply) }),
            Err(error) => answer(reply, refused(error.to_string())),
        }
    }

    fn set_limits(&mut self, id: TorrentId, limits: RateLimits, reply: Reply) {
        let Some(slot) = self.members.by_id.get(&id).copied() else { return Self::refuse_unknown(id, reply) };
        let outcome = self.hand_over_limits(slot, &limits);
        if outcome.is_ok()
            && let Some(member) = self.members.by_slot.get_mut(&slot)
        {
            member.view.limits = limits;
        }
        self.update_tick(slot);
        self.update_gate(slot);
        self.show(slot);
        answer(reply, outcome.map_err(|error| EngineError::Refused { id, reason: error.to_string() }));
    }

    fn hand_over_limits(&mut self, slot: Slot, limits: &RateLimits) -> Result<(), SessionError> {
        self.session.set_limits(slot, limit(limits.download), limit(limits.upload))?;
        self.session.hold_uploads(slot, is_zero(limits.upload))
    }

    fn remove(&mut self, id: TorrentId, save_dir: PathBuf, reply: Reply, now: Instant) {
        match self.members.by_id.get(&id).copied() {
            Some(slot) => self.leave_for_good(slot, save_dir, reply, now),
            None => {
                let hashes = self.shared.board.observe(id).map(|shown| shown.info_hashes).unwrap_or_default();
                self.delete_stored(id, save_dir, hashes, reply);
            }
        }
    }

    /// The session goes quiet, what is worth saving is saved, the store marks the stop, the session ends.
    fn stop(&mut self, reply: Reply, now: Instant) {
        let quiet = self.session.pause_session();
        if let Err(error) = quiet {
            tracing::warn!(%error, "the session could not be paused before its end");
        }
        for (slot, member) in &self.members.by_slot {
            if member.is_active() && (self.saver.is_dirty(*slot) || member.saving.counters_since.is_some()) {
                self.saver.mark(*slot);
            }
        }
        self.saver.queue_dirty();
        self.stopping =
            Some(Stopping { reply, since: now, failure: None, mark_asked: false, late: false, done: false });
    }
}

/// Which torrent a command is about.
fn subject(command: &EngineCommand) -> Option<TorrentId> {
    match command {
        EngineCommand::Add(add) => Some(add.id),
        EngineCommand::Select { id, .. }
        | EngineCommand::SetLimits { id, .. }
        | EngineCommand::SaveResume { id }
        | EngineCommand::Unload { id }
        | EngineCommand::Remove { id, .. } => Some(*id),
        EngineCommand::Configure(_) | EngineCommand::SetAsideUnknown { .. } | EngineCommand::Shutdown => None,
    }
}
