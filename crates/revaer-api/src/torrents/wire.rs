//! Torrents in the wire's words.

use revaer_api_models::{
    FilePriority, FilePriorityRule, FileSelection, FsopsStatus, FsopsStep, FsopsStepStatus, FsopsSummary,
    InfoHash, Progress, RateLimit, Rates, StateKind, TorrentState, TorrentSummary,
};
use revaer_catalog::{FsopsStatus as JobStatus, FsopsSummary as Job, TorrentView};
use revaer_torrent_core::{self as core, SelectionRules};

/// A torrent as lists show it.
pub(crate) fn summary(view: &TorrentView) -> TorrentSummary {
    let (record, live) = (&view.record, &view.live);
    TorrentSummary {
        id: record.id.as_uuid(),
        name: record.name.clone(),
        info_hash: InfoHash {
            v1: record.info_hashes.v1.map(|hash| hash.to_string()),
            v2: record.info_hashes.v2.map(|hash| hash.to_string()),
        },
        state: state(view),
        progress: Progress {
            bytes_downloaded: live.done.0,
            bytes_total: record.content.wanted_bytes.map_or(0, |bytes| bytes.0),
            percent_complete: view.percent_complete(),
            eta_seconds: view.eta_seconds(),
        },
        rates: Rates {
            download_bps: live.download_rate.0,
            upload_bps: live.upload_rate.0,
            ratio: view.ratio(),
        },
        library_path: record.placement.library_path.as_ref().map(|path| path.to_string_lossy().into_owned()),
        download_dir: record.placement.download_dir.to_string_lossy().into_owned(),
        sequential: record.wish.sequential,
        tags: record.tags.clone(),
        trackers: record.trackers.clone(),
        rate_limit: RateLimit {
            download_bps: record.wish.limits.download.map(|limit| limit.0),
            upload_bps: record.wish.limits.upload.map(|limit| limit.0),
        },
        added_at: record.added_at,
        completed_at: record.completed_at,
        last_updated: record.last.at,
    }
}

fn state(view: &TorrentView) -> TorrentState {
    let kind = state_kind(view.live.kind);
    let failed = kind == StateKind::Failed;
    let message = || view.record.failure.clone().unwrap_or_else(|| "the reason was not kept".to_owned());
    TorrentState { kind, failure_message: failed.then(message) }
}

pub(crate) const fn state_kind(kind: core::StateKind) -> StateKind {
    match kind {
        core::StateKind::Failed => StateKind::Failed,
        core::StateKind::Stopped => StateKind::Stopped,
        core::StateKind::Checking => StateKind::Checking,
        core::StateKind::FetchingMetadata => StateKind::FetchingMetadata,
        core::StateKind::Queued => StateKind::Queued,
        core::StateKind::Downloading => StateKind::Downloading,
        core::StateKind::Seeding => StateKind::Seeding,
        core::StateKind::Completed => StateKind::Completed,
    }
}

pub(crate) const fn core_state_kind(kind: StateKind) -> core::StateKind {
    match kind {
        StateKind::Failed => core::StateKind::Failed,
        StateKind::Stopped => core::StateKind::Stopped,
        StateKind::Checking => core::StateKind::Checking,
        StateKind::FetchingMetadata => core::StateKind::FetchingMetadata,
        StateKind::Queued => core::StateKind::Queued,
        StateKind::Downloading => core::StateKind::Downloading,
        StateKind::Seeding => core::StateKind::Seeding,
        StateKind::Completed => core::StateKind::Completed,
    }
}

/// A selection as it was asked for.
pub(crate) fn selection(rules: &SelectionRules) -> FileSelection {
    let rule = |(index, priority): &(u32, core::FilePriority)| FilePriorityRule {
        index: *index,
        priority: file_priority(*priority),
    };
    FileSelection {
        include: rules.include.clone(),
        exclude: rules.exclude.clone(),
        skip_fluff: rules.skip_fluff,
        priorities: rules.priorities.iter().map(rule).collect(),
    }
}

pub(crate) const fn file_priority(priority: core::FilePriority) -> FilePriority {
    match priority {
        core::FilePriority::Skip => FilePriority::Skip,
        core::FilePriority::Low => FilePriority::Low,
        core::FilePriority::Normal => FilePriority::Normal,
        core::FilePriority::High => FilePriority::High,
    }
}

/// How the pipeline stands, with the step it is at.
pub(crate) fn fsops(job: &Job, library_path: Option<String>) -> FsopsSummary {
    let (status, step_status) = match job.status {
        JobStatus::Queued => (FsopsStatus::Queued, FsopsStepStatus::Started),
        JobStatus::Waiting => (FsopsStatus::Waiting, FsopsStepStatus::Started),
        JobStatus::Running => (FsopsStatus::Running, FsopsStepStatus::Started),
        JobStatus::Completed => (FsopsStatus::Completed, FsopsStepStatus::Completed),
        JobStatus::Failed => (FsopsStatus::Failed, FsopsStepStatus::Failed),
        JobStatus::Canceled => (FsopsStatus::Canceled, FsopsStepStatus::Started),
    };
    let step = |name: &String| FsopsStep {
        name: name.clone(),
        status: step_status,
        detail: None,
        started_at: None,
        updated_at: None,
    };
    FsopsSummary {
        status,
        steps: job.step.iter().map(step).collect(),
        message: job.message.clone(),
        library_path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_the_same_word_on_both_sides() {
        for kind in core::StateKind::ALL {
            assert_eq!(state_kind(kind).as_str(), kind.name());
            assert_eq!(core_state_kind(state_kind(kind)), kind);
        }
    }
}
