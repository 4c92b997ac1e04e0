//! A torrent's way from its download directory into the library.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

/// Where a torrent's library job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FsopsStatus {
    /// It waits for its turn.
    Queued,
    /// It cannot go on for now; `message` says what it waits for.
    Waiting,
    /// Its steps are being run.
    Running,
    /// The library entry is whole.
    Completed,
    /// It was given up; `message` says why.
    Failed,
    /// It was called off, because the torrent was removed or asked for again.
    Canceled,
}

impl FsopsStatus {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }
}

/// What became of one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FsopsStepStatus {
    /// It was begun.
    Started,
    /// It is done.
    Completed,
    /// It could not be done; `detail` says why.
    Failed,
    /// It was not needed; `detail` says why.
    Skipped,
}

/// One step of a library job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FsopsStep {
    /// The step's name, such as `transfer`.
    pub name: String,
    /// What became of it.
    pub status: FsopsStepStatus,
    /// What it did, or why it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// When it was begun.
    #[serde(with = "crate::timestamp::option", default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<OffsetDateTime>,
    /// When it last changed.
    #[serde(with = "crate::timestamp::option", default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<OffsetDateTime>,
}

/// A torrent's library job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FsopsSummary {
    /// Where it stands.
    pub status: FsopsStatus,
    /// What was done so far, in order.
    #[serde(default)]
    pub steps: Vec<FsopsStep>,
    /// What it waits for, or why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The finished entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub library_path: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_of_a_status_is_the_wires() {
        for status in [
            FsopsStatus::Queued,
            FsopsStatus::Waiting,
            FsopsStatus::Running,
            FsopsStatus::Completed,
            FsopsStatus::Failed,
            FsopsStatus::Canceled,
        ] {
            let json = serde_json::to_value(status).unwrap();
            assert_eq!(json, status.as_str());
        }
    }
}
