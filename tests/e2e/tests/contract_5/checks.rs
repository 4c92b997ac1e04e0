//! What is checked of a value when it is written: known keys, shapes, and what is immutable.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::support::{active, change, faults, pointers, stored_revision, upsert};

#[tokio::test]
async fn the_three_maps_take_their_keys_only_and_a_refusal_lists_the_known_ones() -> Result<()> {
    let (_database, server) = active().await?;
    let before = server.settings().await?;
    for (section, map) in
        [("app_profile", "telemetry"), ("app_profile", "features"), ("engine_profile", "tracker")]
    {
        let known = before[section][map].as_object().context("no map")?;
        for other in ["colour", "", "log_level.x", map] {
            let found = faults(&server, json!({ section: { map: { other: true } } })).await?;
            let [(pointer, message)] = found.as_slice() else { panic!("{found:?}") };
            assert_eq!(*pointer, format!("/{section}/{map}/{other}"));
            for name in known.keys() {
                assert!(message.contains(name.as_str()), "{message} does not list {name}");
            }
        }
    }
    assert_eq!(server.settings().await?, before);
    Ok(())
}

#[tokio::test]
async fn each_of_the_three_maps_takes_all_of_its_keys() -> Result<()> {
    let (_database, server) = active().await?;
    let maps = json!({
        "app_profile": {
            "telemetry": { "log_level": "warn", "log_format": "json", "prometheus": false,
                "otlp_endpoint": "http://127.0.0.1:4318", "event_retention_days": 7, "event_retention_rows": 9 },
            "features": { "fs_extract": false, "par2": false, "sse_backpressure": false, "protect_observability": true,
                "warn_unlimited_rates": true, "hardlink_fallback_copy": true },
        },
        "engine_profile": { "tracker": { "user_agent": "a", "announce_ip": "127.0.0.1", "announce_port": 1,
            "announce_to_all_trackers": true, "announce_to_all_tiers": true,
            "extra_trackers": ["udp://127.0.0.1:9/announce"], "replace_trackers": true } },
    });
    let after = change(&server, maps.clone()).await?;
    for (section, map) in
        [("app_profile", "telemetry"), ("app_profile", "features"), ("engine_profile", "tracker")]
    {
        assert_eq!(after[section][map], maps[section][map]);
    }
    Ok(())
}

/// A value of the wrong shape: where it stands on the wire, and where in the database.
fn misshapen() -> Vec<(&'static str, Value, &'static str, &'static str)> {
    let app = "settings_app_profile SET ";
    let engine = "settings_engine_profile SET ";
    let fs = "settings_fs_policy SET ";
    vec![
        // Types.
        ("/engine_profile/dht", json!("yes"), engine, "dht = 'perhaps'"),
        ("/engine_profile/max_active", json!(1.5), engine, "max_active = 'many'"),
        ("/fs_policy/cleanup_keep", json!("*"), fs, "cleanup_keep = '*'"),
        ("/fs_policy/library_root", json!(null), fs, "library_root = NULL"),
        // Enums.
        ("/engine_profile/encryption", json!("maybe"), engine, "encryption = 'maybe'"),
        ("/fs_policy/par2", json!("on"), fs, "par2 = 'on'"),
        ("/fs_policy/move_mode", json!("link"), fs, "move_mode = 'link'"),
        ("/app_profile/telemetry/log_level", json!("loud"), app, "telemetry_log_level = 'loud'"),
        ("/engine_profile/implementation", json!("other"), engine, "implementation = 'other'"),
        // Ports.
        ("/app_profile/http_port", json!(0), app, "http_port = 0"),
        ("/engine_profile/listen_port", json!(65_536), engine, "listen_port = 65536"),
        ("/engine_profile/tracker/announce_port", json!(-1), engine, "tracker_announce_port = -1"),
        // Addresses.
        ("/app_profile/bind_addr", json!("localhost"), app, "bind_addr = 'localhost'"),
        (
            "/engine_profile/listen_interfaces/0",
            json!(["10.0.0.0/8"]),
            engine,
            "listen_interfaces = '{10.0.0.0/8}'",
        ),
        ("/engine_profile/tracker/announce_ip", json!("::1/64"), engine, "tracker_announce_ip = '::1/64'"),
        // Octal modes and the umask.
        ("/fs_policy/chmod_file", json!("0888"), fs, "chmod_file = '0888'"),
        ("/fs_policy/chmod_dir", json!("7"), fs, "chmod_dir = '7'"),
        ("/fs_policy/umask", json!("1022"), fs, "umask = '1022'"),
        // Globs.
        ("/fs_policy/cleanup_keep/0", json!(["["]), fs, "cleanup_keep = '{[}'"),
        ("/fs_policy/cleanup_drop/0", json!(["{a"]), fs, "cleanup_drop = ARRAY['{a']"),
        // Paths: absolute, normal, without `..`.
        ("/fs_policy/library_root", json!("library"), fs, "library_root = 'library'"),
        ("/engine_profile/download_root", json!("/a/../b"), engine, "download_root = '/a/../b'"),
        ("/engine_profile/resume_dir", json!("/a//b"), engine, "resume_dir = '/a//b'"),
        ("/fs_policy/allow_paths/0", json!(["/a/./b"]), fs, "allow_paths = '{/a/./b}'"),
        // Limits.
        ("/engine_profile/max_download_bps", json!(-1), engine, "max_download_bps = -1"),
        ("/engine_profile/max_upload_bps", json!(-1), engine, "max_upload_bps = -1"),
        ("/engine_profile/max_active", json!(-1), engine, "max_active = -1"),
        ("/fs_policy/job_age_limit_seconds", json!(-1), fs, "job_age_limit_seconds = -1"),
        ("/fs_policy/step_latency_limit_seconds", json!(-1), fs, "step_latency_limit_seconds = -1"),
    ]
}

