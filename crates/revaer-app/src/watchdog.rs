//! Looks once a second at the queues of the server: what stays too full for too long is a guard rail.

use std::{convert::Infallible, sync::Arc, time::Duration};

use revaer_catalog::{Catalog, Intents};
use revaer_config::ConfigService;
use revaer_telemetry::{Component, Guard, Telemetry};
use revaer_torrent_core::engine::TorrentEngine;
use time::OffsetDateTime;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::ledger::Facts;

const LOOK: Duration = Duration::from_secs(1);
/// What a queue may be too full for (contract §6).
const PATIENCE: Duration = Duration::from_secs(5);
const MAILBOX: &str = "mailbox";
const AGE: &str = "age";

/// What the watchdog looks at.
pub(crate) struct Watched {
    pub(crate) intents: Intents,
    pub(crate) facts: Facts,
    pub(crate) engine: Arc<dyn TorrentEngine>,
    pub(crate) catalog: Catalog,
    pub(crate) config: ConfigService,
    pub(crate) telemetry: Telemetry,
}

/// A condition that counts only once it has held for a while.
#[derive(Debug, Default)]
struct Sustained {
    since: Option<Instant>,
    raised: bool,
}

/// What a look at a condition came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Raised,
    Lowered,
    Unchanged,
}

impl Sustained {
    fn look(&mut self, holds: bool, now: Instant, patience: Duration) -> Turn {
        if !holds {
            self.since = None;
            return if std::mem::take(&mut self.raised) { Turn::Lowered } else { Turn::Unchanged };
        }
        let since = *self.since.get_or_insert(now);
        if self.raised || now.duration_since(since) < patience {
            return Turn::Unchanged;
        }
        self.raised = true;
        Turn::Raised
    }
}

/// Watches until `stop`.
pub(crate) async fn watch(watched: Watched, stop: CancellationToken) -> Result<(), Infallible> {
    let (mut log, mut mailbox, mut age) = (Sustained::default(), Sustained::default(), Sustained::default());
    let mut tick = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            _ = tick.tick() => {}
        }
        let now = Instant::now();
        watched.look_at_log(&mut log, now);
        watched.look_at_engine(&mut mailbox, now);
        watched.look_at_jobs(&mut age, now);
    }
}

impl Watched {
    fn look_at_log(&self, state: &mut Sustained, now: Instant) {
        let queues = [self.intents.depth(), self.facts.depth()];
        self.telemetry.metrics.event_queue_depth(queues.iter().map(|(waiting, _)| waiting).sum());
        let is_full = queues.iter().any(|(waiting, most)| waiting * 5 > most * 4);
        let reason = "more than 80 % of the room before the writer of the event log has been taken for 5 s; see whether the database's disk is slow";
        self.turned(state.look(is_full, now, PATIENCE), Component::EventLog, MAILBOX, reason);
    }

    fn look_at_engine(&self, state: &mut Sustained, now: Instant) {
        let status = self.engine.status();
        let is_full =
            status.most_commands_waiting > 0 && status.commands_waiting >= status.most_commands_waiting;
        let reason = "the engine has not kept up with its commands for 5 s";
        self.turned(state.look(is_full, now, PATIENCE), Component::Engine, MAILBOX, reason);
    }

    fn look_at_jobs(&self, state: &mut Sustained, now: Instant) {
        let limit = self.config.snapshot().fs.job_age_limit_seconds;
        let oldest = self.catalog.jobs().oldest_open.map(|made_at| OffsetDateTime::now_utc() - made_at);
        let too_old =
            oldest.filter(|age| limit > 0 && age.whole_seconds() > i64::try_from(limit).unwrap_or(i64::MAX));
        let reason = format!(
            "a job has not ended {} s after its torrent completed; the limit is fs_policy.job_age_limit_seconds {limit}",
            too_old.map_or(0, time::Duration::whole_seconds)
        );
        self.turned(state.look(too_old.is_some(), now, Duration::ZERO), Component::Fsops, AGE, &reason);
    }

    fn turned(&self, turn: Turn, component: Component, cause: &'static str, reason: &str) {
        match turn {
            Turn::Raised => {
                self.telemetry.health.degrade_by(component, cause, reason);
                self.telemetry.guardrails.violated(Guard::QueueDepth, reason);
            }
            Turn::Lowered => self.telemetry.health.clear_by(component, cause),
            Turn::Unchanged => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_last_is_not_told() {
        let (mut state, start) = (Sustained::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(state.look(true, at(0), PATIENCE), Turn::Unchanged);
        assert_eq!(state.look(true, at(4), PATIENCE), Turn::Unchanged);
        assert_eq!(state.look(false, at(5), PATIENCE), Turn::Unchanged);
        assert_eq!(state.look(true, at(6), PATIENCE), Turn::Unchanged);
        assert_eq!(state.look(true, at(11), PATIENCE), Turn::Raised);
        assert_eq!(state.look(true, at(12), PATIENCE), Turn::Unchanged);
        assert_eq!(state.look(false, at(13), PATIENCE), Turn::Lowered);
        assert_eq!(state.look(false, at(14), PATIENCE), Turn::Unchanged);
    }
}
