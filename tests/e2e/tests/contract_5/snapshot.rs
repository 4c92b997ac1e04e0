//! The shape of the snapshot, and every default of a fresh server.

use std::net::{TcpListener, UdpSocket};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use revaer_e2e::stage::{Server, unhurried_key};

use crate::support::{LIMIT, active, change, fresh, options, upsert};

fn names(value: &Value) -> Result<Vec<&str>> {
    let members = value.as_object().with_context(|| format!("no object: {value}"))?;
    let mut names: Vec<&str> = members.keys().map(String::as_str).collect();
    names.sort_unstable();
    Ok(names)
}

#[tokio::test]
async fn config_snapshot_has_these_members_and_no_others() -> Result<()> {
    let (_database, server) = active().await?;
    let changes = json!({
        "api_keys": [upsert("ends", &json!({ "secret": "e".repeat(40), "expires_at": "2999-01-01T00:00:00Z" }))],
        "secrets": [{ "op": "set", "name": "b", "value": "1" }, { "op": "set", "name": "a", "value": "2" }],
    });
    change(&server, changes).await?;
    let snapshot = server.settings().await?;
    let members = ["api_keys", "app_profile", "engine_profile", "fs_policy", "revision", "secrets"];
    assert_eq!(names(&snapshot)?, members);
    assert!(snapshot["revision"].is_i64());
    assert_eq!(snapshot["secrets"], json!(["a", "b"]), "their names, and not the server's own");
    let keys = snapshot["api_keys"].as_array().context("no keys")?;
    assert_eq!(keys.len(), 2);
    for key in keys {
        assert_eq!(
            names(key)?,
            ["created_at", "enabled", "expires_at", "key_id", "label", "rate_limit"],
            "{key}"
        );
    }
    assert_eq!(keys[0]["expires_at"], Value::Null, "{keys:?}");
    assert_eq!(keys[1]["expires_at"], "2999-01-01T00:00:00Z");
    Ok(())
}

/// Every member that can be null, in the snapshot's form.
const NULLABLE: [&str; 17] = [
    "/app_profile/telemetry/otlp_endpoint",
    "/engine_profile/listen_port",
    "/engine_profile/listen_interfaces",
    "/engine_profile/max_active",
    "/engine_profile/max_download_bps",
    "/engine_profile/max_upload_bps",
    "/engine_profile/tracker/user_agent",
    "/engine_profile/tracker/announce_ip",
    "/engine_profile/tracker/announce_port",
    "/fs_policy/chmod_file",
    "/fs_policy/chmod_dir",
    "/fs_policy/owner",
    "/fs_policy/group",
    "/fs_policy/umask",
    "/fs_policy/step_latency_limit_seconds",
    "/api_keys/0/rate_limit",
    "/api_keys/0/expires_at",
];

#[tokio::test]
async fn every_nullable_member_is_present_as_null() -> Result<()> {
    let (_database, options) = options().await?;
    let settings = json!({
        "engine_profile": { "max_active": null },
        "api_keys": [upsert("admin", &json!({ "label": "a", "rate_limit": null }))],
    });
    let server = Server::start_with(options, &settings).await?;
    // What the harness sets to keep the engine to loopback was null before.
    let keep = ["/engine_profile/listen_port", "/engine_profile/listen_interfaces"];
    let snapshot = server.settings().await?;
    let first = server.api.get("/admin/settings/history/1").await?.expect(200)?;
    for pointer in NULLABLE {
        let read = if keep.contains(&pointer) { &first } else { &snapshot };
        assert_eq!(read.pointer(pointer), Some(&Value::Null), "{pointer}");
    }
    // Also what was set once.
    for (value, pointer) in [(json!(5), "max_active"), (Value::Null, "max_active")] {
        let now = change(&server, json!({ "engine_profile": { pointer: value } })).await?;
        assert_eq!(now["engine_profile"].get(pointer), Some(&value));
    }
    Ok(())
}

