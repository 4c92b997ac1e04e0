//! What the orchestrator remembers of one torrent: what is under way, and what it gave the engine.

use std::{path::PathBuf, sync::Arc};

use revaer_catalog::TorrentRecord;
use revaer_torrent_core::{Action, FilePriority, Layout};
use tokio::time::Instant;

use super::compare::wants_the_same;

/// The content as it was given to the engine.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    /// Where it was told to save.
    pub(crate) save_dir: PathBuf,
    /// Offsets and priorities; `None` for a magnet whose metadata is unknown.
    pub(crate) content: Option<Arc<GivenContent>>,
}

/// Which bytes are wanted.
#[derive(Debug)]
pub(crate) struct GivenContent {
    pub(crate) layout: Layout,
    pub(crate) priorities: Vec<FilePriority>,
    pub(crate) selection_version: u64,
}

/// One torrent's state here.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "several things can be under way independently of each other"
)]
pub(crate) struct Slot {
    /// An action is under way; the next one waits for its end.
    pub(crate) busy: bool,
    /// The last action, and what it went by.
    pub(crate) tried: Option<(Action, Arc<TorrentRecord>)>,
    /// Something else is wanted since that action began.
    pub(crate) again: bool,
    /// That action failed in a way that may pass: not before this.
    pub(crate) not_before: Option<Instant>,
    /// How often in a row it failed.
    pub(crate) failures: u32,
    /// It waits for something of its own: while others wait for a turn it yields, and only asks for that.
    pub(crate) held_back: bool,
    /// It waits for room among the actions.
    pub(crate) in_backlog: bool,
    /// Since it was last a member, or since the start, the ledger has been told that it is none.
    pub(crate) told_out: bool,
    /// What the engine was given; `None` while the torrent is not a member.
    pub(crate) given: Option<Given>,
    /// The selection whose files have been found on disk, whole.
    pub(crate) verified: Option<u64>,
    /// The files are being looked at.
    pub(crate) verifying: bool,
    /// They could not be looked at; they are again at this time.
    pub(crate) verify_at: Option<Instant>,
    /// A pipeline job is being worked on.
    pub(crate) job_running: bool,
    /// That job takes the content itself away: until it ends the torrent is no member.
    pub(crate) job_alone: bool,
    /// A waiting job is not tried before this.
    pub(crate) job_not_before: Option<Instant>,
}

impl Slot {
    /// Whether something else is wanted of it than when the last action began.
    pub(crate) fn is_wanted_otherwise(&self, record: &TorrentRecord) -> bool {
        self.tried.as_ref().is_some_and(|(_, tried)| !wants_the_same(tried, record))
    }

    /// What failed is to be done at once: something else is wanted by now.
    pub(crate) const fn start_anew(&mut self) {
        self.not_before = None;
        self.failures = 0;
    }

    /// Until when an action rests, since it has just failed.
    pub(crate) fn rests_until(&self, action: Action, now: Instant) -> Option<Instant> {
        let has_failed = self.tried.as_ref().is_some_and(|(tried, _)| *tried == action);
        self.not_before.filter(|at| has_failed && *at > now)
    }

    /// Whether nothing is under way.
    pub(crate) const fn is_idle(&self) -> bool {
        !self.busy && !self.verifying && !self.job_running
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use revaer_torrent_core::Wanted;

    use super::{super::observe::tests::record, *};

    #[test]
    fn what_failed_rests_until_something_else_is_wanted() {
        let (now, record) = (Instant::now(), Arc::new(record()));
        let at = now + Duration::from_mins(1);
        let mut slot = Slot {
            tried: Some((Action::Add, Arc::clone(&record))),
            not_before: Some(at),
            failures: 9,
            ..Slot::default()
        };
        assert_eq!(slot.rests_until(Action::Add, now), Some(at));
        assert_eq!(slot.rests_until(Action::Remove, now), None, "another action has not failed");
        assert_eq!(slot.rests_until(Action::Add, at), None);

        let mut seen = TorrentRecord::clone(&record);
        seen.last.at += Duration::from_mins(1);
        assert!(!slot.is_wanted_otherwise(&seen), "counters make no difference");
        seen.wish.wanted = Wanted::Stopped;
        assert!(slot.is_wanted_otherwise(&seen));
        slot.start_anew();
        assert_eq!((slot.rests_until(Action::Add, now), slot.failures), (None, 0));
    }
}
