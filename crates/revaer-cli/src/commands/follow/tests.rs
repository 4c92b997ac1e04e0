//! When following ends.

use serde_json::{Value, json};

use super::*;

fn detail(kind: &str, done: u64, fsops: Value) -> TorrentDetail {
    let mut detail = json!({
        "id": "00000000-0000-0000-0000-000000000007", "name": "show", "info_hash": {},
        "state": {"kind": kind, "failure_message": "disk full"},
        "progress": {"bytes_downloaded": done, "bytes_total": 10, "percent_complete": done * 10},
        "rates": {"download_bps": 0, "upload_bps": 0, "ratio": 0},
        "download_dir": "/d", "sequential": false, "tags": [], "trackers": [], "rate_limit": {},
        "added_at": "2025-10-17T12:00:00Z", "last_updated": "2025-10-17T12:00:00Z",
        "selection": {},
    });
    if !fsops.is_null() {
        detail["fsops"] = fsops;
    }
    serde_json::from_value(detail).unwrap()
}

#[test]
fn it_ends_when_the_library_entry_is_whole() {
    let whole = json!({"status": "completed"});
    assert_eq!(verdict(&detail("seeding", 10, whole.clone())), Verdict::Arrived);
    assert_eq!(verdict(&detail("completed", 10, whole.clone())), Verdict::Arrived);
    assert_eq!(verdict(&detail("stopped", 10, whole.clone())), Verdict::Arrived);
    assert_eq!(verdict(&detail("seeding", 10, Value::Null)), Verdict::NoJob);
    for kind in ["checking", "fetching_metadata", "queued", "downloading"] {
        assert_eq!(verdict(&detail(kind, 4, whole.clone())), Verdict::Going, "{kind}");
    }
    assert_eq!(verdict(&detail("stopped", 4, whole)), Verdict::Going);
    for status in ["queued", "waiting", "running"] {
        assert_eq!(verdict(&detail("seeding", 10, json!({"status": status}))), Verdict::Going, "{status}");
    }
}

#[test]
fn it_ends_with_the_reason_of_a_failure() {
    let failed = verdict(&detail("failed", 4, Value::Null));
    assert_eq!(failed, Verdict::Failed("torrent failed", "disk full".to_owned()));
    let failed = verdict(&detail("seeding", 10, json!({"status": "failed", "message": "no space"})));
    assert_eq!(failed, Verdict::Failed("library job failed", "no space".to_owned()));
    let failed = verdict(&detail("seeding", 10, json!({"status": "canceled"})));
    assert_eq!(failed, Verdict::Failed("library job failed", "it was canceled".to_owned()));
}

#[test]
fn a_line_is_printed_per_whole_percent() {
    let mut shown = Shown::of(&detail("downloading", 4, Value::Null));
    let before = shown.essence();
    shown.rates.0 = 2048;
    assert_eq!(shown.essence(), before);
    shown.advance(5, 10);
    assert_ne!(shown.essence(), before);
    insta::assert_snapshot!(shown.line(), @"50.0% (5 B of 10 B) downloading 2.00 KiB/s down 0 B/s up");
}

#[test]
fn what_is_not_known_yet_is_not_done() {
    let mut unknown = detail("fetching_metadata", 0, Value::Null);
    unknown.summary.progress.bytes_total = 0;
    let mut shown = Shown::of(&unknown);
    assert!(shown.line().starts_with("0.0% (0 B of 0 B)"), "{}", shown.line());
    // Progress is told of known files only: these are empty.
    shown.advance(0, 0);
    assert!(shown.line().starts_with("100.0% (0 B of 0 B)"), "{}", shown.line());
}
