//! The journal's members.

use revaer_torrent_core::fsops::Step;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use super::Identity;
use crate::safe::{Kind, Metadata};

/// The version of the format; a file of another one is not read.
pub(crate) const SCHEMA: u32 = 1;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "four independent facts about the disk, as a file format has them"
)]
pub(crate) struct Journal {
    pub(crate) schema: u32,
    pub(crate) torrent_id: Uuid,
    pub(crate) policy_revision: i64,
    pub(crate) completed: bool,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) updated_at: OffsetDateTime,
    pub(crate) source_path: String,
    pub(crate) work_dir: String,
    pub(crate) staging_path: String,
    pub(crate) artifact_path: String,
    pub(crate) transfer_mode: String,
    pub(crate) steps: Vec<StepRecord>,
    /// What the entry consists of, or will when `finalise` has run.
    pub(crate) files: Vec<FileRecord>,

    /// The content generation that the attempt is for.
    pub(crate) generation: u32,
    /// Of the wanted names and sizes: an attempt is gone on with only where it is the same.
    pub(crate) fingerprint: String,
    /// The entry itself, from when it is staged.
    pub(crate) entry: Option<Identity>,
    /// The entry was made visible.
    pub(crate) published: bool,
    /// `finalise` adds to an entry that is published already, and renames nothing else.
    pub(crate) adding: bool,
    /// The content itself lies in the library.
    pub(crate) moved: bool,
    /// How far a copy is, durably.
    pub(crate) copied: Progress,
}

/// How much of a copy survives a power cut.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// This many files of the transfer's list are whole.
    pub(crate) files: usize,
    /// This many bytes of the next one are there.
    pub(crate) offset: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StepRecord {
    pub(crate) name: String,
    pub(crate) status: StepStatus,
    pub(crate) detail: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) started_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) updated_at: OffsetDateTime,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StepStatus {
    Started,
    Completed,
    Failed,
    Skipped,
}

impl StepStatus {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileRecord {
    /// Beneath the library root.
    pub(crate) path: String,
    pub(crate) size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sha256: Option<String>,
    /// Where the content came from.
    pub(crate) origin: String,

    /// The file in the library, or in the staging directory on its way there.
    pub(crate) placed: Identity,
    /// The file that it was made from, as it was then.
    pub(crate) source: Identity,
    /// The inode is shared with the download.
    pub(crate) linked: bool,
    /// The older file of ours that it takes the place of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) replaces: Option<Identity>,
}

impl FileRecord {
    /// Whether `found`, on the library's `device`, is the file that was placed.
    pub(crate) fn is_placed(&self, found: &Metadata, device: u64) -> bool {
        if self.linked { self.placed.is_inode(found, device) } else { self.placed.is(found, device) }
    }

    /// Whether `found` is ours at all: placed now or before.
    pub(crate) fn is_ours(&self, found: &Metadata, device: u64) -> bool {
        self.is_placed(found, device) || self.replaces.is_some_and(|old| old.is(found, device))
    }
}

impl Journal {
    /// Whether `found`, on the library's `device`, is the entry: a directory by its inode, a single file like every
    /// file.
    pub(crate) fn is_entry(&self, found: &Metadata, device: u64) -> bool {
        if found.kind == Kind::Directory {
            return self.entry.is_some_and(|entry| entry.is_inode(found, device));
        }
        self.files.iter().any(|record| record.path == self.entry_name() && record.is_ours(found, device))
    }

    /// The entry's name beneath the library root.
    pub(crate) fn entry_name(&self) -> &str {
        self.artifact_path.rsplit('/').next().unwrap_or_default()
    }

    /// The last word about a step.
    pub(crate) fn step(&self, step: Step) -> Option<StepStatus> {
        self.steps.iter().find(|record| record.name == step.name()).map(|record| record.status)
    }

    /// Notes a step's status, in place where it was noted before.
    pub(crate) fn note(
        &mut self,
        step: Step,
        status: StepStatus,
        detail: Option<String>,
        now: OffsetDateTime,
    ) {
        self.updated_at = now;
        match self.steps.iter_mut().find(|record| record.name == step.name()) {
            Some(record) => {
                record.status = status;
                record.detail = detail;
                record.updated_at = now;
            }
            None => self.steps.push(StepRecord {
                name: step.name().to_owned(),
                status,
                detail,
                started_at: now,
                updated_at: now,
            }),
        }
    }
}
