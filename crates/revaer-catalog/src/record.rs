//! A torrent's durable record: one row, and the whole truth about what is wanted of it.

use std::{net::SocketAddr, path::PathBuf};

use revaer_torrent_core::{
    Bytes, ContentPath, InfoHashes, RateLimits, SelectionRules, Source, StateKind, TorrentId, Wanted,
    fsops::MoveMode,
};
use time::OffsetDateTime;

/// A torrent as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct TorrentRecord {
    /// Its id.
    pub id: TorrentId,
    /// What it is called: given by the client, else by the link, else by the metainfo.
    pub name: String,
    /// Its identity in the swarm.
    pub info_hashes: InfoHashes,
    /// Where it came from.
    pub source: Source,
    /// All its trackers.
    pub trackers: Vec<String>,
    /// Peers that its source names.
    pub peers: Vec<SocketAddr>,
    /// Labels.
    pub tags: Vec<String>,
    /// Where its content goes and lies.
    pub placement: Placement,
    /// What is wanted of it.
    pub wish: Wish,
    /// What is known of its content.
    pub content: ContentFacts,
    /// Why it cannot go on; cleared by a resume.
    pub failure: Option<String>,
    /// The elder torrent with the same content, where that only showed when metadata arrived. The content is the
    /// elder's alone; this one has failed and answers to no info-hash.
    pub same_as: Option<TorrentId>,
    /// When it was added, cut to microseconds, so that it is the same in memory and in the database.
    pub added_at: OffsetDateTime,
    /// When its wanted content was first there.
    pub completed_at: Option<OffsetDateTime>,
    /// What was last seen of it.
    pub last: LastObservation,
    /// How the pipeline stands, where it has been asked.
    pub fsops: Option<FsopsSummary>,
}

/// Where content goes and lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// Where it was asked to go.
    pub download_dir: PathBuf,
    /// Where it lies, once that is decided; needs metadata.
    pub content: Option<ContentPath>,
    /// The library entry, once there is one.
    pub library_path: Option<PathBuf>,
    /// The content is the library entry itself (`move`).
    pub content_in_library: bool,
}

impl Placement {
    /// The paths that are this torrent's: its content, and its library entry.
    pub fn paths(&self) -> impl Iterator<Item = PathBuf> {
        self.content.as_ref().map(ContentPath::root).into_iter().chain(self.library_path.clone())
    }
}

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// Run, stop, or go.
    pub wanted: Wanted,
    /// Pieces in order.
    pub sequential: bool,
    /// Believe that the content is there.
    pub seed_mode: bool,
    /// Its own caps.
    pub limits: RateLimits,
    /// Which files.
    pub selection: SelectionRules,
    /// Rises with every change of `selection`.
    pub selection_version: u64,
}

/// What is known of the content.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct ContentFacts {
    /// Whether the .torrent is stored.
    pub has_metainfo: bool,
    /// Only its own trackers may be used.
    pub private: bool,
    /// Whether the content's root is a directory.
    pub is_directory: bool,
    /// Extensions of its files, lower case, without the dot, each once.
    pub extensions: Vec<String>,
    /// Size of the wanted files, once metadata is known.
    pub wanted_bytes: Option<Bytes>,
    /// Raised whenever wanted content becomes complete after having been incomplete.
    pub generation: u32,
    /// Whether it is complete now.
    pub complete: bool,
}

/// What was last seen of a torrent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastObservation {
    /// Its state.
    pub kind: StateKind,
    /// Bytes of wanted content that were there.
    pub done: Bytes,
    /// Payload received over its life.
    pub downloaded: Bytes,
    /// Payload sent over its life.
    pub uploaded: Bytes,
    /// When the record changed.
    pub at: OffsetDateTime,
}

/// How the pipeline stands with a torrent's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FsopsSummary {
    /// Its status.
    pub status: FsopsStatus,
    /// The step it is at, or failed at.
    pub step: Option<String>,
    /// Why it failed or waits.
    pub message: Option<String>,
    /// How it takes the content, once it has been started; a later change of settings does not reach it.
    pub claim: Option<MoveMode>,
}

impl FsopsSummary {
    /// A summary without step or reason.
    pub const fn of(status: FsopsStatus, claim: Option<MoveMode>) -> Self {
        Self { status, step: None, message: None, claim }
    }
}

/// Status of a pipeline job; the names are the contract's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FsopsStatus {
    /// Its turn has not come.
    Queued,
    /// It needs something that is away.
    Waiting,
    /// It is being worked on.
    Running,
    /// The entry is in the library.
    Completed,
    /// It cannot be done.
    Failed,
    /// Stopped by request.
    Canceled,
}

impl FsopsStatus {
    /// Every status.
    pub const ALL: [Self; 6] =
        [Self::Queued, Self::Waiting, Self::Running, Self::Completed, Self::Failed, Self::Canceled];

    /// The name on the wire and in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }

    /// Whether nothing more will be done.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Canceled)
    }

    /// The status of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }
}

impl TorrentRecord {
    /// Whether it is a tombstone, which nobody sees.
    pub const fn is_tombstone(&self) -> bool {
        matches!(self.wish.wanted, Wanted::Removed { .. })
    }

    /// Whether its info-hashes are its identity: of all torrents with a hash, one's at most.
    pub const fn owns_hashes(&self) -> bool {
        !self.is_tombstone() && self.same_as.is_none()
    }
}
