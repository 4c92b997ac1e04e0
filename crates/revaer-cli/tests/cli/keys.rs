//! Keys: listed without secrets, issued with one that is printed once, revoked.

use crate::support::{Server, json as answer, problem, revaer, run, typed};
use serde_json::json;

#[tokio::test]
async fn keys_are_a_table_or_the_servers_json() {
    let body = json!({"keys": [
        {"key_id": "admin", "label": "first\u{1b}", "enabled": true, "rate_limit": null,
         "created_at": "2025-10-17T12:00:00.5Z", "expires_at": null},
        {"key_id": "laptop", "label": "b", "enabled": false, "rate_limit": {"burst": 120, "per_seconds": 1},
         "created_at": "2025-10-17T12:00:00Z", "expires_at": "2030-01-01T00:00:00Z"},
    ]});
    let expected = format!("{body}\n");
    let server = Server::start(move |_, _| answer(200, &body)).await;
    let ran = run(&server.url, &["keys", "ls"]).await;
    insta::assert_snapshot!(ran.stdout, @r"
    KEY_ID  ENABLED  LIMIT        CREATED               EXPIRES               LABEL
    admin   yes      none         2025-10-17T12:00:00Z  never                 first�
    laptop  no       120 per 1 s  2025-10-17T12:00:00Z  2030-01-01T00:00:00Z  b
    ");
    assert_eq!(run(&server.url, &["keys", "ls", "--output", "json"]).await.stdout, expected);
    assert_eq!(server.seen()[0].path, "/v1/auth/keys");
}

#[tokio::test]
async fn a_new_key_is_printed_once_and_first() {
    let body = json!({"key_id": "laptop", "api_key": "laptop:s3cret", "label": "l", "rate_limit": null,
        "expires_at": "2030-01-31T10:00:00Z", "created_at": "2025-10-17T12:00:00Z"});
    let server = Server::start(move |_, _| answer(201, &body)).await;
    let args = ["--key-id", "laptop", "--label", "my laptop", "--burst", "5", "--per-seconds", "2"];
    let more = ["--expires-at", "2030-01-31T12:00:00+02:00"];
    let ran = run(&server.url, &[&["keys", "issue"], &args[..], &more].concat()).await;
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    assert_eq!(ran.stdout, "laptop:s3cret\nexpires_at: 2030-01-31T10:00:00Z\n");
    run(&server.url, &["keys", "issue", "--label", "plain"]).await;
    run(&server.url, &["keys", "issue", "--label", "free", "--unlimited"]).await;
    let seen = server.seen();
    assert_eq!((seen[0].method.as_str(), seen[0].path.as_str()), ("POST", "/v1/auth/keys"));
    assert_eq!(
        seen[0].json(),
        json!({"key_id": "laptop", "label": "my laptop", "rate_limit": {"burst": 5, "per_seconds": 2},
            "expires_at": "2030-01-31T12:00:00+02:00"})
    );
    assert_eq!(seen[1].json(), json!({"label": "plain"}));
    assert_eq!(seen[2].json(), json!({"label": "free", "rate_limit": null}));
}

#[tokio::test]
async fn keys_that_cannot_be_meant_are_refused_before_anything_is_sent() {
    let server = Server::start(|_, _| answer(200, &json!({}))).await;
    for args in [
        &["issue"][..],
        &["issue", "--label", "l", "--burst", "5"],
        &["issue", "--label", "l", "--burst", "0", "--per-seconds", "1"],
        &["issue", "--label", "l", "--unlimited", "--burst", "5", "--per-seconds", "1"],
        &["issue", "--label", "l", "--expires-at", "tomorrow"],
        &["issue", "--label", "l", "--key-id", "a b"],
        &["rotate", "../admin"],
        &["rotate", "admin", "--grace-seconds", "-1"],
        &["revoke", "a/b"],
        &["revoke"],
    ] {
        let ran = run(&server.url, &[&["keys"], args].concat()).await;
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{args:?}");
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_key_whose_answer_is_lost_can_be_found() {
    let server = Server::start(|_, _| typed(201, "application/json", crate::support::broken())).await;
    let ran = run(&server.url, &["keys", "issue", "--label", "l"]).await;
    assert_eq!((ran.code, ran.stdout.as_str()), (3, ""));
    for command in ["revaer keys ls", "revaer keys rotate", "revaer keys revoke"] {
        assert!(ran.stderr.contains(command), "{}", ran.stderr);
    }
}

#[tokio::test]
async fn a_revoked_key_in_its_file_is_told() {
    let server = Server::start(|_, _| typed(204, "text/plain", "")).await;
    let ran = run(&server.url, &["keys", "revoke", "laptop"]).await;
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (0, "laptop revoked\n", ""));
    let seen = &server.seen()[0];
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("DELETE", "/v1/auth/keys/laptop"));
    let home = tempfile::tempdir().unwrap();
    let key = home.path().join("key");
    std::fs::write(&key, "admin:s3cret\n").unwrap();
    let mut command = revaer(&server.url, home.path());
    command.env_remove("REVAER_API_KEY").args(["keys", "revoke", "admin", "--key-file"]).arg(&key);
    let ran: crate::support::Ran = command.output().await.unwrap().into();
    assert!(
        ran.stderr.ends_with(&format!("the key in {} is worthless now\n", key.display())),
        "{}",
        ran.stderr
    );
}

#[tokio::test]
async fn refusals_follow_their_status() {
    for (status, code) in [(404, 3), (409, 2), (422, 2)] {
        let server = Server::start(move |_, _| problem(&json!({"title": "no", "status": status}))).await;
        for args in [&["keys", "revoke", "laptop"][..], &["keys", "issue", "--label", "l"]] {
            assert_eq!(run(&server.url, args).await.code, code, "{status} {args:?}");
        }
    }
}
