//! What a torrent is doing, as clients see it: one word, and for a failure its reason.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a torrent is doing. The server derives it from the engine's state and flags in one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StateKind {
    /// It cannot go on; `failure_message` says why.
    Failed,
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
    /// All wanted files are present; the seeding goal is reached or uploading is off.
    Completed,
}

impl StateKind {
    /// Every kind, in the order in which the server judges them.
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

    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
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
}

impl fmt::Display for StateKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that is no torrent state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not a torrent state; use one of failed, stopped, checking, fetching_metadata, queued, downloading, seeding, completed"
)]
pub struct UnknownStateKind(pub String);

impl FromStr for StateKind {
    type Err = UnknownStateKind;

    /// Takes the wire's word in any case, as list filters do.
    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str().eq_ignore_ascii_case(word))
            .ok_or_else(|| UnknownStateKind(word.to_owned()))
    }
}

/// A torrent's state with the reason of a failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TorrentState {
    /// What it is doing.
    pub kind: StateKind,
    /// Why it failed; present exactly when `kind` is `failed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_message: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_one_word_on_the_wire() {
        for kind in StateKind::ALL {
            let json = serde_json::to_string(&kind).unwrap();
            assert_eq!(json, format!("\"{kind}\""));
            assert_eq!(kind.as_str().to_uppercase().parse(), Ok(kind));
        }
    }

    #[test]
    fn another_word_is_refused_with_the_known_ones() {
        let error = "sleeping".parse::<StateKind>().unwrap_err();
        assert!(error.to_string().starts_with("'sleeping' is not a torrent state; use one of"));
        for kind in StateKind::ALL {
            assert!(error.to_string().contains(kind.as_str()));
        }
    }
}
