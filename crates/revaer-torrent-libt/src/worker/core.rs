//! The state of a running session, and the small things that every part of the worker needs.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::{Duration, Instant},
};

use revaer_telemetry::Component;
use revaer_torrent_core::{
    RateLimits, TorrentId,
    engine::{EngineCommand, EngineError, EngineProfile},
};

use super::{
    Shared, Stopped, Stopping,
    adding::Entering,
    listen::Listen,
    member::{Member, Phase},
    saver::Saver,
    saving::STOP_WITHIN,
    timers::Timers,
};
use crate::{
    ffi::Setting,
    mailbox::{Reply, answer},
    resume::{Request, Store},
    session::{LibtSession, SessionError, Slot},
    settings::{self, is_zero},
};

/// Adds that wait for their turn; more of them wait in the mailbox.
const MAX_WAITING_ADDS: usize = 4096;
/// Observations are shown at most ten times a second.
const PUBLISH_EVERY: Duration = Duration::from_millis(100);

/// The torrents of the session, by slot and by id.
#[derive(Debug, Default)]
pub(crate) struct Members {
    pub(crate) by_slot: HashMap<Slot, Member>,
    pub(crate) by_id: HashMap<TorrentId, Slot>,
    next_slot: u64,
    /// Those whose observation has changed since it was last shown.
    touched: HashSet<Slot>,
    /// Those whose rates are not zero.
    pub(crate) moving: HashSet<Slot>,
    /// Those with a cap of their own that libtorrent puts in force.
    capped: HashSet<Slot>,
    shown_at: Option<Instant>,
}

/// Answers that wait for something other than a member.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    /// Commands for torrents that are entering or leaving, in order.
    pub(crate) deferred: HashMap<TorrentId, VecDeque<(EngineCommand, Reply)>>,
    /// Removals whose resume data is being deleted, in the order of the requests for each torrent.
    pub(crate) deletions: HashMap<TorrentId, VecDeque<Reply>>,
    /// Requests to set aside unknown resume data, in order.
    pub(crate) orphans: VecDeque<Reply>,
}

/// A running session.
pub(crate) struct Core<S> {
    pub(crate) shared: Shared,
    pub(crate) profile: Option<EngineProfile>,
    pub(crate) members: Members,
    pub(crate) entering: Entering,
    pub(crate) waiting: Waiting,
    pub(crate) saver: Saver,
    pub(crate) listen: Listen,
    pub(crate) timers: Timers,
    pub(super) stopping: Option<Stopping>,
    // Dropped last: their ends may be held up, and those who wait for an answer should not be.
    pub(crate) session: S,
    pub(crate) store: Store,
}

impl Members {
    pub(crate) fn insert(&mut self, member: Member) -> Slot {
        let slot = Slot(self.next_slot);
        self.next_slot += 1;
        self.by_id.insert(member.id, slot);
        self.by_slot.insert(slot, member);
        slot
    }

    pub(crate) fn remove(&mut self, slot: Slot) -> Option<Member> {
        let member = self.by_slot.remove(&slot)?;
        self.by_id.remove(&member.id);
        self.touched.remove(&slot);
        self.moving.remove(&slot);
        self.capped.remove(&slot);
        Some(member)
    }

    /// Its observation has changed.
    pub(crate) fn touch(&mut self, slot: Slot) {
        self.touched.insert(slot);
    }
}

impl<S: LibtSession> Core<S> {
    pub(crate) fn new(shared: Shared, session: S, store: Store, listen: Listen, now: Instant) -> Self {
        Self {
            shared,
            session,
            store,
            profile: None,
            members: Members::default(),
            entering: Entering::default(),
            waiting: Waiting::default(),
            saver: Saver::default(),
            listen,
            timers: Timers::new(now),
            stopping: None,
        }
    }

    /// Whether messages should stay in the mailbox for now.
    pub(crate) fn is_full(&self) -> bool {
        self.entering.waiting() >= MAX_WAITING_ADDS
    }

