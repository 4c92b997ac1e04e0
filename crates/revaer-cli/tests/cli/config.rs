//! Settings as a document: read, set again, listed by revision, and brought back.

use crate::support::{Seen, Server, json as answer, problem, run, run_with_stdin, typed};
use serde_json::{Value, json};

fn snapshot() -> Value {
    json!({
        "revision": 7,
        "app_profile": {"id": "x", "mode": "active", "version": 3, "instance_name": "den",
            "telemetry": {"log_level": "info"}, "immutable_keys": []},
        "engine_profile": {"max_download_bps": null, "dht": true},
        "fs_policy": {"flatten": false},
        "api_keys": [{"key_id": "admin", "label": "a", "enabled": true, "rate_limit": null,
            "created_at": "2025-10-17T12:00:00Z", "expires_at": null}],
        "secrets": ["indexer"],
    })
}

#[tokio::test]
async fn what_get_prints_set_takes_without_a_difference() {
    let body = snapshot();
    let server = Server::start(move |_, _| answer(200, &body)).await;
    for form in ["table", "json"] {
        let got = run(&server.url, &["config", "get", "--output", form]).await;
        assert_eq!(got.code, 0, "{}", got.stderr);
        let ran = run_with_stdin(&server.url, &["config", "set"], &got.stdout).await;
        assert_eq!((ran.code, ran.stdout.as_str()), (0, "revision: 7\n"), "{}", ran.stderr);
        let seen = server.seen();
        let seen = seen.last().unwrap();
        assert_eq!((seen.method.as_str(), seen.path.as_str()), ("PATCH", "/admin/settings"));
        assert_eq!((seen.header("if-match"), seen.header("x-revaer-reason")), (None, None));
        assert_eq!(
            seen.json(),
            json!({
                "app_profile": {"instance_name": "den", "telemetry": {"log_level": "info"}, "immutable_keys": []},
                "engine_profile": {"max_download_bps": null, "dht": true},
                "fs_policy": {"flatten": false},
                "api_keys": [{"op": "upsert", "key_id": "admin", "label": "a", "enabled": true,
                    "rate_limit": null, "expires_at": null}],
                "secrets": [],
            })
        );
    }
}

#[tokio::test]
async fn one_change_has_many_names() {
    let server = Server::start(|_, _| answer(200, &json!({"revision": 8}))).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("changes.json");
    let changes = json!({"fs_policy": {"flatten": true}});
    std::fs::write(&file, changes.to_string()).unwrap();
    let file = file.to_str().unwrap();
    for command in [["settings", "patch"], ["config", "set"], ["config", "apply"], ["settings", "set"]] {
        let ran = run(&server.url, &[&command[..], &["--file", file]].concat()).await;
        assert_eq!((ran.code, ran.stdout.as_str()), (0, "revision: 8\n"), "{command:?}: {}", ran.stderr);
    }
    assert!(server.seen().iter().all(|seen| seen.method == "PATCH" && seen.json() == changes));
}

#[tokio::test]
async fn a_change_carries_its_reason_and_its_condition() {
    let server = Server::start(|_, _| answer(200, &json!({"revision": 8}))).await;
    let args = ["config", "set", "--reason", "ticket 7: too fast", "--if-match", "7"];
    assert_eq!(run_with_stdin(&server.url, &args, "{}").await.code, 0);
    let seen = &server.seen()[0];
    assert_eq!(
        (seen.header("if-match"), seen.header("x-revaer-reason")),
        (Some("\"7\""), Some("ticket 7: too fast"))
    );
}

#[tokio::test]
async fn every_change_of_keys_and_presets_takes_a_reason() {
    let server = Server::start(|_, _| problem(&json!({"title": "no", "status": 404}))).await;
    for args in [
        &["keys", "issue", "--label", "l"][..],
        &["keys", "rotate", "laptop"],
        &["keys", "revoke", "laptop"],
        &["presets", "set", "tv"],
        &["presets", "rm", "tv"],
    ] {
        assert_eq!(
            run(&server.url, &[args, &["--reason", "für die Nacht"]].concat()).await.code,
            3,
            "{args:?}"
        );
    }
    let seen = server.seen();
    let reasons: Vec<_> = seen.iter().map(|seen| seen.headers["x-revaer-reason"].as_bytes()).collect();
    assert_eq!(reasons, ["für die Nacht".as_bytes(); 5]);
}

