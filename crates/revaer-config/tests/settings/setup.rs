//! Setup: one token, one transaction, one key.

use std::{fs, time::Duration};

use crate::support::{Fixture, context, pointers_of};
use revaer_config::{AuthError, ConfigError, Mode, TokenFault};
use serde_json::json;

async fn history(fixture: &Fixture) -> Vec<String> {
    sqlx::query_scalar("SELECT op FROM settings_history WHERE section = 'setup_tokens' ORDER BY id")
        .fetch_all(&fixture.pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn an_empty_document_makes_a_usable_server() {
    let fixture = Fixture::new().await;
    assert_eq!(fixture.service.snapshot().app.mode, Mode::Setup);
    let before = fixture.revision();
    let token = fixture.token().await;
    assert_eq!(fixture.stored_revision().await, before, "a token is no setting");
    let completed = fixture.service.setup_complete(&token, json!({}), context()).await.unwrap();

    assert_eq!(completed.snapshot.revision.get(), before + 1, "setup is one revision");
    let snapshot = fixture.service.snapshot();
    assert_eq!(snapshot.app.mode, Mode::Active);
    let (key_id, secret) = completed.api_key.split_once(':').unwrap();
    assert_eq!((key_id, secret.len()), ("admin", 43));
    assert_eq!(snapshot.authenticate(key_id, secret).unwrap().label, "bootstrap");
    for root in ["resume", "downloads", "library"] {
        assert!(fixture.path(root).is_dir(), "{root}");
    }
    assert_eq!(history(&fixture).await, ["issued", "consumed"]);
    let restarted = fixture.reopened().await;
    restarted.snapshot().authenticate(key_id, secret).unwrap();
    assert!(fixture.telemetry.health.degraded().is_empty());
}

#[tokio::test]
async fn the_defaults_are_the_contracts() {
    let fixture = Fixture::new().await;
    let mut wire = fixture.service.snapshot().to_wire();
    let root = fixture.data_dir.path().to_str().unwrap().to_owned();
    wire["app_profile"]["id"] = json!("id");
    assert_eq!(
        wire,
        json!({
            "revision": 1,
            "app_profile": {
                "id": "id", "instance_name": "revaer", "mode": "setup", "version": 1,
                "bind_addr": "127.0.0.1", "http_port": 7070,
                "telemetry": {"log_level": "info", "log_format": "pretty", "prometheus": true,
                    "otlp_endpoint": null, "event_retention_days": 30, "event_retention_rows": 1_000_000},
                "features": {"fs_extract": true, "par2": true, "sse_backpressure": true,
                    "protect_observability": false, "warn_unlimited_rates": false, "hardlink_fallback_copy": false},
                "immutable_keys": [], "allowed_hosts": [], "cors_origins": [],
            },
            "engine_profile": {
                "implementation": "libtorrent", "listen_port": null, "listen_interfaces": null,
                "dht": true, "lsd": true, "upnp": false, "natpmp": false, "encryption": "prefer",
                "max_active": null, "max_download_bps": null, "max_upload_bps": null, "sequential_default": false,
                "resume_dir": format!("{root}/resume"), "download_root": format!("{root}/downloads"),
                "tracker": {"user_agent": null, "announce_ip": null, "announce_port": null,
                    "announce_to_all_trackers": false, "announce_to_all_tiers": false, "extra_trackers": [],
                    "replace_trackers": false},
                "resume_save_seconds": 60, "limit_local_peers": true,
            },
            "fs_policy": {
                "library_root": format!("{root}/library"), "extract": true, "par2": "off", "flatten": false,
                "move_mode": "hardlink", "checksum": false, "cleanup_keep": [], "cleanup_drop": [],
                "chmod_file": null, "chmod_dir": null, "owner": null, "group": null, "umask": null,
                "allow_paths": [], "job_age_limit_seconds": 3600, "step_latency_limit_seconds": null,
            },
            "api_keys": [], "secrets": [],
        })
    );
}

#[tokio::test]
async fn two_concurrent_completions_with_one_token_make_one_server_and_one_key() {
    let fixture = Fixture::new().await;
    let token = fixture.token().await;
    let other = fixture.reopened().await;
    let body = |key: &str| json!({"api_keys": [{"op": "upsert", "key_id": key}]});
    let (first, second) = tokio::join!(
        fixture.service.setup_complete(&token, body("one"), context()),
        other.setup_complete(&token, body("two"), context()),
    );
    let outcomes = [first.map(drop), second.map(drop)];
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
    assert!(outcomes.iter().any(|outcome| matches!(outcome, Err(ConfigError::NotInSetup))), "{outcomes:?}");
    let keys: i64 =
        sqlx::query_scalar("SELECT count(*) FROM auth_api_keys").fetch_one(&fixture.pool).await.unwrap();
    assert_eq!(keys, 1);
}

#[tokio::test]
async fn a_token_is_refused_with_what_is_wrong_with_it() {
    let fixture = Fixture::new().await;
    let refused = async |token: &str| match fixture.service.setup_complete(token, json!({}), context()).await
    {
        Err(ConfigError::Token(fault)) => fault,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("taken"),
    };
    let first = fixture.token().await;
    let second = fixture.token().await;
    assert_eq!(refused("").await, TokenFault::Missing);
    assert_eq!(refused("nonsense").await, TokenFault::Unknown);
    let other = if second.ends_with('A') { 'B' } else { 'A' };
    assert_eq!(refused(&format!("{}{other}", &second[..second.len() - 1])).await, TokenFault::Unknown);
    assert_eq!(refused(&first).await, TokenFault::Superseded);
    fixture.sql("UPDATE setup_tokens SET expires_at = now() - interval '1 second'").await.unwrap();
    assert_eq!(refused(&second).await, TokenFault::Expired);
    let third = fixture.token().await;
    fixture.service.setup_complete(&third, json!({}), context()).await.unwrap();
    let outcome = fixture.service.setup_complete(&third, json!({}), context()).await;
    assert!(matches!(outcome, Err(ConfigError::NotInSetup)));
    assert!(matches!(
        fixture.service.setup_start("test", Duration::from_secs(1), context()).await,
        Err(ConfigError::NotInSetup)
    ));
    let history = history(&fixture).await;
    for op in ["issued", "superseded", "rejected", "expired", "consumed"] {
        assert!(history.iter().any(|one| one == op), "{op} in {history:?}");
    }
    let stored: String = sqlx::query_scalar("SELECT string_agg(h::text, ' ') FROM settings_history h")
        .fetch_one(&fixture.pool)
        .await
        .unwrap();
    let secret = third.split_once('.').unwrap().1;
    assert!(!stored.contains(secret) && !stored.contains("argon2id"));
}

#[tokio::test]
async fn a_refused_document_uses_nothing_up() {
    let fixture = Fixture::new().await;
    let token = fixture.token().await;
    let body = json!({
        "app_profile": {"http_port": 0, "mode": "active"},
        "engine_profile": {"download_root": fixture.path("made/by/check")},
        "api_keys": [{"op": "upsert", "key_id": "a", "secret": "short"}],
        "passphrase": 7,
    });
    let outcome = fixture.service.setup_complete(&token, body, context()).await;
    assert_eq!(pointers_of(outcome), ["/api_keys/0/secret", "/app_profile/http_port", "/passphrase"]);
    assert!(!fixture.path("made").exists() && !fixture.path("library").exists());
    assert_eq!(fixture.service.snapshot().app.mode, Mode::Setup);
    fixture.service.setup_complete(&token, json!({}), context()).await.unwrap();
}

#[tokio::test]
async fn the_key_that_the_client_brought_works() {
    let fixture = Fixture::new().await;
    let token = fixture.token().await;
    let secret = "x".repeat(32);
    let body = json!({
        "app_profile": {"instance_name": "attic"},
        "api_keys": [{"op": "upsert", "key_id": "mine", "secret": secret, "rate_limit": null}],
    });
    let completed = fixture.service.setup_complete(&token, body, context()).await.unwrap();
    assert_eq!(completed.api_key, format!("mine:{secret}"));
    assert_eq!(completed.snapshot.app.instance_name, "attic");
    let key = fixture.reopened().await.snapshot().authenticate("mine", &secret).unwrap();
    assert_eq!(key.rate_limit, None);
    assert_eq!(fixture.service.snapshot().authenticate("admin", &secret), Err(AuthError::Rejected));
}

#[tokio::test]
async fn the_secret_key_is_argon2id_of_the_passphrase_and_so_comes_back() {
    let fixture = Fixture::new().await;
    let file = fixture.path("secret.key");
    let random = fs::read(&file).unwrap();
    let token = fixture.token().await;
    let body = json!({
        "passphrase": "correct horse",
        "secrets": [{"op": "set", "name": "tracker.login", "value": "hidden"}],
    });
    let completed = fixture.service.setup_complete(&token, body, context()).await.unwrap();
    let derived = fs::read(&file).unwrap();
    assert_ne!(random, derived);
    // RFC 9106, with the instance's id as salt: passphrase and database give the file back without the server.
    let mut key = [0; 32];
    let params = argon2::Params::new(19 * 1024, 2, 1, None).unwrap();
    argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params)
        .hash_password_into(b"correct horse", completed.snapshot.app.id.as_bytes(), &mut key)
        .unwrap();
    let line = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, key);
    assert_eq!(derived, format!("{line}\n").into_bytes());
    assert_eq!(completed.snapshot.secrets, ["tracker.login"]);
    let (key_id, secret) = completed.api_key.split_once(':').unwrap();
    fixture.reopened().await.snapshot().authenticate(key_id, secret).unwrap();
    assert!(fixture.telemetry.health.degraded().is_empty());

    // Without its file the server says so, and still lets the right key in.
    fs::remove_file(&file).unwrap();
    let restarted = fixture.reopened().await;
    assert_eq!(fixture.telemetry.health.degraded(), ["api_keys"]);
    assert_eq!(restarted.snapshot().authenticate(key_id, secret), Err(AuthError::Unverified));
    restarted.authenticate(key_id, secret).await.unwrap();
}

#[tokio::test]
async fn a_token_that_nobody_uses_expires_in_the_history_by_itself() {
    let fixture = Fixture::new().await;
    fixture.service.setup_start("test", Duration::from_secs(1), context()).await.unwrap();
    let tasks = fixture.watched();
    let expired = async {
        while history(&fixture).await != ["issued", "expired"] {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), expired).await.expect("it never expired");
    drop(tasks);
}