    /// Takes over the first profile; the session has its settings already.
    pub(crate) fn begin(&mut self, profile: EngineProfile, now: Instant) -> Result<(), EngineError> {
        let set_up = |error: SessionError| EngineError::Setup(error.to_string());
        self.session.set_local_peers_limited(profile.limit_local_peers).map_err(set_up)?;
        self.session.hold_all_uploads(is_zero(profile.limits.upload));
        self.ask_store(Request::Open(profile.resume_dir.clone()));
        self.timers.capped = is_capped(&profile.limits);
        self.timers.restart_saves(now, profile.resume_save_seconds);
        self.show_held(&profile.limits);
        self.profile = Some(profile);
        Ok(())
    }

    /// Shows the caps of 0, which libtorrent does not know as caps.
    fn show_held(&self, limits: &RateLimits) {
        self.shared.board.set_status(|status| {
            status.download_held = is_zero(limits.download);
            status.upload_held = is_zero(limits.upload);
        });
    }

    /// Applies a changed profile to the running session.
    pub(crate) fn configure(&mut self, profile: EngineProfile, now: Instant) -> Result<(), EngineError> {
        let set_up = |error: SessionError| EngineError::Setup(error.to_string());
        if self.listen.wanted() != profile.listen_port
            || self.profile.as_ref().is_some_and(|old| old.listen_interfaces != profile.listen_interfaces)
        {
            self.listen = Listen::new(profile.listen_port);
            self.shared.board.set_status(|status| status.listen_port = None);
        }
        let capped = self.has_cap(&profile);
        self.timers.capped = capped;
        let settings = settings::live(&profile, self.listen.port(), capped);
        self.session.apply(&settings).map_err(set_up)?;
        self.session.set_local_peers_limited(profile.limit_local_peers).map_err(set_up)?;
        self.session.hold_all_uploads(is_zero(profile.limits.upload));
        let moved = self.profile.as_ref().is_none_or(|old| old.resume_dir != profile.resume_dir);
        if moved {
            self.ask_store(Request::Open(profile.resume_dir.clone()));
        }
        self.timers.restart_saves(now, profile.resume_save_seconds);
        let limits = profile.limits;
        self.profile = Some(profile);
        let slots: Vec<_> = self.members.by_slot.keys().copied().collect();
        for slot in slots {
            self.update_gate(slot);
        }
        self.show_held(&limits);
        Ok(())
    }

    /// Opens or closes a torrent's gate, if it is not as it should be.
    pub(crate) fn update_gate(&mut self, slot: Slot) {
        let limits = self.profile.as_ref().map(|profile| profile.limits).unwrap_or_default();
        let Some(member) = self.members.by_slot.get_mut(&slot).filter(|member| member.is_active()) else {
            return;
        };
        let closed = member.must_hold(&limits);
        if closed == member.gate.closed {
            return;
        }
        match self.session.set_upload_mode(slot, closed) {
            Ok(()) => member.gate.closed = closed,
            Err(error) => {
                tracing::warn!(torrent.id = %member.id, %error, "content could not be held or let go");
            }
        }
    }

    /// Notes a torrent's own caps, as they are or as they go with it, and sets the interval of libtorrent's
    /// bookkeeping for the caps in force.
    pub(crate) fn update_tick(&mut self, slot: Slot) {
        if self.members.by_slot.get(&slot).is_some_and(|member| is_capped(&member.view.limits)) {
            self.members.capped.insert(slot);
        } else {
            self.members.capped.remove(&slot);
        }
        let capped = self.profile.as_ref().is_some_and(|profile| self.has_cap(profile));
        if capped != self.timers.capped {
            self.timers.capped = capped;
            self.apply(&settings::tick(capped));
        }
    }

    pub(crate) fn apply(&mut self, setting: &Setting) {
        if let Err(error) = self.session.apply(std::slice::from_ref(setting)) {
            tracing::error!(setting = setting.name, %error, "a setting could not be applied");
        }
    }

