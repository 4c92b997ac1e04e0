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

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::*;

    const WANTED: Attempt<'_> = Attempt {
        generation: 3,
        fingerprint: "f",
        source_path: "/downloads/Show",
        artifact_path: "/library/Show",
        transfer_mode: "copy",
    };

    fn journal(transfer: Option<StepStatus>) -> Journal {
        let mut journal = Journal {
            schema: 1,
            torrent_id: uuid::Uuid::from_u128(1),
            policy_revision: 1,
            completed: false,
            updated_at: OffsetDateTime::UNIX_EPOCH,
            source_path: WANTED.source_path.to_owned(),
            work_dir: String::new(),
            staging_path: String::new(),
            artifact_path: WANTED.artifact_path.to_owned(),
            transfer_mode: WANTED.transfer_mode.to_owned(),
            steps: Vec::new(),
            files: Vec::new(),
            generation: WANTED.generation,
            fingerprint: WANTED.fingerprint.to_owned(),
            entry: None,
            published: false,
            adding: false,
            moved: false,
            copied: Progress { files: 2, offset: 7 },
        };
        if let Some(status) = transfer {
            journal.note(Step::Transfer, status, None, OffsetDateTime::UNIX_EPOCH);
        }
        journal
    }

    #[test]
    fn an_attempt_enters_at_the_last_word() {
        let copied = Resume::Copy(Progress { files: 2, offset: 7 });
        for (transfer, expected) in [
            (None, Resume::Fresh),
            (Some(StepStatus::Started), copied),
            // No space: what was copied still counts, where it still lies there.
            (Some(StepStatus::Failed), copied),
            (Some(StepStatus::Completed), Resume::Publish),
        ] {
            assert_eq!(decide(&journal(transfer), &WANTED), expected, "{transfer:?}");
        }
        let done = Journal { completed: true, ..journal(Some(StepStatus::Completed)) };
        assert_eq!(decide(&done, &WANTED), Resume::Done);
        let adding = Journal { published: true, ..journal(Some(StepStatus::Started)) };
        assert_eq!(decide(&adding, &WANTED), Resume::Fresh);
    }

    #[test]
    fn another_job_starts_afresh() {
        let done = Journal { completed: true, ..journal(Some(StepStatus::Completed)) };
        for other in [
            Attempt { generation: 4, ..WANTED },
            Attempt { fingerprint: "g", ..WANTED },
            Attempt { source_path: "/elsewhere/Show", ..WANTED },
            Attempt { artifact_path: "/library2/Show", ..WANTED },
            Attempt { transfer_mode: "hardlink", ..WANTED },
        ] {
            assert_eq!(decide(&done, &other), Resume::Fresh, "{other:?}");
        }
    }
}
