//! The health documents as clients read them.

use time::macros::datetime;

use super::*;

#[test]
fn the_probe_is_the_documented_one() {
    let brief = HealthBrief {
        status: HealthStatus::Ok,
        mode: Mode::Setup,
        database: DatabaseHealth { status: HealthStatus::Ok, revision: 7 },
        degraded: Vec::new(),
    };
    let json = serde_json::to_string(&brief).unwrap();
    insta::assert_snapshot!(json, @r#"{"status":"ok","mode":"setup","database":{"status":"ok","revision":7},"degraded":[]}"#);
    assert_eq!(serde_json::from_str::<HealthBrief>(&json).unwrap(), brief);
}

#[test]
fn the_full_document_is_the_documented_one() {
    let since = datetime!(2025-10-17 12:00:00 UTC);
    let well = ComponentHealth { status: HealthStatus::Ok, reason: None, since: None, latency_ms: Some(0.2) };
    let unwell = ComponentHealth {
        status: HealthStatus::Degraded,
        reason: Some("/srv/library cannot be written; mount it or change library_root".to_owned()),
        since: Some(since),
        latency_ms: None,
    };
    let full = HealthFull {
        status: HealthStatus::Degraded,
        mode: Mode::Active,
        revision: 42,
        build: BuildInfo {
            version: "0.1.0".to_owned(),
            sha: "abc".to_owned(),
            target: "x86_64-unknown-linux-gnu".to_owned(),
        },
        uptime_seconds: 5,
        degraded: vec!["disk".to_owned()],
        components: BTreeMap::from([("database".to_owned(), well), ("disk".to_owned(), unwell)]),
        guardrails: vec![Guardrail {
            guard: "engine_rate".to_owned(),
            reason: "no global download cap".to_owned(),
            since,
        }],
        overrides: vec![Override {
            pointer: "/app_profile/http_port".to_owned(),
            message: "--listen is in force".to_owned(),
        }],
        dependencies: Dependencies {
            sevenzip: Tool {
                path: Some("/usr/bin/7z".to_owned()),
                version: Some("22.01".to_owned()),
                found: true,
            },
            par2: Tool::default(),
            libtorrent: Version { version: "2.0.8.0".to_owned() },
            postgresql: Version { version: "15.8".to_owned() },
        },
        engine: EngineHealth { listen_port: Some(6881), download_cap_bps: Some(0), upload_cap_bps: None },
        metrics: HealthMetrics::default(),
        torrent: TorrentHealth {
            active: 1,
            queue_depth: 0,
            by_state: BTreeMap::from([(StateKind::Downloading, 1)]),
        },
        fsops: FsopsHealth::default(),
    };
    insta::assert_json_snapshot!(full);
    let json = serde_json::to_string(&full).unwrap();
    assert_eq!(serde_json::from_str::<HealthFull>(&json).unwrap(), full);
}
