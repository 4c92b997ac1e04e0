//! A torrent's state as libtorrent has it, and the one word that the wire shows.

use crate::{StateKind as Kind, Wanted};

/// libtorrent's own state (`torrent_status::state_t`). Paused, queued and errored are flags beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EngineState {
    /// The resume data is compared with the files.
    CheckingResumeData,
    /// The content is hashed.
    CheckingFiles,
    /// A magnet waits for its info dictionary.
    DownloadingMetadata,
    /// Wanted pieces are missing.
    Downloading,
    /// Every wanted piece is there, others are not.
    Finished,
    /// Every piece is there.
    Seeding,
}

/// What the torrent is doing, in one word; the names are the contract's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StateKind {
    /// It cannot go on without help; the reason stands beside it.
    Failed,
    /// Paused by request.
    Stopped,
    /// Its files are compared with its hashes.
    Checking,
    /// It waits for its info dictionary from a peer.
    FetchingMetadata,
    /// It waits for its turn, or for the engine.
    Queued,
    /// Wanted bytes are missing.
    Downloading,
    /// Every wanted byte is there and is offered to peers.
    Seeding,
    /// Every wanted byte is there, and nothing is offered.
    Completed,
}

impl StateKind {
    /// Every kind, in the order in which they apply.
    pub const ALL: [Self; 8] = [
        Self::Failed,
        Self::Stopped,
        Self::Checking,
        Self::FetchingMetadata,
        Self::Queued,
        Self::Downloading,
        Self::Seeding,
        Self::Completed,
    ];

    /// The name on the wire, in the database and in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Stopped => "stopped",
            Self::Checking => "checking",
            Self::FetchingMetadata => "fetching_metadata",
            Self::Queued => "queued",
            Self::Downloading => "downloading",
            Self::Seeding => "seeding",
            Self::Completed => "completed",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// What [`derive_kind`] looks at beside the wanted state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transfer {
    /// What the engine says; `None` while the torrent is not in the session.
    pub engine: Option<EngineState>,
    /// It has failed, with a reason kept elsewhere.
    pub failed: bool,
    /// Metadata is known, the selection is in force, and every wanted byte is there.
    pub complete: bool,
    /// Sending payload is switched off (an upload cap of 0, or a seeding goal that was reached).
    pub upload_off: bool,
}

/// The one function that derives the wire's word: the first kind that applies.
pub fn derive_kind(wanted: Wanted, transfer: Transfer) -> Kind {
    if transfer.failed {
        return Kind::Failed;
    }
    if wanted == Wanted::Stopped {
        return Kind::Stopped;
    }
    match transfer.engine {
        Some(EngineState::CheckingResumeData | EngineState::CheckingFiles) => Kind::Checking,
        Some(EngineState::DownloadingMetadata) => Kind::FetchingMetadata,
        None => Kind::Queued,
        Some(_) if transfer.complete && transfer.upload_off => Kind::Completed,
        Some(_) if transfer.complete => Kind::Seeding,
        Some(EngineState::Downloading | EngineState::Finished | EngineState::Seeding) => Kind::Downloading,
    }
}

#[cfg(test)]
mod tests;
