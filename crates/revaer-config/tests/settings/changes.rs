//! Changesets: everything or nothing, every fault at once, nothing where nothing changes.

use crate::support::{Fixture, context, faults_of, pointers_of};
use revaer_config::{ChangeContext, ConfigError, Par2, RateLimit, Revision};
use serde_json::{Value, json};

#[tokio::test]
async fn a_partial_document_changes_what_it_names() {
    let (fixture, _) = Fixture::active().await;
    let before = fixture.service.snapshot();
    let body = json!({
        "app_profile": {"telemetry": {"log_level": "debug"}, "bind_addr": "::1"},
        "engine_profile": {"max_download_bps": 4_194_304, "tracker": {"announce_port": 6000},
            "listen_interfaces": ["127.0.0.1", "::1"]},
        "fs_policy": {"par2": "verify", "cleanup_drop": ["*.nfo"], "group": "root"},
    });
    let applied = fixture.service.apply(body, context()).await.unwrap();
    assert_eq!(applied.sections, ["app_profile", "engine_profile", "fs_policy"]);
    let after = applied.snapshot;
    assert_eq!(after.revision.get(), before.revision.get() + 1);
    assert_eq!(after.app.version, before.app.version + 1);
    assert_eq!(after.engine.max_download_bps, Some(4_194_304));
    assert_eq!(after.engine.tracker.announce_port, Some(6000));
    assert_eq!(after.engine.listen_interfaces.as_ref().unwrap().len(), 2);
    assert_eq!(after.fs.par2, Par2::Verify);
    assert_eq!(after.app.telemetry.log_format, before.app.telemetry.log_format);
    assert_eq!(fixture.service.snapshot().revision, after.revision);

    let lifted = fixture.apply(json!({"engine_profile": {"max_download_bps": null}})).await.unwrap();
    assert_eq!(lifted.engine.max_download_bps, None);
    let changes = fixture.service.changes_since(before.revision).await.unwrap();
    assert_eq!(changes.len(), 2);
    assert_eq!(changes[0].sections, applied.sections);
    assert_eq!((changes[1].actor.as_str(), changes[1].request_id.as_deref()), ("test", Some("request-1")));
    assert_eq!(changes[1].revision, lifted.revision);
}

#[tokio::test]
async fn every_fault_is_listed_and_nothing_changes() {
    let (fixture, _) = Fixture::active().await;
    let revision = fixture.stored_revision().await;
    std::fs::write(fixture.path("file"), "").unwrap();
    let body = json!({
        "app_profile": {"id": "x", "mode": "setup", "http_port": 70_000, "telemetry": {"colour": true},
            "immutable_keys": ["no_such_thing"]},
        "engine_profile": {"dht": "yes", "download_root": "relative", "resume_dir": fixture.path("file"),
            "tracker": [], "listen_interfaces": ["nowhere", 7]},
        "fs_policy": {"cleanup_keep": ["[", "*.ok"], "owner": "no-such-user-here", "allow_paths": ["/elsewhere"],
            "features.par2": true},
        "api_keys": [{"op": "upsert", "key_id": "new"}, {"op": "burn"}, 5,
            {"op": "upsert", "key_id": "k", "rate_limit": {"burst": 0, "per_seconds": 1}}],
        "secrets": [{"op": "set", "name": "revaer.probe", "value": "x"}, {"op": "set", "name": "a"}],
        "nonsense/~": {},
    });
    let pointers = pointers_of(fixture.apply(body).await);
    let expected = [
        "/api_keys/0/secret",
        "/api_keys/1/key_id",
        "/api_keys/1/op",
        "/api_keys/2",
        "/api_keys/3/rate_limit",
        "/api_keys/3/secret",
        "/app_profile/http_port",
        "/app_profile/id",
        "/app_profile/immutable_keys/0",
        "/app_profile/mode",
        "/app_profile/telemetry/colour",
        "/engine_profile/dht",
        "/engine_profile/download_root",
        "/engine_profile/listen_interfaces/0",
        "/engine_profile/listen_interfaces/1",
        "/engine_profile/resume_dir",
        "/engine_profile/tracker",
        "/fs_policy/allow_paths",
        "/fs_policy/allow_paths",
        "/fs_policy/cleanup_keep/0",
        "/fs_policy/features.par2",
        "/fs_policy/owner",
        "/nonsense~1~0",
        "/secrets/0/name",
        "/secrets/1/value",
    ];
    assert_eq!(pointers, expected);
    assert_eq!(pointers_of(fixture.apply(json!([])).await), [""]);
    assert_eq!(fixture.stored_revision().await, revision);
}