#[tokio::test]
async fn what_has_no_effect_is_noted_beside_the_result() {
    let body = json!({"revision": 8, "notices": [
        {"pointer": "/app_profile/http_port", "message": "--listen is in force\u{1b}[2J"}]});
    let expected = format!("{body}\n");
    let server = Server::start(move |_, _| answer(200, &body)).await;
    let note = "note: /app_profile/http_port: --listen is in force\u{fffd}[2J\n";
    let ran = run_with_stdin(&server.url, &["config", "set"], "{}").await;
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (0, "revision: 8\n", note));
    let ran = run_with_stdin(&server.url, &["config", "set", "--output", "json"], "{}").await;
    assert_eq!((ran.code, ran.stdout, ran.stderr.as_str()), (0, expected, note));
    let ran = run_with_stdin(&server.url, &["config", "set", "--quiet"], "{}").await;
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (0, "revision: 8\n", ""));
}

#[tokio::test]
async fn a_refused_change_is_told_with_every_fault() {
    let server = Server::start(|_, _| {
        problem(&json!({"title": "configuration invalid", "status": 422, "detail": "correct them",
            "invalid_params": [{"pointer": "/fs_policy/umask", "message": "must be octal"},
                {"pointer": "/engine_profile/dht", "message": "is immutable"}]}))
    })
    .await;
    let ran = run_with_stdin(&server.url, &["config", "set"], "{}").await;
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
    assert_eq!(
        ran.stderr,
        "error: configuration invalid: correct them\n  /fs_policy/umask: must be octal\n  \
         /engine_profile/dht: is immutable\n"
    );
}

#[tokio::test]
async fn an_export_that_failed_changes_nothing() {
    let server = Server::start(|_, _| answer(200, &json!({"revision": 8}))).await;
    let ran = run_with_stdin(&server.url, &["config", "set"], "\n").await;
    assert_eq!(ran.code, 2);
    assert_eq!(ran.stderr, "error: command not usable: stdin is empty: there is nothing to apply\n");
    for args in [
        &["config", "set", "--reason", ""][..],
        &["config", "set", "--reason", "zwei\nZeilen"],
        &["config", "set", "--if-match", "x"],
        &["config", "history", "--after", "1", "--before", "3"],
        &["config", "history", "--limit", "201"],
        &["config", "rollback"],
        &["config", "rollback", "-1"],
    ] {
        assert_eq!(run(&server.url, args).await.code, 2, "{args:?}");
    }
    assert!(server.seen().is_empty());
}

fn page() -> Value {
    json!({
        "history": [
            {"revision": 9, "at": "2025-10-17T12:00:00.123Z", "actor": "admin", "request_id": "r",
             "reason": "too fast", "changes": [
                {"section": "engine_profile", "op": "update", "old": {"max_download_bps": null, "dht": true},
                 "new": {"max_download_bps": 5, "dht": false}},
                {"section": "app_profile", "op": "update", "old": {"version": 1, "telemetry": {"log_level": "info"}},
                 "new": {"version": 2, "telemetry": {"log_level": "warn"}}},
                {"section": "api_keys", "op": "update", "key": "laptop",
                 "old": {"enabled": true}, "new": {"enabled": false}}]},
            {"revision": 8, "at": "2025-10-16T12:00:00Z", "actor": "postgres\u{1b}", "changes": [
                {"section": "secrets", "op": "insert", "key": "n", "old": null, "new": {"sealed": "***"}},
                {"section": "secrets", "op": "update", "key": "m", "old": {"sealed": "***"},
                 "new": {"sealed": "***"}},
                {"section": "query_presets", "op": "delete", "key": "p", "old": {"sort": null}, "new": null},
                {"section": "setup_tokens", "op": "issued", "key": "t", "old": null,
                 "new": {"issued_by": "api"}}]},
        ],
        "next": 8,
    })
}