fn app_profile() -> Value {
    json!({
        "instance_name": "revaer", "bind_addr": "127.0.0.1", "http_port": 7070,
        "telemetry": {
            "log_level": "info", "log_format": "pretty", "prometheus": true, "otlp_endpoint": null,
            "event_retention_days": 30, "event_retention_rows": 1_000_000,
        },
        "features": {
            "fs_extract": true, "par2": true, "sse_backpressure": true, "protect_observability": false,
            "warn_unlimited_rates": false, "hardlink_fallback_copy": false,
        },
        "immutable_keys": [], "allowed_hosts": [], "cors_origins": [],
    })
}

fn engine_profile(data_dir: &str) -> Value {
    json!({
        "implementation": "libtorrent", "listen_port": null, "listen_interfaces": null,
        "dht": true, "lsd": true, "upnp": false, "natpmp": false, "encryption": "prefer",
        "max_active": null, "max_download_bps": null, "max_upload_bps": null, "sequential_default": false,
        "resume_dir": format!("{data_dir}/resume"), "download_root": format!("{data_dir}/downloads"),
        "tracker": {
            "user_agent": null, "announce_ip": null, "announce_port": null, "announce_to_all_trackers": false,
            "announce_to_all_tiers": false, "extra_trackers": [], "replace_trackers": false,
        },
        "resume_save_seconds": 60, "limit_local_peers": true,
    })
}

fn fs_policy(data_dir: &str) -> Value {
    json!({
        "library_root": format!("{data_dir}/library"), "extract": true, "par2": "off", "flatten": false,
        "move_mode": "hardlink", "checksum": false, "cleanup_keep": [], "cleanup_drop": [], "chmod_file": null,
        "chmod_dir": null, "owner": null, "group": null, "umask": null, "allow_paths": [],
        "job_age_limit_seconds": 3600, "step_latency_limit_seconds": null,
    })
}

#[tokio::test]
async fn the_defaults_of_app_profile_engine_profile_and_fs_policy_are_these() -> Result<()> {
    let (_database, app) = fresh().await?;
    let data_dir = app.data_dir().to_str().context("a path that is no text")?;
    // Before setup the documents are what every server begins with.
    let mut snapshot = app.api()?.get("/.well-known/revaer.json").await?.expect(200)?;
    let profile = snapshot["app_profile"].as_object_mut().context("no app_profile")?;
    assert!(profile.remove("id").is_some_and(|id| id.as_str().is_some_and(|id| id.len() == 36)));
    assert_eq!((profile.remove("mode"), profile.remove("version")), (Some(json!("setup")), Some(json!(1))));
    assert_eq!(snapshot["app_profile"], app_profile());
    assert_eq!(snapshot["engine_profile"], engine_profile(data_dir));
    assert_eq!(snapshot["fs_policy"], fs_policy(data_dir));
    assert_eq!((&snapshot["api_keys"], &snapshot["secrets"]), (&json!([]), &json!([])));
    Ok(())
}

#[tokio::test]
async fn listen_port_null_is_6881_else_the_next_free() -> Result<()> {
    let (_database, options) = options().await?;
    let mut settings = unhurried_key();
    settings["engine_profile"] = json!({ "listen_port": null });
    let server = Server::start_with(options, &settings).await?;
    let here = server.app.engine().ip().to_owned();
    let listens_on = async |port: u16| {
        server
            .wait_health(&format!("the engine on port {port}"), LIMIT, |health| {
                health["engine"]["listen_port"] == port
            })
            .await
    };
    listens_on(6881).await?;
    let elsewhere = server.app.engine().port();
    change(&server, json!({ "engine_profile": { "listen_port": elsewhere } })).await?;
    listens_on(elsewhere).await?;
    let (tcp, udp) = (TcpListener::bind((here, 6881))?, UdpSocket::bind((here, 6881))?);
    change(&server, json!({ "engine_profile": { "listen_port": null } })).await?;
    listens_on(6882).await?;
    drop((tcp, udp));
    Ok(())
}
