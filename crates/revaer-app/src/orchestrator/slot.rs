//! What the orchestrator remembers of one torrent: what is under way, and what it gave the engine.

use std::{path::PathBuf, sync::Arc};

use revaer_torrent_core::{FilePriority, Layout};
use tokio::time::Instant;

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
    /// Something changed meanwhile.
    pub(crate) again: bool,
    /// The last action failed in a way that may pass: not before this.
    pub(crate) not_before: Option<Instant>,
    /// How often in a row it failed.
    pub(crate) failures: u32,
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
    /// Whether nothing is under way.
    pub(crate) const fn is_idle(&self) -> bool {
        !self.busy && !self.verifying && !self.job_running
    }
}