#[tokio::test]
async fn history_tells_who_changed_what_and_why_newest_first() {
    let body = page();
    let expected = format!("{body}\n");
    let server = Server::start(move |_, _| answer(200, &body)).await;
    let ran = run(&server.url, &["config", "history"]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    insta::assert_snapshot!(ran.stdout, @r#"
    REVISION  WHEN                  ACTOR      WHAT                                              REASON
    9         2025-10-17T12:00:00Z  admin      engine_profile.dht true -> false                  too fast
                                               engine_profile.max_download_bps null -> 5
                                               app_profile.telemetry.log_level "info" -> "warn"
                                               api_keys.laptop.enabled true -> false
    8         2025-10-16T12:00:00Z  postgres�  secrets.n added
                                               secrets.m changed
                                               query_presets.p removed
                                               setup_tokens.t issued
    "#);
    assert_eq!(ran.stderr, "more: --before 8\n");
    let ran = run(&server.url, &["settings", "history", "--output", "json"]).await;
    assert_eq!((ran.stdout, ran.stderr.as_str()), (expected, ""));
    run(&server.url, &["config", "history", "--before", "8", "--limit", "200"]).await;
    let ran = run(&server.url, &["config", "history", "--after", "3", "--quiet"]).await;
    assert!(ran.stdout.starts_with('9') && ran.stderr.is_empty(), "{ran:?}");
    let paths: Vec<_> = server.seen().into_iter().map(|seen| seen.path).collect();
    assert_eq!(
        paths,
        [
            "/admin/settings/history?before=9007199254740991",
            "/admin/settings/history?before=9007199254740991",
            "/admin/settings/history?before=8&limit=200",
            "/admin/settings/history?after=3",
        ]
    );
}

fn then() -> Value {
    json!({"revision": 4, "app_profile": {"instance_name": "old", "telemetry": {"log_level": "debug"}},
        "engine_profile": {"max_download_bps": null}, "fs_policy": {"flatten": false}})
}

fn with_history(seen: &Seen) -> axum::http::Response<axum::body::Body> {
    match (seen.method.as_str(), seen.path.as_str()) {
        ("GET", "/admin/settings/history/4") => answer(200, &then()),
        ("GET", "/admin/settings") => answer(200, &snapshot()),
        ("PATCH", "/admin/settings") => answer(200, &json!({"revision": 8})),
        _ => problem(&json!({"title": "resource not found", "status": 404, "detail": "there is none"})),
    }
}

#[tokio::test]
async fn rollback_says_what_changes_and_makes_a_new_revision() {
    let server = Server::start(|seen, _| with_history(seen)).await;
    let ran = run(&server.url, &["config", "rollback", "4"]).await;
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    assert_eq!(
        ran.stdout,
        "app_profile.instance_name \"den\" -> \"old\"\napp_profile.telemetry.log_level \"info\" -> \"debug\"\n\
         revision: 8\n"
    );
    let seen = &server.seen()[2];
    assert_eq!(
        (seen.header("if-match"), seen.header("x-revaer-reason")),
        (Some("\"7\""), Some("rollback to revision 4"))
    );
    let mut expected = then();
    expected.as_object_mut().unwrap().remove("revision");
    assert_eq!(seen.json(), expected);
    let args = ["config", "rollback", "4", "--reason", "it was better", "--output", "json"];
    assert_eq!(run(&server.url, &args).await.stdout, "{\"revision\":8}\n");
    assert_eq!(server.seen()[5].header("x-revaer-reason"), Some("it was better"));
}

#[tokio::test]
async fn a_rollback_that_is_refused_or_overtaken_changes_nothing() {
    for status in [409, 422] {
        let server = Server::start(move |seen, _| match seen.method.as_str() {
            "PATCH" => problem(&json!({"title": "no", "status": status, "invalid_params":
                [{"pointer": "/app_profile/instance_name", "message": "is immutable"}]})),
            _ => with_history(seen),
        })
        .await;
        let ran = run(&server.url, &["config", "rollback", "4"]).await;
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{}", ran.stderr);
        assert!(ran.stderr.contains("  /app_profile/instance_name: is immutable\n"), "{}", ran.stderr);
    }
    let server = Server::start(|seen, _| with_history(seen)).await;
    let ran = run(&server.url, &["config", "rollback", "5"]).await;
    assert_eq!((ran.code, ran.stderr.as_str()), (3, "error: resource not found: there is none\n"));
    assert!(server.seen().iter().all(|seen| seen.method == "GET"));
}

#[tokio::test]
async fn a_rollback_to_what_is_in_force_says_so() {
    let server = Server::start(|seen, _| match seen.path.as_str() {
        "/admin/settings/history/7" => answer(200, &snapshot()),
        _ => with_history(seen),
    })
    .await;
    let ran = run(&server.url, &["config", "rollback", "7"]).await;
    assert_eq!(
        (ran.code, ran.stdout.as_str(), ran.stderr.as_str()),
        (0, "revision: 8\n", "nothing differs from revision 7\n")
    );
}

#[tokio::test]
async fn an_answer_that_is_no_snapshot_is_told_apart() {
    let server = Server::start(|_, _| typed(200, "application/json", "{}")).await;
    for args in [&["config", "rollback", "4"][..], &["config", "history"]] {
        let ran = run(&server.url, args).await;
        assert_eq!(ran.code, 3);
        assert!(ran.stderr.starts_with("error: answer not understood: "), "{}", ran.stderr);
    }
}
