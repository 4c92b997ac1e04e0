//! Setup: the token is printed once, and the key is safe before the server hears of it.

use std::{os::unix::fs::PermissionsExt, path::Path};

use crate::support::{Ran, Server, json as answer, problem, revaer, typed};
use serde_json::json;

async fn complete(url: &str, home: &Path, args: &[&str]) -> Ran {
    let mut command = revaer(url, home);
    command.env_remove("REVAER_API_KEY").env("REVAER_SETUP_TOKEN", "t0ken");
    command.args(["setup", "complete"]).args(args).output().await.unwrap().into()
}

#[tokio::test]
async fn start_prints_the_token_and_its_end() {
    let server =
        Server::start(|_, _| answer(200, &json!({"token": "t0ken", "expires_at": "2025-10-17T12:15:00Z"})))
            .await;
    let ran =
        crate::support::run(&server.url, &["setup", "start", "--issued-by", "me", "--ttl-seconds", "60"])
            .await;
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "t0ken\nexpires_at: 2025-10-17T12:15:00Z\n"));
    let seen = &server.seen()[0];
    assert_eq!(
        (seen.path.as_str(), seen.json()),
        ("/admin/setup/start", json!({"issued_by": "me", "ttl_seconds": 60}))
    );
    assert_eq!(seen.header("x-revaer-api-key"), None);
    assert_eq!(seen.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn the_key_is_kept_before_the_server_hears_of_it() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join(".config/revaer/api-key");
    let kept = path.clone();
    let server = Server::start(move |seen, _| {
        let entry = &seen.json()["api_keys"][0];
        let key = format!("{}:{}", entry["key_id"].as_str().unwrap(), entry["secret"].as_str().unwrap());
        assert_eq!(std::fs::read_to_string(&kept).unwrap(), format!("{key}\n"));
        answer(200, &json!({"revision": 2, "app_profile": {"instance_name": "den"}, "api_key": key}))
    })
    .await;
    let ran = complete(&server.url, home.path(), &[]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let key = std::fs::read_to_string(&path).unwrap();
    assert_eq!(ran.stdout, format!("instance: den\napi_key: {key}"));
    assert_eq!(key.trim().strip_prefix("admin:").unwrap().len(), 43);
    assert_eq!(server.seen()[0].header("x-revaer-setup-token"), Some("t0ken"));
}

#[tokio::test]
async fn flags_and_file_make_one_changeset() {
    let server = Server::start(|_, _| answer(200, &json!({"api_key": "ops:x"}))).await;
    let home = tempfile::tempdir().unwrap();
    let settings = home.path().join("settings.json");
    let file = json!({"app_profile": {"instance_name": "file", "telemetry": {"log_level": "debug"}},
        "secrets": [{"op": "set", "name": "n", "value": "v"}]});
    std::fs::write(&settings, file.to_string()).unwrap();
    let ran = complete(
        &server.url,
        home.path(),
        &[
            "--instance",
            "den",
            "--bind",
            "127.0.0.1",
            "--port",
            "7071",
            "--resume-dir",
            "/r",
            "--download-root",
            "/d",
            "--library-root",
            "/l",
            "--allow-path",
            "/d",
            "--allow-path",
            "/l",
            "--api-key-label",
            "first",
            "--api-key-id",
            "ops",
            "--passphrase",
            " keep spaces ",
            "--key-file",
            home.path().join("key").to_str().unwrap(),
            "--settings",
            settings.to_str().unwrap(),
        ],
    )
    .await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let mut body = server.seen()[0].json();
    body["api_keys"][0]["secret"].take();
    assert_eq!(
        body,
        json!({
            "app_profile": {"instance_name": "den", "bind_addr": "127.0.0.1", "http_port": 7071,
                "telemetry": {"log_level": "debug"}},
            "engine_profile": {"resume_dir": "/r", "download_root": "/d"},
            "fs_policy": {"library_root": "/l", "allow_paths": ["/d", "/l"]},
            "api_keys": [{"op": "upsert", "key_id": "ops", "label": "first", "enabled": true, "secret": null}],
            "secrets": [{"op": "set", "name": "n", "value": "v"}],
            "passphrase": " keep spaces ",
        })
    );
}

#[tokio::test]
async fn a_lost_answer_loses_no_key() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(|_, before| match before {
        0 => typed(200, "application/json", crate::support::broken()),
        _ => answer(200, &json!({"api_key": "admin:x"})),
    })
    .await;
    let ran = complete(&server.url, home.path(), &[]).await;
    assert_eq!(ran.code, 3);
    assert!(ran.stderr.contains("the key is in ") && ran.stderr.contains("revaer ls"), "{}", ran.stderr);
    assert_eq!(complete(&server.url, home.path(), &[]).await.code, 0);
    let secrets: Vec<_> =
        server.seen().iter().map(|seen| seen.json()["api_keys"][0]["secret"].clone()).collect();
    assert_eq!(secrets[0], secrets[1]);
}

#[tokio::test]
async fn a_refusal_leaves_no_key_behind() {
    let home = tempfile::tempdir().unwrap();
    let server =
        Server::start(|_, _| problem(&json!({"title": "authentication required", "status": 401}))).await;
    assert_eq!(complete(&server.url, home.path(), &[]).await.code, 3);
    assert!(!home.path().join(".config/revaer/api-key").exists());
    assert_eq!(complete(&crate::support::nowhere().await, home.path(), &[]).await.code, 3);
    assert!(!home.path().join(".config/revaer/api-key").exists());
}

#[tokio::test]
async fn another_key_is_never_overwritten() {
    let home = tempfile::tempdir().unwrap();
    let key = home.path().join("key");
    std::fs::write(&key, "ops:precious\n").unwrap();
    let server = Server::start(|_, _| answer(200, &json!({"api_key": "admin:x"}))).await;
    let ran = complete(&server.url, home.path(), &["--key-file", key.to_str().unwrap()]).await;
    assert_eq!(ran.code, 2);
    assert!(!ran.stderr.contains("precious"), "{}", ran.stderr);
    assert_eq!(std::fs::read_to_string(&key).unwrap(), "ops:precious\n");
    assert!(server.seen().is_empty());
}
