//! The names of events: in the stream's `event:` lines, in the bodies' `type`, and in filters.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What kind of event it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A torrent was added.
    TorrentAdded,
    /// A torrent's files became known.
    FilesDiscovered,
    /// A torrent moved on.
    Progress,
    /// A torrent's state changed.
    StateChanged,
    /// All wanted files of a torrent are present.
    Completed,
    /// A torrent is gone.
    TorrentRemoved,
    /// Something that clients set on a torrent changed.
    MetadataUpdated,
    /// What was stored about a torrent and what the engine had differed.
    SelectionReconciled,
    /// A torrent's way into the library began.
    FsopsStarted,
    /// A library job moved on.
    FsopsProgress,
    /// A torrent's library entry is whole.
    FsopsCompleted,
    /// A library job was given up.
    FsopsFailed,
    /// Settings changed.
    SettingsChanged,
    /// The set of components that are not well changed.
    HealthChanged,
}

impl EventKind {
    /// Every kind.
    pub const ALL: [Self; 14] = [
        Self::TorrentAdded,
        Self::FilesDiscovered,
        Self::Progress,
        Self::StateChanged,
        Self::Completed,
        Self::TorrentRemoved,
        Self::MetadataUpdated,
        Self::SelectionReconciled,
        Self::FsopsStarted,
        Self::FsopsProgress,
        Self::FsopsCompleted,
        Self::FsopsFailed,
        Self::SettingsChanged,
        Self::HealthChanged,
    ];

    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TorrentAdded => "torrent_added",
            Self::FilesDiscovered => "files_discovered",
            Self::Progress => "progress",
            Self::StateChanged => "state_changed",
            Self::Completed => "completed",
            Self::TorrentRemoved => "torrent_removed",
            Self::MetadataUpdated => "metadata_updated",
            Self::SelectionReconciled => "selection_reconciled",
            Self::FsopsStarted => "fsops_started",
            Self::FsopsProgress => "fsops_progress",
            Self::FsopsCompleted => "fsops_completed",
            Self::FsopsFailed => "fsops_failed",
            Self::SettingsChanged => "settings_changed",
            Self::HealthChanged => "health_changed",
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that is no event kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not an event kind; use one of torrent_added, files_discovered, progress, state_changed, completed, torrent_removed, metadata_updated, selection_reconciled, fsops_started, fsops_progress, fsops_completed, fsops_failed, settings_changed, health_changed"
)]
pub struct UnknownEventKind(pub String);

impl FromStr for EventKind {
    type Err = UnknownEventKind;

    /// Takes the wire's name in any case, as filters do.
    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str().eq_ignore_ascii_case(word))
            .ok_or_else(|| UnknownEventKind(word.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_one_name_on_the_wire() {
        for kind in EventKind::ALL {
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{kind}\""));
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
    }

    #[test]
    fn another_word_is_refused_with_the_known_ones() {
        let error = "explosion".parse::<EventKind>().unwrap_err().to_string();
        for kind in EventKind::ALL {
            assert!(error.contains(kind.as_str()), "{kind}");
        }
    }
}
