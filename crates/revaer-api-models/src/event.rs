//! Events as the stream carries them: an id that only grows, a time, and what happened.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{EventKind, FileSelection, RateLimit, RequestId, StateKind};

/// Name of the frame that says that events are missing; its data is a [`Gap`].
pub const GAP_EVENT: &str = "gap";

/// The data of one frame.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EventEnvelope {
    /// Its place among all events, below 2^53.
    pub id: u64,
    /// When it happened.
    #[serde(with = "crate::timestamp")]
    pub timestamp: OffsetDateTime,
    /// The request that caused it, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
    /// What happened.
    pub event: Event,
}

/// The stream could not begin where it was asked to: list anew, then go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Gap {
    /// The id after which events were asked for.
    pub requested: u64,
    /// The oldest event that is still known.
    pub oldest: u64,
}

/// A file of a torrent whose metadata became known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DiscoveredFile {
    /// Its path with `/`, beginning with the torrent's root folder where it has one.
    pub path: String,
    /// Its full size.
    pub size_bytes: u64,
}

/// What a torrent turned to: a word, or for a failure `{"failed":{"message":…}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventState {
    /// It cannot go on.
    Failed {
        /// Why.
        message: String,
    },
    /// Paused by request.
    Stopped,
    /// Data on disk is being compared with the piece hashes.
    Checking,
    /// A magnet's metadata is being fetched from peers.
    FetchingMetadata,
    /// It waits for a free slot.
    Queued,
    /// Wanted files are being fetched.
    Downloading,
    /// All wanted files are present and offered to peers.
    Seeding,
    /// All wanted files are present and no longer offered.
    Completed,
}

impl EventState {
    /// The state of a kind; `message` is kept for a failure only.
    pub fn new(kind: StateKind, message: impl Into<String>) -> Self {
        match kind {
            StateKind::Failed => Self::Failed { message: message.into() },
            StateKind::Stopped => Self::Stopped,
            StateKind::Checking => Self::Checking,
            StateKind::FetchingMetadata => Self::FetchingMetadata,
            StateKind::Queued => Self::Queued,
            StateKind::Downloading => Self::Downloading,
            StateKind::Seeding => Self::Seeding,
            StateKind::Completed => Self::Completed,
        }
    }

    /// The same without the reason.
    pub const fn kind(&self) -> StateKind {
        match self {
            Self::Failed { .. } => StateKind::Failed,
            Self::Stopped => StateKind::Stopped,
            Self::Checking => StateKind::Checking,
            Self::FetchingMetadata => StateKind::FetchingMetadata,
            Self::Queued => StateKind::Queued,
            Self::Downloading => StateKind::Downloading,
            Self::Seeding => StateKind::Seeding,
            Self::Completed => StateKind::Completed,
        }
    }
}

