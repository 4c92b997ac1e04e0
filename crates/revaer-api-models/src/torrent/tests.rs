//! Torrents as clients read them.

use serde_json::{Value, json};
use time::macros::datetime;

use super::*;
use crate::{FilePriority, FsopsStatus, FsopsStep, FsopsStepStatus, StateKind};

fn summary() -> TorrentSummary {
    TorrentSummary {
        id: Uuid::from_u128(7),
        name: "show".to_owned(),
        info_hash: InfoHash { v1: Some("ab".repeat(20)), v2: None },
        state: TorrentState { kind: StateKind::Downloading, failure_message: None },
        progress: Progress {
            bytes_downloaded: 4,
            bytes_total: 16,
            percent_complete: 25.0,
            eta_seconds: None,
        },
        rates: Rates { download_bps: 2, upload_bps: 1, ratio: 0.25 },
        library_path: None,
        download_dir: "/srv/downloads".to_owned(),
        sequential: false,
        tags: vec!["tv".to_owned()],
        trackers: Vec::new(),
        rate_limit: RateLimit { download_bps: Some(5), upload_bps: None },
        added_at: datetime!(2025-10-17 12:00:00.000001 UTC),
        completed_at: None,
        last_updated: datetime!(2025-10-17 12:00:01 UTC),
    }
}

fn check(detail: &TorrentDetail) -> Value {
    let value = serde_json::to_value(detail).unwrap();
    assert_eq!(&serde_json::from_value::<TorrentDetail>(value.clone()).unwrap(), detail);
    value
}

#[test]
fn a_detail_has_the_summarys_members_at_the_top_level() {
    let detail = TorrentDetail {
        summary: summary(),
        files: Some(vec![TorrentFile {
            index: 0,
            path: "show/1.mkv".to_owned(),
            size_bytes: 16,
            bytes_completed: 4,
            priority: FilePriority::Normal,
            selected: true,
        }]),
        selection: FileSelection::default(),
        fsops: Some(FsopsSummary {
            status: FsopsStatus::Running,
            steps: vec![FsopsStep {
                name: "validate".to_owned(),
                status: FsopsStepStatus::Completed,
                detail: None,
                started_at: Some(datetime!(2025-10-17 12:00:02 UTC)),
                updated_at: None,
            }],
            message: None,
            library_path: None,
        }),
    };
    insta::assert_json_snapshot!(check(&detail));
}

#[test]
fn files_are_absent_until_metadata_is_known() {
    let mut detail =
        TorrentDetail { summary: summary(), files: None, selection: FileSelection::default(), fsops: None };
    detail.summary.state =
        TorrentState { kind: StateKind::Failed, failure_message: Some("disk full".to_owned()) };
    let value = check(&detail);
    assert_eq!(value.get("files"), None);
    assert_eq!(value.get("fsops"), None);
    assert_eq!(value["state"], json!({"kind": "failed", "failure_message": "disk full"}));
    assert_eq!(value["added_at"], "2025-10-17T12:00:00.000001Z");
}

#[test]
fn the_last_page_names_no_next_one() {
    let list = TorrentList { torrents: vec![summary()], next: None };
    let value = serde_json::to_value(&list).unwrap();
    assert_eq!(value.as_object().unwrap().keys().collect::<Vec<_>>(), ["torrents"]);
    assert_eq!(serde_json::from_value::<TorrentList>(value).unwrap(), list);
}