#[tokio::test]
async fn a_secret_of_the_wrong_shape_is_one_fault() {
    let (fixture, _) = Fixture::active().await;
    let new = |secret: &str| json!({"api_keys": [{"op": "upsert", "key_id": "new", "secret": secret}]});
    let faults = faults_of(fixture.apply(new("short")).await);
    let [fault] = faults.as_slice() else { panic!("{faults:?}") };
    assert_eq!(fault.pointer, "/api_keys/0/secret");
    assert!(fault.message.contains("32 to 256"), "{}", fault.message);
}

#[tokio::test]
async fn a_changeset_that_changes_nothing_makes_no_revision() {
    let (fixture, api_key) = Fixture::active().await;
    let secret = api_key.split_once(':').unwrap().1;
    fixture.apply(json!({"secrets": [{"op": "set", "name": "a", "value": "b"}]})).await.unwrap();
    let revision = fixture.stored_revision().await;
    let wire = fixture.service.snapshot().to_wire();
    let mut body = json!({"app_profile": wire["app_profile"], "engine_profile": wire["engine_profile"],
        "fs_policy": wire["fs_policy"],
        "api_keys": [{"op": "upsert", "key_id": "admin", "secret": secret}, {"op": "delete", "key_id": "gone"}],
        "secrets": [{"op": "set", "name": "a", "value": "b"}, {"op": "delete", "name": "gone"}]});
    let app = body["app_profile"].as_object_mut().unwrap();
    app.remove("id");
    app.remove("mode");
    let applied = fixture.service.apply(body, context()).await.unwrap();
    assert!(applied.sections.is_empty());
    assert_eq!(fixture.stored_revision().await, revision);
}

#[tokio::test]
async fn a_condition_that_does_not_hold_is_a_conflict() {
    let (fixture, _) = Fixture::active().await;
    let current = fixture.service.snapshot();
    let conditional = |if_match: i64| ChangeContext { if_match: Some(if_match), ..context() };
    let body = json!({"engine_profile": {"dht": false}});
    let outcome = fixture.service.apply(body.clone(), conditional(current.revision.get() - 1)).await;
    assert!(matches!(outcome, Err(ConfigError::Conflict { what: "revision", .. })));
    fixture.service.apply(body, conditional(current.revision.get())).await.unwrap();

    let versioned = |version: i64| json!({"app_profile": {"version": version, "instance_name": "other"}});
    let outcome = fixture.apply(versioned(current.app.version + 5)).await;
    assert!(matches!(outcome, Err(ConfigError::Conflict { what: "app_profile.version", .. })));
    fixture.apply(versioned(current.app.version)).await.unwrap();
    assert!(fixture.apply(versioned(current.app.version)).await.is_err());
}

#[tokio::test]
async fn immutable_keys_block_what_they_name() {
    let (fixture, _) = Fixture::active().await;
    let lock = |entries: Value| json!({"app_profile": {"immutable_keys": entries}});
    let change = json!({"engine_profile": {"dht": false, "tracker": {"announce_port": 1}}});
    let all = ["/engine_profile/dht", "/engine_profile/tracker/announce_port"];
    for (entries, blocked) in [
        (json!(["engine_profile"]), &all[..]),
        (json!(["engine_profile.*"]), &all[..]),
        (json!(["dht"]), &all[..1]),
        (json!(["engine_profile.tracker"]), &all[1..]),
        (json!(["engine_profile.tracker.announce_port"]), &all[1..]),
    ] {
        fixture.apply(lock(entries.clone())).await.unwrap();
        assert_eq!(pointers_of(fixture.apply(change.clone()).await), blocked, "{entries}");
    }
    fixture.apply(json!({"engine_profile": {"dht": true}})).await.expect("the value it has");
    fixture.apply(lock(json!(["api_keys", "secrets", "app_profile"]))).await.unwrap();
    let body = json!({"app_profile": {"instance_name": "x"}, "secrets": [{"op": "delete", "name": "a"}]});
    assert_eq!(pointers_of(fixture.apply(body).await), ["/app_profile/instance_name", "/secrets"]);
    fixture.apply(lock(json!(["immutable_keys"]))).await.expect("the list did not name itself");
    assert_eq!(pointers_of(fixture.apply(lock(json!([]))).await), ["/app_profile/immutable_keys"]);
}

