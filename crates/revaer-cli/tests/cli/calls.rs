//! Single calls: what is sent, what is printed, and the exit code.

use crate::support::{ID, Server, detail, json as answer, nowhere, problem, revaer, run, typed};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;

#[tokio::test]
async fn exit_codes_follow_the_status() {
    for (status, code) in [
        (400, 2),
        (409, 2),
        (413, 2),
        (415, 2),
        (422, 2),
        (401, 3),
        (403, 3),
        (404, 3),
        (405, 3),
        (429, 3),
        (500, 3),
        (503, 3),
        (507, 3),
    ] {
        let server = Server::start(move |_, _| problem(&json!({"title": "no", "status": status}))).await;
        let ran = run(&server.url, &["ls"]).await;
        assert_eq!((ran.code, ran.stdout.as_str()), (code, ""), "{status}: {}", ran.stderr);
    }
}

#[tokio::test]
async fn a_problem_is_told_with_every_fault_and_what_else_it_says() {
    let server = Server::start(|_, _| {
        problem(&json!({
            "type": "https://revaer.dev/problems/duplicate-torrent", "title": "torrent already present",
            "status": 409, "detail": "use the one that is there", "existing_id": ID, "retry_after_seconds": 7,
            "invalid_params": [{"pointer": "/magnet", "message": "known"}, {"pointer": "/id", "message": "other"}],
        }))
    })
    .await;
    let ran = run(&server.url, &["torrent", "add", "magnet:?xt=urn:btih:00", "--output", "json"]).await;
    assert_eq!(ran.stdout, "");
    assert_eq!(
        ran.stderr,
        format!(
            "error: torrent already present: use the one that is there\n  /magnet: known\n  /id: other\n  \
             existing_id: {ID}\n  retry_after_seconds: 7\n"
        )
    );
}

#[tokio::test]
async fn what_the_server_says_to_do_is_told_as_a_command() {
    let server = Server::start(|_, _| {
        problem(&json!({
            "type": "https://revaer.dev/problems/not-found", "title": "resource not found", "status": 404,
            "detail": "there is no torrent 7; GET /v1/torrents lists those there are",
            "invalid_params": [{"pointer": "/path/id", "message": "such as GET /v1/torrents lists"}],
        }))
    })
    .await;
    let ran = run(&server.url, &["status", ID]).await;
    assert_eq!(
        ran.stderr,
        "error: resource not found: there is no torrent 7; `revaer ls` lists those there are\n  \
         /path/id: such as `revaer ls` lists\n"
    );
}