    /// Runs the commands that waited for a torrent to enter or to leave.
    pub(crate) fn run_deferred(&mut self, id: TorrentId, now: Instant) {
        for (command, reply) in self.waiting.deferred.remove(&id).unwrap_or_default() {
            self.on_command(command, reply, now);
        }
    }

    /// Asks the store. It cannot refuse unless its thread has died, which is a defect that has to be seen.
    pub(crate) fn ask_store(&mut self, request: Request) -> bool {
        match self.store.request(request) {
            Ok(()) => true,
            Err(reason) => {
                self.shared.health.degrade(Component::ResumeStore, reason);
                false
            }
        }
    }

    /// Shows one torrent as it is now: before the answer to its command.
    pub(crate) fn show(&mut self, slot: Slot) {
        self.members.touched.remove(&slot);
        if let Some(member) = self.members.by_slot.get(&slot) {
            let loaded = !matches!(member.phase, Phase::Entering);
            self.shared.board.publish(member.observation(loaded));
        }
    }

    /// Shows what has changed, unless something was shown a moment ago.
    pub(crate) fn publish(&mut self, now: Instant) {
        if self.members.touched.is_empty()
            || self.members.shown_at.is_some_and(|at| now.duration_since(at) < PUBLISH_EVERY)
        {
            return;
        }
        self.members.shown_at = Some(now);
        for slot in std::mem::take(&mut self.members.touched) {
            self.show(slot);
        }
    }

    /// How long nothing has to be done.
    pub(crate) fn sleep(&self, now: Instant) -> Duration {
        let unshown = (!self.members.touched.is_empty())
            .then(|| self.members.shown_at.map_or(now, |at| at + PUBLISH_EVERY));
        let soon = self.saver.has_soon();
        let give_up = self.stopping.as_ref().map(|stopping| stopping.since + STOP_WITHIN);
        let next = self
            .timers
            .next(soon)
            .into_iter()
            .chain(unshown)
            .chain(give_up)
            .chain(self.listen.retry_at())
            .min();
        next.map_or(super::LONGEST_SLEEP, |at| at.saturating_duration_since(now))
    }

    /// Why the engine is degraded, if it is.
    pub(crate) fn report_health(&self, now: Instant) {
        let wedged = self.timers.unanswered(now).map(|silent| {
            format!(
                "libtorrent has not answered for {} s; if it stays so, restart the server",
                silent.as_secs()
            )
        });
        match wedged.or_else(|| self.listen.failure().map(str::to_owned)) {
            Some(reason) => self.shared.health.degrade(Component::Engine, reason),
            None => self.shared.health.clear(Component::Engine),
        }
    }

    /// The outcome of a shutdown that is complete, or was given up.
    pub(super) fn take_stopped(&mut self) -> Option<Stopped> {
        let stopping = self.stopping.take_if(|stopping| stopping.done)?;
        let outcome = stopping.failure.map_or(Ok(()), |reason| Err(EngineError::Storage(reason)));
        Some(Stopped { reply: stopping.reply, outcome, late: stopping.late })
    }

    /// Answers a command for a torrent that is no member.
    pub(crate) fn refuse_unknown(id: TorrentId, reply: Reply) {
        answer(reply, Err(EngineError::NotLoaded(id)));
    }

    fn has_cap(&self, profile: &EngineProfile) -> bool {
        // Asked at every coming and going: a look at every member would make loading quadratic.
        is_capped(&profile.limits) || !self.members.capped.is_empty()
    }
}

/// Whether libtorrent's bandwidth manager has anything to do for these; a cap of 0 is not its business.
pub(crate) fn is_capped(limits: &RateLimits) -> bool {
    limits.download.is_some_and(|cap| cap.0 > 0) || limits.upload.is_some_and(|cap| cap.0 > 0)
}
