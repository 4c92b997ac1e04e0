//! What can happen. Kinds and members are the contract's; the stored form is this crate's own.

use std::{mem::size_of, sync::Arc};

use revaer_torrent_core::{StateKind, TorrentId};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

/// An event with its place in the order.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    /// Its number: below 2^53, and only ever growing.
    pub id: u64,
    /// When it happened.
    pub at: OffsetDateTime,
    /// The request that caused it.
    pub request_id: Option<String>,
    /// What happened.
    pub event: Event,
}

impl Envelope {
    /// Bytes of memory that it holds, within a few dozen.
    pub(crate) fn weight(&self) -> usize {
        size_of::<Self>() + self.request_id.as_ref().map_or(0, String::len) + self.event.heap()
    }
}

/// One file of a torrent, as an event tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventFile {
    /// Path inside the torrent.
    pub path: String,
    /// Its length.
    pub size_bytes: u64,
}

/// The members of a torrent that changed; absent ones did not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetadataChange {
    /// A new name.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub name: Option<String>,
    /// New caps: download and upload, `null` for none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rate_limit: Option<(Option<u64>, Option<u64>)>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[expect(missing_docs, reason = "kinds and members are the contract's")]
pub enum Event {
    TorrentAdded {
        torrent_id: Uuid,
        name: String,
    },
    FilesDiscovered {
        torrent_id: Uuid,
        files: Arc<[EventFile]>,
    },
    Progress {
        torrent_id: Uuid,
        bytes_downloaded: u64,
        bytes_total: u64,
        download_bps: u64,
        upload_bps: u64,
        eta_seconds: Option<u64>,
    },
    StateChanged {
        torrent_id: Uuid,
        state: String,
        message: Option<String>,
    },
    Completed {
        torrent_id: Uuid,
        library_path: String,
    },
    TorrentRemoved {
        torrent_id: Uuid,
        data_deleted: bool,
    },
    MetadataUpdated {
        torrent_id: Uuid,
        change: MetadataChange,
    },
    SelectionReconciled {
        torrent_id: Uuid,
        reason: String,
    },
    FsopsStarted {
        torrent_id: Uuid,
    },
    FsopsProgress {
        torrent_id: Uuid,
        step: String,
        bytes_done: u64,
        bytes_total: u64,
    },
    FsopsCompleted {
        torrent_id: Uuid,
        library_path: String,
    },
    FsopsFailed {
        torrent_id: Uuid,
        step: String,
        message: String,
    },
    SettingsChanged {
        description: String,
        revision: i64,
        sections: Vec<String>,
    },
    HealthChanged {
        degraded: Vec<String>,
    },
}

impl Event {
    /// Every kind that there is.
    pub const KINDS: [&'static str; 14] = [
        "torrent_added",
        "files_discovered",
        "progress",
        "state_changed",
        "completed",
        "torrent_removed",
        "metadata_updated",
        "selection_reconciled",
        "fsops_started",
        "fsops_progress",
        "fsops_completed",
        "fsops_failed",
        "settings_changed",
        "health_changed",
    ];

    /// The kind, as on the wire.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::TorrentAdded { .. } => "torrent_added",
            Self::FilesDiscovered { .. } => "files_discovered",
            Self::Progress { .. } => "progress",
            Self::StateChanged { .. } => "state_changed",
            Self::Completed { .. } => "completed",
            Self::TorrentRemoved { .. } => "torrent_removed",
            Self::MetadataUpdated { .. } => "metadata_updated",
            Self::SelectionReconciled { .. } => "selection_reconciled",
            Self::FsopsStarted { .. } => "fsops_started",
            Self::FsopsProgress { .. } => "fsops_progress",
            Self::FsopsCompleted { .. } => "fsops_completed",
            Self::FsopsFailed { .. } => "fsops_failed",
            Self::SettingsChanged { .. } => "settings_changed",
            Self::HealthChanged { .. } => "health_changed",
        }
    }

    /// The torrent it is about; settings and health are about none.
    pub fn torrent(&self) -> Option<TorrentId> {
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
            | Self::FsopsFailed { torrent_id, .. } => Some(TorrentId::from_trusted(*torrent_id)),
            Self::SettingsChanged { .. } | Self::HealthChanged { .. } => None,
        }
    }

    /// The state it carries, for the `state` filter.
    pub fn state(&self) -> Option<StateKind> {
        match self {
            Self::StateChanged { state, .. } => StateKind::from_name(state),
            _ => None,
        }
    }

    /// Bytes that it holds besides itself. Costs one step per file.
    fn heap(&self) -> usize {
        let texts = |texts: &[String]| texts.iter().map(|text| size_of::<String>() + text.len()).sum();
        match self {
            Self::TorrentAdded { name: text, .. }
            | Self::Completed { library_path: text, .. }
            | Self::FsopsCompleted { library_path: text, .. }
            | Self::SelectionReconciled { reason: text, .. }
            | Self::FsopsProgress { step: text, .. } => text.len(),
            Self::FilesDiscovered { files, .. } => {
                files.iter().map(|file| size_of::<EventFile>() + file.path.len()).sum()
            }
            Self::StateChanged { state, message, .. } => {
                state.len() + message.as_ref().map_or(0, String::len)
            }
            Self::MetadataUpdated { change, .. } => change.name.as_ref().map_or(0, String::len),
            Self::FsopsFailed { step, message, .. } => step.len() + message.len(),
            Self::SettingsChanged { description, sections, .. } => description.len() + texts(sections),
            Self::HealthChanged { degraded } => texts(degraded),
            Self::Progress { .. } | Self::TorrentRemoved { .. } | Self::FsopsStarted { .. } => 0,
        }
    }

    /// Whether it is stored. What the next one supersedes is numbered and kept in memory only.
    pub const fn is_durable(&self) -> bool {
        !matches!(self, Self::Progress { .. } | Self::FsopsProgress { .. })
    }
}