/// `{section: {map: {field: value}}}` of a pointer; an index into the value is left out.
fn at(pointer: &str, value: Value) -> Value {
    let names = pointer.rsplit('/').filter(|name| !name.is_empty() && name.parse::<usize>().is_err());
    names.fold(value, |inner, name| json!({ name: inner }))
}

#[tokio::test]
async fn shape_is_refused_always_by_the_database_too() -> Result<()> {
    let (_database, server) = active().await?;
    let before = server.settings().await?;
    for (pointer, value, table, assignment) in misshapen() {
        assert_eq!(pointers(&server, at(pointer, value.clone())).await?, [pointer], "{value}");
        let statement = format!("UPDATE {table}{assignment}");
        assert!(server.app.sql(&statement).await.is_err(), "the database takes {statement}");
    }
    assert_eq!(server.settings().await?, before);
    assert_eq!(stored_revision(&server.app).await?, before["revision"].as_i64().unwrap_or_default());
    Ok(())
}

#[tokio::test]
async fn a_rate_limit_is_null_or_a_burst_of_1_to_2_to_the_32_less_1_in_1_second_or_more() -> Result<()> {
    let (_database, server) = active().await?;
    let limited = |limit: &Value| json!({ "api_keys": [upsert("admin", &json!({ "rate_limit": limit }))] });
    for taken in [
        json!({ "burst": 4_294_967_295_u32, "per_seconds": 1 }),
        json!({ "burst": 1_000_000, "per_seconds": 3600 }),
        Value::Null,
    ] {
        assert_eq!(change(&server, limited(&taken)).await?["api_keys"][0]["rate_limit"], taken);
    }
    for refused in [
        json!({ "burst": 0, "per_seconds": 1 }),
        json!({ "burst": 1, "per_seconds": 0 }),
        json!({ "burst": 4_294_967_296_u64, "per_seconds": 1 }),
        json!({ "burst": 1 }),
        json!({ "burst": 1, "per_seconds": 1, "more": 1 }),
        json!(5),
    ] {
        assert_eq!(pointers(&server, limited(&refused)).await?, ["/api_keys/0/rate_limit"], "{refused}");
    }
    for refused in ["(0, 1)", "(1, 0)", "(4294967296, 1)", "(1, NULL)"] {
        let statement =
            format!("UPDATE auth_api_keys SET (rate_limit_burst, rate_limit_per_seconds) = {refused}");
        assert!(server.app.sql(&statement).await.is_err(), "the database takes {statement}");
    }
    Ok(())
}

#[tokio::test]
async fn immutable_keys_block_a_section_a_field_of_it_all_of_it_by_a_star_and_a_bare_field() -> Result<()> {
    let (_database, server) = active().await?;
    let most = "/engine_profile/max_active";
    let port = "/engine_profile/tracker/announce_port";
    let level = "/app_profile/telemetry/log_level";
    let wanted = json!({
        "engine_profile": { "max_active": 9, "tracker": { "announce_port": 9 } },
        "app_profile": { "telemetry": { "log_level": "warn" } },
        "fs_policy": { "flatten": true },
    });
    for (entry, blocked) in [
        ("engine_profile", &[most, port][..]),
        ("engine_profile.max_active", &[most]),
        ("engine_profile.tracker", &[port]),
        ("engine_profile.*", &[most, port]),
        ("app_profile.telemetry.*", &[level]),
        ("max_active", &[most]),
        ("telemetry", &[level]),
    ] {
        let list = json!({ "app_profile": { "immutable_keys": [entry] } });
        change(&server, list).await.with_context(|| entry.to_owned())?;
        let found = faults(&server, wanted.clone()).await?;
        let mut expected = blocked.to_vec();
        expected.sort_unstable();
        let pointers: Vec<&str> = found.iter().map(|(pointer, _)| pointer.as_str()).collect();
        assert_eq!(pointers, expected, "{entry}");
        assert!(found.iter().all(|(_, message)| message.contains(entry)), "{found:?}");
    }
    Ok(())
}

#[tokio::test]
async fn the_list_of_immutable_keys_can_be_changed_unless_it_names_itself() -> Result<()> {
    let (_database, server) = active().await?;
    let list = |entries: Value| json!({ "app_profile": { "immutable_keys": entries } });
    change(&server, list(json!(["app_profile"]))).await?;
    change(&server, list(json!(["app_profile.*", "dht"]))).await?;
    change(&server, list(json!([]))).await?;
    // Either name of the list makes it final; only plain SQL lifts it.
    for own in ["immutable_keys", "app_profile.immutable_keys"] {
        change(&server, list(json!(["dht", own]))).await?;
        for other in [json!([]), json!([own]), json!(["dht", own, "lsd"])] {
            assert_eq!(pointers(&server, list(other)).await?, ["/app_profile/immutable_keys"], "{own}");
        }
        server.app.sql("UPDATE settings_app_profile SET immutable_keys = '{}'").await?;
        crate::support::wait_setting(&server, "/app_profile/immutable_keys", json!([])).await?;
    }
    Ok(())
}
