//! What happens by the clock: status updates, the heart-beat, saves.

use std::time::{Duration, Instant};

use super::core::Core;
use crate::{
    session::{LibtSession, Slot},
    settings::listen,
};

/// How often statuses are asked for while something moves.
const UPDATE: Duration = Duration::from_millis(500);
/// How often while nothing does.
const IDLE_UPDATE: Duration = Duration::from_secs(2);
/// How long after the last movement nothing is taken to move.
const IDLE_AFTER: Duration = Duration::from_secs(5);
const HEART_BEAT: Duration = Duration::from_secs(5);
/// A session that is silent for so long is taken to be wedged.
const SILENCE: Duration = Duration::from_secs(30);
/// A completed file is saved this soon, together with those completed meanwhile.
const SAVE_SOON: Duration = Duration::from_secs(2);
/// Totals alone are saved this often.
const SAVE_COUNTERS: Duration = Duration::from_mins(15);

/// When what is due.
#[derive(Debug)]
pub(crate) struct Timers {
    update_at: Instant,
    active_at: Instant,
    beat_at: Instant,
    /// When the first heart-beat that is still unanswered was sent.
    unanswered_since: Option<Instant>,
    save_at: Instant,
    save_every: Duration,
    soon_at: Instant,
    /// The short interval of bookkeeping is in force.
    pub(crate) capped: bool,
}

impl Timers {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            update_at: now,
            active_at: now,
            beat_at: now,
            unanswered_since: None,
            save_at: now,
            save_every: Duration::from_mins(1),
            soon_at: now,
            capped: false,
        }
    }

    pub(crate) fn restart_saves(&mut self, now: Instant, seconds: u32) {
        self.save_every = Duration::from_secs(u64::from(seconds.max(1)));
        self.save_at = now + self.save_every;
    }

    /// Something moves: statuses are asked for often.
    pub(crate) fn active(&mut self, now: Instant) {
        self.active_at = now;
        self.update_at = self.update_at.min(now + UPDATE);
    }

    /// The heart-beat was answered.
    pub(crate) fn answered(&mut self) {
        self.unanswered_since = None;
    }

    /// How long the session has been silent, if that is too long.
    pub(crate) fn unanswered(&self, now: Instant) -> Option<Duration> {
        self.unanswered_since.map(|since| now.duration_since(since)).filter(|silent| *silent >= SILENCE)
    }

    /// When the next thing is due.
    pub(crate) fn next(&self, soon: bool) -> Option<Instant> {
        let all =
            [Some(self.update_at), Some(self.beat_at), Some(self.save_at), soon.then_some(self.soon_at)];
        all.into_iter().flatten().min()
    }
}

impl<S: LibtSession> Core<S> {
    pub(crate) fn on_timers(&mut self, now: Instant) {
        if self.timers.update_at <= now {
            let idle = now.duration_since(self.timers.active_at) > IDLE_AFTER;
            self.timers.update_at = now + if idle { IDLE_UPDATE } else { UPDATE };
            self.let_rates_fall(now);
            self.note("statuses could not be asked for", S::post_updates);
        }
        if self.timers.beat_at <= now {
            self.timers.beat_at = now + HEART_BEAT;
            self.timers.unanswered_since.get_or_insert(now);
            self.note("the heart-beat could not be sent", S::post_stats);
            self.report_health(now);
        }
        if self.saver.has_soon() && self.timers.soon_at <= now {
            self.timers.soon_at = now + SAVE_SOON;
            self.saver.queue_soon();
        }
        if self.timers.save_at <= now {
            self.timers.save_at = now + self.timers.save_every;
            self.mark_counters(now);
            self.ask_for_missing_metainfo();
            self.saver.queue_dirty();
        }
        if self.listen.take_retry(now) {
            self.note("the port could not be tried again", S::reopen);
        }
        self.drive_saves();
        self.drive_stop(now);
    }

    /// Listens on the port that is next in line.
    pub(crate) fn try_next_port(&mut self) {
        if let Some(profile) = &self.profile {
            let setting = listen(profile, self.listen.port());
            self.apply(&setting);
        }
    }

    /// A torrent that stopped moving sends no status: its rates fall by the clock.
    fn let_rates_fall(&mut self, now: Instant) {
        for slot in self.members.moving.clone() {
            let Some(member) = self.members.by_slot.get_mut(&slot) else {
                self.members.moving.remove(&slot);
                continue;
            };
            let stale = member.meter.is_stale(now);
            if stale {
                member.meter.idle(now);
            }
            if member.meter.is_still() {
                self.members.moving.remove(&slot);
            }
            if stale {
                self.members.touch(slot);
            }
            self.timers.active(now);
        }
    }

    fn mark_counters(&mut self, now: Instant) {
        let due = |member: &super::member::Member| {
            member.saving.counters_since.is_some_and(|since| now.duration_since(since) >= SAVE_COUNTERS)
        };
        let slots: Vec<Slot> =
            self.members.by_slot.iter().filter(|(_, member)| due(member)).map(|(slot, _)| *slot).collect();
        for slot in slots {
            self.saver.mark(slot);
        }
    }

    /// Asks again where libtorrent refused: without its .torrent a magnet goes no further.
    fn ask_for_missing_metainfo(&mut self) {
        let missing =
            |(slot, member): (&Slot, &super::member::Member)| member.has_unasked_metainfo().then_some(*slot);
        let slots: Vec<Slot> = self.members.by_slot.iter().filter_map(missing).collect();
        for slot in slots {
            self.ask_for_metainfo(slot);
        }
    }

    fn note(&mut self, what: &str, call: impl FnOnce(&mut S) -> Result<(), crate::session::SessionError>) {
        if let Err(error) = call(&mut self.session) {
            tracing::error!(%error, "{what}");
        }
    }
}
