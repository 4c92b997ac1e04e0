//! Where a new attempt enters: decided from the journal alone. Pure.

use revaer_torrent_core::fsops::Step;

use crate::journal::{Journal, Progress, StepStatus};

/// Where an attempt enters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resume {
    /// The same job finished before.
    Done,
    /// Everything is staged durably; only `finalise` is left, or a part of it.
    Publish,
    /// A copy stopped half-way; this much of it is durable.
    Copy(Progress),
    /// At the beginning.
    Fresh,
}

/// What has to be the same for an attempt to go on with an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attempt<'a> {
    pub(crate) generation: u32,
    pub(crate) fingerprint: &'a str,
    pub(crate) source_path: &'a str,
    pub(crate) artifact_path: &'a str,
    pub(crate) transfer_mode: &'a str,
}

pub(crate) fn decide(old: &Journal, new: &Attempt<'_>) -> Resume {
    let earlier = Attempt {
        generation: old.generation,
        fingerprint: &old.fingerprint,
        source_path: &old.source_path,
        artifact_path: &old.artifact_path,
        transfer_mode: &old.transfer_mode,
    };
    if earlier != *new {
        return Resume::Fresh;
    }
    if old.completed {
        return Resume::Done;
    }
    match old.step(Step::Transfer) {
        Some(StepStatus::Completed) => Resume::Publish,
        // Where something was published before, the list of what is copied depends on what still stands there.
        Some(StepStatus::Started | StepStatus::Failed)
            if !old.published && old.copied != Progress::default() =>
        {
            Resume::Copy(old.copied)
        }
        Some(StepStatus::Started | StepStatus::Failed | StepStatus::Skipped) | None => Resume::Fresh,
    }
}