#[tokio::test]
async fn the_last_usable_key_stays() {
    let (fixture, _) = Fixture::active().await;
    let keys = |ops: Value| json!({ "api_keys": ops });
    for ops in [
        json!([{"op": "delete", "key_id": "admin"}]),
        json!([{"op": "upsert", "key_id": "admin", "enabled": false}]),
        json!([{"op": "upsert", "key_id": "admin", "expires_at": "2020-01-01T00:00:00Z"}]),
        json!([{"op": "upsert", "key_id": "admin", "expires_at": "2999-01-01T00:00:00Z"}]),
    ] {
        assert!(matches!(fixture.apply(keys(ops.clone())).await, Err(ConfigError::LastKey)), "{ops}");
    }
    let replaced = json!([{"op": "delete", "key_id": "admin"},
        {"op": "upsert", "key_id": "next", "secret": "n".repeat(40), "label": "next"}]);
    let after = fixture.apply(keys(replaced)).await.unwrap();
    assert_eq!(after.api_keys.len(), 1);
    assert_eq!(after.api_keys[0].rate_limit, Some(RateLimit::DEFAULT));
    after.authenticate("next", &"n".repeat(40)).unwrap();
}

#[tokio::test]
async fn the_effective_allow_list_is_allow_paths_and_the_three_roots() {
    let (fixture, _) = Fixture::active().await;
    let roots = [fixture.path("downloads"), fixture.path("library"), fixture.path("resume")];
    assert_eq!(fixture.service.snapshot().allow_list(), roots);
    let data = fixture.data_dir.path().to_owned();
    let paths = json!([data, fixture.path("downloads"), "/srv"]);
    let allowed = fixture.apply(json!({"fs_policy": {"allow_paths": paths}})).await.unwrap();
    let [downloads, library, resume] = roots;
    let expected = [data.clone(), downloads, "/srv".into(), library, resume];
    assert_eq!(allowed.allow_list(), expected, "each once");
    assert!(allowed.allows(&data.join("downloads/a")) && allowed.allows(std::path::Path::new("/srv/a")));
    assert!(!allowed.allows(std::path::Path::new("/etc")));
    assert!(!allowed.allows(&data.join("resume/a")), "content does not go among the server's own files");
}

#[tokio::test]
async fn roots_stay_within_allow_paths() {
    let (fixture, _) = Fixture::active().await;
    let data = fixture.data_dir.path().to_str().unwrap().to_owned();
    fixture.apply(json!({"fs_policy": {"allow_paths": [data]}})).await.unwrap();
    let outside = tempfile::tempdir().unwrap();
    let body = json!({"fs_policy": {"library_root": outside.path()}});
    let faults = faults_of(fixture.apply(body).await);
    assert_eq!(faults[0].pointer, "/fs_policy/library_root");
    let body = json!({"fs_policy": {"library_root": outside.path(), "allow_paths": [data, outside.path()]}});
    fixture.apply(body).await.unwrap();
}

#[tokio::test]
async fn concurrent_changes_each_make_one_revision() {
    let (fixture, _) = Fixture::active().await;
    let before = fixture.stored_revision().await;
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..10_u32 {
        // Two processes on one database.
        let service = if client % 2 == 0 { fixture.service.clone() } else { fixture.reopened().await };
        clients.spawn(async move {
            let mut last = Revision(0);
            for round in 0..5_u32 {
                let seconds = 1 + client * 5 + round;
                let body = json!({"engine_profile": {"resume_save_seconds": seconds},
                    "fs_policy": {"job_age_limit_seconds": seconds}});
                let revision = service.apply(body, context()).await.unwrap().snapshot.revision;
                assert!(revision > last);
                last = revision;
            }
        });
    }
    clients.join_all().await;
    assert_eq!(fixture.stored_revision().await, before + 50);
}
