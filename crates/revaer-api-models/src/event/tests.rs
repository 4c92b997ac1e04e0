//! Every event as the stream carries it.

use std::fmt::Write;

use time::macros::datetime;

use super::*;

fn one_of_each() -> Vec<Event> {
    let torrent_id = Uuid::from_u128(7);
    let path = "/srv/library/show".to_owned();
    vec![
        Event::TorrentAdded { torrent_id, name: "show".to_owned() },
        Event::FilesDiscovered {
            torrent_id,
            files: vec![DiscoveredFile { path: "show/1.mkv".to_owned(), size_bytes: 9 }],
        },
        Event::Progress {
            torrent_id,
            bytes_downloaded: 4,
            bytes_total: 9,
            download_bps: 2,
            upload_bps: 1,
            eta_seconds: Some(3),
        },
        Event::StateChanged { torrent_id, state: EventState::FetchingMetadata },
        Event::StateChanged { torrent_id, state: EventState::Failed { message: "disk full".to_owned() } },
        Event::Completed { torrent_id, library_path: path.clone() },
        Event::TorrentRemoved { torrent_id, data_deleted: true },
        Event::MetadataUpdated {
            torrent_id,
            name: None,
            selection: None,
            rate_limit: Some(RateLimit { download_bps: None, upload_bps: Some(0) }),
            sequential: None,
            trackers: None,
            tags: Some(vec!["tv".to_owned()]),
        },
        Event::SelectionReconciled {
            torrent_id,
            reason: "priorities differed; the stored ones won".to_owned(),
        },
        Event::FsopsStarted { torrent_id },
        Event::FsopsProgress { torrent_id, step: "transfer".to_owned(), bytes_done: 1, bytes_total: 9 },
        Event::FsopsCompleted { torrent_id, library_path: path },
        Event::FsopsFailed { torrent_id, step: "transfer".to_owned(), message: "no space".to_owned() },
        Event::SettingsChanged {
            description: "engine_profile patched".to_owned(),
            revision: 3,
            sections: vec!["engine_profile".to_owned()],
        },
        Event::HealthChanged { degraded: vec!["disk".to_owned()] },
    ]
}

#[test]
fn every_kind_has_its_documented_form() {
    let mut lines = String::new();
    for event in one_of_each() {
        let json = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<Event>(&json).unwrap(), event);
        assert!(json.starts_with(&format!("{{\"type\":\"{}\"", event.kind())), "{json}");
        writeln!(lines, "{json}").unwrap();
    }
    for kind in EventKind::ALL {
        assert!(one_of_each().iter().any(|event| event.kind() == kind), "no {kind}");
    }
    insta::assert_snapshot!(lines);
}

#[test]
fn an_envelope_leaves_out_an_unknown_cause() {
    let mut envelope = EventEnvelope {
        id: (1 << 53) - 1,
        timestamp: datetime!(2025-10-17 12:00:00 UTC),
        request_id: None,
        event: Event::HealthChanged { degraded: Vec::new() },
    };
    let json = serde_json::to_string(&envelope).unwrap();
    insta::assert_snapshot!(json, @r#"{"id":9007199254740991,"timestamp":"2025-10-17T12:00:00Z","event":{"type":"health_changed","degraded":[]}}"#);
    assert_eq!(serde_json::from_str::<EventEnvelope>(&json).unwrap(), envelope);
    envelope.request_id = Some("r-1".parse().unwrap());
    let json = serde_json::to_string(&envelope).unwrap();
    assert!(json.contains(r#""request_id":"r-1""#));
    assert_eq!(serde_json::from_str::<EventEnvelope>(&json).unwrap(), envelope);
}

#[test]
fn a_state_and_its_kind_have_one_word() {
    for kind in StateKind::ALL {
        let state = EventState::new(kind, "why");
        assert_eq!(state.kind(), kind);
        let json = serde_json::to_value(&state).unwrap();
        match &state {
            EventState::Failed { .. } => {
                assert_eq!(json, serde_json::json!({"failed": {"message": "why"}}));
            }
            _ => assert_eq!(json, kind.as_str()),
        }
    }
}