#[tokio::test]
async fn what_is_typed_wrong_is_told_with_what_would_be_right() {
    let url = nowhere().await;
    let id = "must be the UUID of a torrent, such as `revaer ls` lists";
    for (args, told) in [
        (&["status", "nope"][..], id),
        (&["action", "nope", "pause"], id),
        (&["torrent", "remove", "nope"], id),
        (&["tail", "--torrent", "nope"], id),
        (&["torrent", "add", "x", "--id", "nope"], "must be a UUID, and not the nil one"),
        (&["torrent", "add", "notamagnet"], "or a magnet link, which begins with magnet:?"),
        (&["action", ID, "rate"], "rate changes nothing without --download or --upload"),
        (&["action", ID, "pause", "--upload", "1"], "--download and --upload go with rate only"),
    ] {
        let ran = run(&url, args).await;
        assert_eq!(ran.code, 2, "{args:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(told), "{args:?}: {}", ran.stderr);
        assert!(!ran.stderr.contains("invalid character"), "{args:?}: {}", ran.stderr);
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let url = nowhere().await;
    let ran = run(&url, &["ls"]).await;
    assert_eq!(ran.code, 3);
    assert!(ran.stderr.starts_with("error: server not reached: "), "{}", ran.stderr);
    for part in [url.as_str(), "Connection refused", "start revaer-app", "--api-url"] {
        assert!(ran.stderr.contains(part), "{part} in {}", ran.stderr);
    }
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_not_waited_for() {
    let server = Server::start(|_, _| typed(200, "application/json", crate::support::endless())).await;
    let ran = run(&server.url, &["ls", "--timeout", "1"]).await;
    assert_eq!(ran.code, 3);
    assert!(
        ran.stderr.contains("no answer within 1 s; try again, or allow more with --timeout"),
        "{}",
        ran.stderr
    );
}

#[tokio::test]
async fn no_proxy_stands_between_a_host_and_itself() {
    let server = Server::start(|_, _| answer(200, &json!({"torrents": []}))).await;
    let proxy = nowhere().await;
    let home = tempfile::tempdir().unwrap();
    let mut command = revaer(&server.url, home.path());
    command.env("http_proxy", &proxy).env("HTTP_PROXY", &proxy).env("ALL_PROXY", &proxy);
    assert!(command.arg("ls").output().await.unwrap().status.success());
}

#[tokio::test]
async fn a_server_without_tls_is_not_spoken_to_in_clear_when_tls_is_asked_for() {
    let server = Server::start(|_, _| answer(200, &json!({"torrents": []}))).await;
    let ran = run(&server.url.replace("http:", "https:"), &["ls"]).await;
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn something_else_than_revaer_is_told_apart() {
    let server = Server::start(|_, _| typed(502, "text/html", "<h1>Bad Gateway</h1>")).await;
    let ran = run(&server.url, &["ls"]).await;
    assert_eq!(ran.code, 3);
    assert!(ran.stderr.contains("502 Bad Gateway without a problem document"), "{}", ran.stderr);
    let server = Server::start(|_, _| typed(200, "application/json", "{}")).await;
    let ran = run(&server.url, &["ls"]).await;
    assert_eq!(ran.code, 3);
    assert!(ran.stderr.starts_with("error: answer not understood: "), "{}", ran.stderr);
}

#[tokio::test]
async fn a_redirect_is_not_followed_with_the_key() {
    let other = Server::start(|_, _| typed(200, "application/json", "{}")).await;
    let target = other.url.clone();
    let server = Server::start(move |_, _| {
        let mut answer = typed(307, "text/plain", "");
        answer.headers_mut().insert("location", target.parse().unwrap());
        answer
    })
    .await;
    assert_eq!(run(&server.url, &["ls"]).await.code, 3);
    assert!(other.seen().is_empty());
}

#[tokio::test]
async fn wrong_commands_exit_2_before_anything_is_sent() {
    let server = Server::start(|_, _| answer(200, &json!({}))).await;
    let dir = tempfile::tempdir().unwrap();
    let empty = dir.path().join("empty.torrent");
    std::fs::write(&empty, "").unwrap();
    let list = dir.path().join("list.json");
    std::fs::write(&list, "[]").unwrap();
    for args in [
        vec!["dance"],
        vec!["status", "no-uuid"],
        vec!["ls", "--state", "sleeping"],
        vec!["ls", "--limit", "201"],
        vec!["tail", "--event", "explosion"],
        vec!["tail", "--torrent", "1,2"],
        vec!["action", ID, "rate"],
        vec!["action", ID, "pause", "--download", "5"],
        vec!["action", ID, "pause", "--delete-data"],
        vec!["action", ID, "rate", "--download", "fast"],
        vec!["torrent", "add", "/nowhere/x.torrent"],
        vec!["torrent", "add", empty.to_str().unwrap()],
        vec!["torrent", "add", "/dev/zero"],
        vec!["settings", "patch", "--file", list.to_str().unwrap()],
        vec!["setup", "complete"],
        vec!["ls", "--api-key", "hunter2"],
        vec!["ls", "--api-url", "http://user:hunter2@127.0.0.1:1"],
    ] {
        let ran = run(&server.url, &args).await;
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{args:?}: {}", ran.stderr);
        assert!(ran.stderr.starts_with("error: "), "{args:?}: {}", ran.stderr);
        assert!(!ran.stderr.contains("hunter2"), "{}", ran.stderr);
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn without_a_key_the_way_to_one_is_told() {
    let server = Server::start(|_, _| answer(200, &json!({}))).await;
    let home = tempfile::tempdir().unwrap();
    let output =
        revaer(&server.url, home.path()).env_remove("REVAER_API_KEY").arg("ls").output().await.unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr.contains("REVAER_API_KEY") && stderr.contains("revaer setup start"), "{stderr}");
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn the_key_comes_from_flag_then_variable_then_file() {
    let server = Server::start(|_, _| answer(200, &json!({"torrents": []}))).await;
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join(".config/revaer");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("api-key"), "file:c\n").unwrap();
    let run = |variable: &'static str, args: &'static [&'static str]| {
        let mut command = revaer(&server.url, home.path());
        command.env("REVAER_API_KEY", variable).args(args);
        async move { assert!(command.output().await.unwrap().status.success()) }
    };
    run("variable:b", &["ls", "--api-key", "flag:a"]).await;
    run("variable:b", &["ls"]).await;
    run("", &["ls"]).await;
    let keys: Vec<_> =
        server.seen().iter().map(|seen| seen.header("x-revaer-api-key").unwrap().to_owned()).collect();
    assert_eq!(keys, ["flag:a", "variable:b", "file:c"]);
}

#[tokio::test]
async fn a_call_carries_its_id_and_trace() {
    let server = Server::start(|_, _| answer(200, &json!({"torrents": []}))).await;
    let home = tempfile::tempdir().unwrap();
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let mut command = revaer(&server.url, home.path());
    assert!(command.env("TRACEPARENT", trace).arg("ls").output().await.unwrap().status.success());
    run(&server.url, &["ls"]).await;
    let seen = server.seen();
    let ids: Vec<_> = seen.iter().map(|seen| seen.header("x-request-id").unwrap()).collect();
    assert_eq!(ids[0].len(), 36);
    assert_ne!(ids[0], ids[1]);
    assert_eq!(seen[0].header("traceparent"), Some(trace));
    assert_eq!(seen[1].header("traceparent"), None);
}

#[tokio::test]
async fn rate_keeps_lifts_and_sets() {
    let server = Server::start(|_, _| answer(202, &detail("downloading", 4, &json!(null)))).await;
    for args in [&["--download", "none"][..], &["--upload", "0"], &["--download", "5", "--upload", "NONE"]] {
        let ran = run(&server.url, &[&["action", ID, "rate"], args].concat()).await;
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert_eq!(ran.stdout, format!("{ID} download limit none, upload limit none\n"));
    }
    let bodies: Vec<_> = server.seen().iter().map(crate::support::Seen::json).collect();
    assert_eq!(
        bodies,
        [
            json!({"type": "rate", "download_bps": null}),
            json!({"type": "rate", "upload_bps": 0}),
            json!({"type": "rate", "download_bps": 5, "upload_bps": null}),
        ]
    );
}

#[tokio::test]
async fn actions_are_posted_to_their_torrent() {
    let server = Server::start(|seen, _| {
        if seen.json()["type"] == "remove" {
            typed(204, "text/plain", "")
        } else {
            answer(202, &detail("stopped", 4, &json!(null)))
        }
    })
    .await;
    assert_eq!(run(&server.url, &["action", ID, "pause"]).await.stdout, format!("{ID} stopped\n"));
    assert_eq!(run(&server.url, &["torrent", "remove", ID]).await.stdout, format!("{ID} removed\n"));
    run(&server.url, &["action", ID, "remove", "--delete-data"]).await;
    run(&server.url, &["action", ID, "remove-data", "--delete-library"]).await;
    let seen = server.seen();
    assert!(
        seen.iter().all(|seen| seen.method == "POST" && seen.path == format!("/v1/torrents/{ID}/action"))
    );
    assert_eq!(seen[1].json(), json!({"type": "remove", "delete_data": false}));
    assert_eq!(seen[2].json(), json!({"type": "remove", "delete_data": true}));
    assert_eq!(seen[3].json(), json!({"type": "remove", "delete_data": true, "delete_library": true}));
}

#[tokio::test]
async fn a_torrent_file_travels_in_base64_with_every_option() {
    let server = Server::start(|_, _| answer(202, &detail("queued", 0, &json!(null)))).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("show.torrent");
    std::fs::write(&file, b"d4:infod\xffe").unwrap();
    let ran = run(
        &server.url,
        &[
            "torrent",
            "add",
            file.to_str().unwrap(),
            "--id",
            ID,
            "--name",
            "show",
            "--tags",
            "tv,hd",
            "--trackers",
            "http://a/announce,udp://b:1",
            "--download-dir",
            "/srv/d",
            "--include",
            "*.{mkv,mp4},a",
            "--exclude",
            "b",
            "--skip-fluff",
            "--sequential=false",
            "--max-download",
            "0",
            "--max-upload",
            "none",
            "--paused",
            "--seed-mode",
        ],
    )
    .await;
    assert_eq!((ran.code, ran.stdout), (0, format!("{ID}\n")));
    assert_eq!(
        server.seen()[0].json(),
        json!({
            "metainfo": STANDARD.encode(b"d4:infod\xffe"), "id": ID, "name": "show", "tags": ["tv", "hd"],
            "trackers": ["http://a/announce", "udp://b:1"], "download_dir": "/srv/d",
            "include": ["*.{mkv,mp4}", "a"], "exclude": ["b"], "skip_fluff": true, "sequential": false,
            "max_download_bps": 0, "paused": true, "seed_mode": true,
        })
    );
}

#[tokio::test]
async fn an_add_whose_answer_is_lost_can_be_repeated() {
    let server = Server::start(|_, _| typed(202, "application/json", crate::support::broken())).await;
    let ran = run(&server.url, &["torrent", "add", "magnet:?xt=urn:btih:00"]).await;
    assert_eq!(ran.code, 3);
    let id = server.seen()[0].json()["id"].as_str().unwrap().to_owned();
    assert!(ran.stderr.contains(&format!("repeat with --id {id}")), "{}", ran.stderr);
}

#[tokio::test]
async fn lists_are_tables_or_the_servers_json() {
    let mut torrent = detail("failed", 4, &json!(null));
    torrent["name"] = json!("evil\u{1b}[2J");
    let body = json!({"torrents": [torrent], "next": "abc"});
    let expected = body.to_string();
    let server = Server::start(move |_, _| answer(200, &body)).await;
    let ran = run(&server.url, &["ls", "--state", "Failed,queued", "--name", "a b", "--limit", "5"]).await;
    assert_eq!(
        ran.stdout,
        format!(
            "ID                                    STATE   PROGRESS  NAME\n{ID}  failed  40.0%     evil\u{fffd}[2J\n"
        )
    );
    assert_eq!(ran.stderr, "more: --cursor abc\n");
    assert_eq!(server.seen()[0].path, "/v1/torrents?limit=5&state=failed%2Cqueued&name=a+b");
    let ran = run(&server.url, &["ls", "--format", "json"]).await;
    assert_eq!(ran.stdout, format!("{expected}\n"));
    let ran = run(&server.url, &["--quiet", "ls"]).await;
    assert!(ran.stdout.starts_with(ID) && ran.stderr.is_empty(), "{ran:?}");
    let ran = run(&server.url, &["ls", "--color", "always"]).await;
    assert!(ran.stdout.contains("\u{1b}[31mfailed\u{1b}[0m"), "{ran:?}");
}

#[tokio::test]
async fn settings_are_read_and_patched() {
    let server =
        Server::start(|_, _| answer(200, &json!({"revision": 8, "fs_policy": {"flatten": true}}))).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("changes.json");
    std::fs::write(&file, r#"{"fs_policy":{"flatten":true}}"#).unwrap();
    let ran = run(&server.url, &["settings", "patch", "--file", file.to_str().unwrap()]).await;
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "revision: 8\n"), "{}", ran.stderr);
    let ran = run(&server.url, &["settings", "get"]).await;
    assert!(ran.stdout.contains("\"flatten\": true"), "{}", ran.stdout);
    let seen = server.seen();
    assert_eq!((seen[0].method.as_str(), seen[0].json()), ("PATCH", json!({"fs_policy": {"flatten": true}})));
    assert_eq!((seen[1].method.as_str(), seen[1].path.as_str()), ("GET", "/admin/settings"));
}

#[tokio::test]
async fn health_exits_3_when_degraded() {
    let full = |status: &str, degraded: serde_json::Value| {
        json!({
            "status": status, "mode": "active", "revision": 1,
            "build": {"version": "0.1.0", "sha": "abc", "target": "t"}, "uptime_seconds": 61,
            "degraded": degraded, "guardrails": [],
            "components": {"disk": {"status": status, "reason": "/srv is full"}},
            "dependencies": {"sevenzip": {"found": false}, "par2": {"found": false},
                "libtorrent": {"version": "2.0.8"}, "postgresql": {"version": "15"}},
            "metrics": {"config_watch_latency_ms": 1, "config_apply_latency_ms": 0,
                "config_update_failures_total": 0, "config_watch_slow_total": 0,
                "guardrail_violations_total": 0, "rate_limit_throttled_total": 0},
            "torrent": {"active": 1, "queue_depth": 0, "by_state": {"seeding": 1}},
            "fsops": {"queued": 0, "running": 0, "waiting": 0, "failed_total": 0, "oldest_job_seconds": 0},
        })
    };
    let well = full("ok", json!([]));
    let server = Server::start(move |_, _| answer(200, &well)).await;
    assert_eq!(run(&server.url, &["health"]).await.code, 0);
    let unwell = full("degraded", json!(["disk"]));
    let server = Server::start(move |_, _| answer(200, &unwell)).await;
    let ran = run(&server.url, &["health"]).await;
    assert_eq!((ran.code, ran.stderr.as_str()), (3, "error: server degraded: disk\n"));
    assert!(ran.stdout.contains("/srv is full"), "{}", ran.stdout);
    assert_eq!(run(&nowhere().await, &["health"]).await.code, 3);
}

#[tokio::test]
async fn completions_need_no_server() {
    let ran = run(&nowhere().await, &["completions", "bash"]).await;
    assert_eq!(ran.code, 0);
    assert!(ran.stdout.contains("_revaer()"));
}

#[tokio::test]
async fn of_an_empty_file_nothing_is_missing() {
    let mut whole = detail("seeding", 10, &json!(null));
    whole["files"] = json!([{
        "index": 0, "path": "show/empty", "size_bytes": 0, "bytes_completed": 0,
        "priority": "normal", "selected": true,
    }]);
    let server = Server::start(move |_, _| answer(200, &whole)).await;
    let ran = run(&server.url, &["status", ID]).await;
    let row = ran.stdout.lines().find(|line| line.contains("show/empty")).unwrap_or(&ran.stderr);
    assert_eq!(row.split_whitespace().nth(1), Some("100.0%"), "{row}");
}