/// What happened, told apart by `type`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// A torrent was added.
    TorrentAdded {
        /// Which torrent.
        torrent_id: Uuid,
        /// Its display name.
        name: String,
    },
    /// A torrent's files became known.
    FilesDiscovered {
        /// Which torrent.
        torrent_id: Uuid,
        /// Its files, in its own order.
        files: Vec<DiscoveredFile>,
    },
    /// A torrent moved on: at most 10 a second per torrent, and the latest wins.
    Progress {
        /// Which torrent.
        torrent_id: Uuid,
        /// Wanted bytes present and verified.
        bytes_downloaded: u64,
        /// Wanted bytes in all.
        bytes_total: u64,
        /// Payload received, in bytes per second.
        download_bps: u64,
        /// Payload sent, in bytes per second.
        upload_bps: u64,
        /// Seconds to completion at the present rate, where there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        eta_seconds: Option<u64>,
    },
    /// A torrent's state changed.
    StateChanged {
        /// Which torrent.
        torrent_id: Uuid,
        /// What it turned to.
        state: EventState,
    },
    /// All wanted files of a torrent are present.
    Completed {
        /// Which torrent.
        torrent_id: Uuid,
        /// The finished content; the library entry comes with `fsops_completed`.
        library_path: String,
    },
    /// A torrent is gone.
    TorrentRemoved {
        /// Which torrent.
        torrent_id: Uuid,
        /// Whether what it downloaded was deleted.
        data_deleted: bool,
    },
    /// Something that clients set on a torrent changed; only what changed is present.
    MetadataUpdated {
        /// Which torrent.
        torrent_id: Uuid,
        /// The new display name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// The new selection.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        selection: Option<FileSelection>,
        /// The new rate limits.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rate_limit: Option<RateLimit>,
        /// Whether pieces are now asked for in order.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sequential: Option<bool>,
        /// The new announce URLs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        trackers: Option<Vec<String>>,
        /// The new labels.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tags: Option<Vec<String>>,
    },
    /// What was stored about a torrent and what the engine had differed.
    SelectionReconciled {
        /// Which torrent.
        torrent_id: Uuid,
        /// What differed, and what won.
        reason: String,
    },
    /// A torrent's way into the library began.
    FsopsStarted {
        /// Which torrent.
        torrent_id: Uuid,
    },
    /// A library job moved on.
    FsopsProgress {
        /// Which torrent.
        torrent_id: Uuid,
        /// The step at work.
        step: String,
        /// How much of it is done.
        bytes_done: u64,
        /// How much it is in all.
        bytes_total: u64,
    },
    /// A torrent's library entry is whole.
    FsopsCompleted {
        /// Which torrent.
        torrent_id: Uuid,
        /// The finished entry.
        library_path: String,
    },
    /// A library job was given up.
    FsopsFailed {
        /// Which torrent.
        torrent_id: Uuid,
        /// The step that could not be done.
        step: String,
        /// Why.
        message: String,
    },
    /// Settings changed.
    SettingsChanged {
        /// What was done, in words.
        description: String,
        /// The revision in force now.
        revision: i64,
        /// The sections that changed; empty when nothing differed.
        sections: Vec<String>,
    },
    /// The set of components that are not well changed.
    HealthChanged {
        /// The whole set.
        degraded: Vec<String>,
    },
}

impl Event {
    /// Its kind, which is also the frame's `event:` line.
    pub const fn kind(&self) -> EventKind {
        match self {
            Self::TorrentAdded { .. } => EventKind::TorrentAdded,
            Self::FilesDiscovered { .. } => EventKind::FilesDiscovered,
            Self::Progress { .. } => EventKind::Progress,
            Self::StateChanged { .. } => EventKind::StateChanged,
            Self::Completed { .. } => EventKind::Completed,
            Self::TorrentRemoved { .. } => EventKind::TorrentRemoved,
            Self::MetadataUpdated { .. } => EventKind::MetadataUpdated,
            Self::SelectionReconciled { .. } => EventKind::SelectionReconciled,
            Self::FsopsStarted { .. } => EventKind::FsopsStarted,
            Self::FsopsProgress { .. } => EventKind::FsopsProgress,
            Self::FsopsCompleted { .. } => EventKind::FsopsCompleted,
            Self::FsopsFailed { .. } => EventKind::FsopsFailed,
            Self::SettingsChanged { .. } => EventKind::SettingsChanged,
            Self::HealthChanged { .. } => EventKind::HealthChanged,
        }
    }

    /// The torrent it is about, where it is about one.
    pub const fn torrent_id(&self) -> Option<Uuid> {
        match self {
            Self::TorrentAdded { torrent_id, .. }
            | Self::FilesDiscovered { torrent_id, .. }
            | Self::Progress { torrent_id, .. }
            | Self::StateChanged { torrent_id, .. }
            | Self::Completed { torrent_id, .. }
            | Self::TorrentRemoved { torrent_id, .. }
            | Self::MetadataUpdated { torrent_id, .. }
            | Self::SelectionReconciled { torrent_id, .. }
            | Self::FsopsStarted { torrent_id }
            | Self::FsopsProgress { torrent_id, .. }
            | Self::FsopsCompleted { torrent_id, .. }
            | Self::FsopsFailed { torrent_id, .. } => Some(*torrent_id),
            Self::SettingsChanged { .. } | Self::HealthChanged { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests;
