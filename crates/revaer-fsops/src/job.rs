//! The row of a job: whether the pipeline is to run for a content generation, and how it went.

use std::{fmt, path::Path};

use revaer_torrent_core::TorrentId;
use serde_json::Value;
use time::OffsetDateTime;

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JobStatus {
    /// To be worked on.
    Queued,
    /// It failed in a way that may pass; it is tried again.
    Waiting,
    /// Claimed; after a crash it is taken up again.
    Running,
    /// The entry stands.
    Completed,
    /// It was refused, and stays so until a person acts.
    Failed,
    /// Called off by request.
    Canceled,
}

impl JobStatus {
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

    /// The status called `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }
}

impl fmt::Display for JobStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A row of `fsops_jobs`.
#[derive(Debug, Clone, PartialEq)]
pub struct JobRow {
    /// Rises with every job.
    pub id: i64,
    /// Whose content.
    pub torrent: TorrentId,
    /// Which generation of it.
    pub generation: u32,
    /// Where the job stands.
    pub status: JobStatus,
    /// How often it was claimed.
    pub attempts: u32,
    /// The settings that it was claimed with.
    pub policy: Option<Value>,
    /// The step it is at, or stopped at.
    pub step: Option<String>,
    /// Why it stopped.
    pub message: Option<String>,
    /// The entry's path, once it stands.
    pub library_path: Option<String>,
    /// A waiting job is not tried again before this.
    pub not_before: Option<OffsetDateTime>,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When the row last changed.
    pub updated_at: OffsetDateTime,
}

/// How a job's attempt ended, for its row. A stopped attempt has none: its row stays running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobEnd<'a> {
    /// The entry stands.
    Completed {
        /// Its path.
        library_path: &'a Path,
    },
    /// Refused for good.
    Failed {
        /// The step.
        step: &'a str,
        /// Why.
        message: &'a str,
    },
    /// To be tried again.
    Waiting {
        /// The step.
        step: &'a str,
        /// Why.
        message: &'a str,
        /// Not before this.
        not_before: OffsetDateTime,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways() {
        for status in JobStatus::ALL {
            assert_eq!(JobStatus::from_name(status.name()), Some(status));
        }
        assert_eq!(JobStatus::from_name("done"), None);
    }
}
