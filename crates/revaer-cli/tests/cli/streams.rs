//! Streams: over reconnects nothing is lost and nothing is printed twice.

use std::{path::Path, process::Stdio};

use crate::support::{
    ID, Ran, Server, detail, ended, frame, json as answer, nowhere, open, problem, revaer, run,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines},
    process::{Child, ChildStdout},
};

fn state(id: u64, state: &str) -> String {
    frame(id, &json!({"type": "state_changed", "torrent_id": ID, "state": state}))
}

fn progress(id: u64, done: u64) -> String {
    frame(
        id,
        &json!({"type": "progress", "torrent_id": ID, "bytes_downloaded": done, "bytes_total": 10,
            "download_bps": 1, "upload_bps": 0}),
    )
}

struct Tail {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    _home: tempfile::TempDir,
}

impl Tail {
    fn start(url: &str, args: &[&str]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut child = revaer(url, home.path()).arg("tail").args(args).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines, _home: home }
    }

    async fn line(&mut self) -> String {
        self.lines.next_line().await.unwrap().expect("another line")
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id().unwrap()).unwrap()).unwrap()
    }

    async fn stop(mut self) -> (Option<i32>, String) {
        kill_process(self.pid(), Signal::TERM).unwrap();
        let mut stderr = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).await.unwrap();
        assert_eq!(self.lines.next_line().await.unwrap(), None);
        (self.child.wait().await.unwrap().code(), stderr)
    }
}

#[tokio::test]
async fn a_cut_stream_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let resume = dir.path().join("last");
    let server = Server::start(|_, before| match before {
        // Cut in the middle of a frame, after the reason.
        0 => ended(format!(
            "retry: 10\n\n{}{}: too slow\n\nid: 8\nevent: state_changed\ndata: {{\"id\"",
            state(5, "queued"),
            state(7, "downloading")
        )),
        1 => problem(&json!({"title": "rate limit exceeded", "status": 429, "retry_after_seconds": 1})),
        2 => ended(""),
        // A server that repeats itself is heard once.
        3 => open(format!("{}{}{}", state(7, "downloading"), progress(8, 3), state(9, "seeding"))),
        _ => open(""),
    })
    .await;
    let args = ["--output", "json", "--resume-file", resume.to_str().unwrap()];
    let mut tail = Tail::start(&server.url, &args);
    let mut ids = Vec::new();
    for _ in 0..4 {
        let event: Value = serde_json::from_str(&tail.line().await).unwrap();
        ids.push(event["id"].as_u64().unwrap());
    }
    assert_eq!(ids, [5, 7, 8, 9]);
    let (code, stderr) = tail.stop().await;
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("the server said: too slow"), "{stderr}");
    assert!(stderr.contains("; next try in 1.0 s"), "the server's wish is respected: {stderr}");
    assert_eq!(std::fs::read_to_string(&resume).unwrap(), "9\n");
    let positions: Vec<_> =
        server.seen().iter().map(|seen| seen.header("last-event-id").map(str::to_owned)).collect();
    assert_eq!(positions, [None, Some("7".into()), Some("7".into()), Some("7".into())]);

    // The next run begins where this one ended.
    let server =
        Server::start(|_, _| open(format!("{}{}", state(9, "seeding"), state(12, "completed")))).await;
    let mut tail = Tail::start(&server.url, &args);
    assert!(tail.line().await.contains("\"id\":12"));
    assert_eq!(tail.stop().await.0, Some(0));
    assert_eq!(server.seen()[0].header("last-event-id"), Some("9"));
    assert_eq!(std::fs::read_to_string(&resume).unwrap(), "12\n");
}

#[tokio::test]
async fn kill_9_repeats_no_lifecycle_event_that_was_noted() {
    let dir = tempfile::tempdir().unwrap();
    let resume = dir.path().join("last");
    let server = Server::start(|_, _| open(state(5, "queued"))).await;
    let mut tail = Tail::start(&server.url, &["--resume-file", resume.to_str().unwrap()]);
    tail.line().await;
    until(|| std::fs::read_to_string(&resume).is_ok_and(|text| text == "5\n")).await;
    tail.child.kill().await.unwrap();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_keep_alive_moves_the_position() {
    let dir = tempfile::tempdir().unwrap();
    let resume = dir.path().join("last");
    let server = Server::start(|_, _| open(": keep-alive\nid: 40\n\n")).await;
    let tail = Tail::start(&server.url, &["--resume-file", resume.to_str().unwrap()]);
    until(|| std::fs::read_to_string(&resume).is_ok_and(|text| text == "40\n")).await;
    assert_eq!(tail.stop().await.0, Some(0));
}

#[tokio::test]
async fn a_gap_is_told_and_moves_the_position_even_back() {
    let dir = tempfile::tempdir().unwrap();
    let resume = dir.path().join("last");
    std::fs::write(&resume, "900\n").unwrap();
    let server = Server::start(|_, _| {
        let gap = "id: 20\nevent: gap\ndata: {\"requested\":900,\"oldest\":3}\n\n";
        open(format!("{gap}{}", state(21, "seeding")))
    })
    .await;
    let mut tail = Tail::start(&server.url, &["--resume-file", resume.to_str().unwrap()]);
    let line = tail.line().await;
    assert_eq!(line, format!("2025-10-17T12:00:00Z 21 state_changed {ID} seeding"));
    let (_, stderr) = tail.stop().await;
    assert!(stderr.starts_with("gap: what happened between event 900 and 3"), "{stderr}");
    assert_eq!(std::fs::read_to_string(&resume).unwrap(), "21\n");
}

#[tokio::test]
async fn filters_are_sent_as_they_were_understood() {
    let server = Server::start(|_, _| open(state(1, "queued"))).await;
    let mut tail = Tail::start(
        &server.url,
        &["--torrent", ID, "--event", "Progress,state_changed", "--state", "queued"],
    );
    tail.line().await;
    tail.stop().await;
    let path = &server.seen()[0].path;
    assert_eq!(path, &format!("/v1/events?torrent={ID}&event=progress%2Cstate_changed&state=queued"));
    assert_eq!(server.seen()[0].header("accept"), Some("text/event-stream"));
}

#[tokio::test]
async fn a_refusal_ends_the_tail() {
    let server = Server::start(|_, before| match before {
        0 => ended(format!("retry: 10\n\n{}", state(1, "queued"))),
        _ => problem(&json!({"title": "authentication required", "status": 401, "detail": "key revoked"})),
    })
    .await;
    let ran = run(&server.url, &["tail"]).await;
    assert_eq!(ran.code, 3);
    assert!(ran.stderr.ends_with("error: authentication required: key revoked\n"), "{}", ran.stderr);
    assert_eq!(run(&nowhere().await, &["tail"]).await.code, 3);
}

#[tokio::test]
async fn a_reader_that_leaves_is_no_failure() {
    let server =
        Server::start(|_, _| open((1..2000).map(|id| state(id, "queued")).collect::<String>())).await;
    let mut tail = Tail::start(&server.url, &[]);
    tail.line().await;
    let Tail { mut child, lines, _home } = tail;
    drop(lines);
    assert_eq!(child.wait().await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn secrets_are_not_in_the_process_title() {
    let server = Server::start(|_, _| open(state(1, "queued"))).await;
    let mut tail = Tail::start(&server.url, &["--api-key", "flag:hunter2"]);
    tail.line().await;
    let title = std::fs::read(format!("/proc/{}/cmdline", tail.child.id().unwrap())).unwrap();
    let title = String::from_utf8_lossy(&title).into_owned();
    assert!(title.contains("tail") && !title.contains("hunter2"), "{title}");
    assert_eq!(server.seen()[0].header("x-revaer-api-key"), Some("flag:hunter2"));
    tail.stop().await;
}

#[tokio::test]
async fn following_ends_when_the_library_entry_is_whole() {
    let server = Server::start(|seen, before| match (seen.path.starts_with("/v1/events"), before) {
        (true, _) => open(format!("{}{}", progress(1, 6), state(2, "seeding"))),
        (false, 1) => answer(200, &detail("downloading", 4, &json!(null))),
        (false, _) => {
            answer(200, &detail("seeding", 10, &json!({"status": "completed", "library_path": "/l/show"})))
        }
    })
    .await;
    let ran = run(&server.url, &["status", ID, "--follow"]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let progress: Vec<_> = ran.stdout.lines().take_while(|line| !line.starts_with("id ")).collect();
    assert_eq!(
        progress,
        [
            "40.0% (4 B of 10 B) downloading 0 B/s down 0 B/s up",
            "60.0% (6 B of 10 B) downloading 1 B/s down 0 B/s up",
            "100.0% (10 B of 10 B) seeding 0 B/s down 0 B/s up fsops completed",
        ]
    );
    assert!(server.seen()[0].path.starts_with("/v1/events?torrent="), "the stream is opened first");
}

#[tokio::test]
async fn following_ends_without_a_job_and_survives_a_restart() {
    let server = Server::start(|seen, before| match (seen.path.starts_with("/v1/events"), before) {
        (true, _) => ended("retry: 10\n\n"),
        (false, 1) => answer(200, &detail("downloading", 4, &json!(null))),
        (false, 2..6) => problem(&json!({"title": "service unavailable", "status": 503})),
        (false, _) => answer(200, &detail("seeding", 10, &json!(null))),
    })
    .await;
    let ran = run(&server.url, &["status", ID, "--follow", "--output", "json"]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(ran.stdout.lines().count(), 1);
    assert!(ran.stdout.contains("\"seeding\""));
}

#[tokio::test]
async fn following_a_failure_exits_3_with_its_reason() {
    let mut failed = detail("failed", 4, &json!(null));
    failed["state"]["failure_message"] = json!("disk full");
    let server =
        Server::start(
            move |seen, _| {
                if seen.path.starts_with("/v1/events") { open("") } else { answer(200, &failed) }
            },
        )
        .await;
    let ran = run(&server.url, &["status", ID, "-f"]).await;
    assert_eq!((ran.code, ran.stderr.as_str()), (3, "error: torrent failed: disk full\n"));

    let server = Server::start(|seen, _| {
        if seen.path.starts_with("/v1/events") {
            open(frame(3, &json!({"type": "torrent_removed", "torrent_id": ID, "data_deleted": false})))
        } else {
            answer(200, &detail("downloading", 4, &json!(null)))
        }
    })
    .await;
    let ran: Ran = run(&server.url, &["status", ID, "-f"]).await;
    assert_eq!(ran.code, 3);
    assert!(ran.stderr.starts_with("error: torrent removed: "), "{}", ran.stderr);
}

#[tokio::test]
async fn telemetry_tells_what_was_run_and_changes_nothing() {
    let listener = Server::start(|_, _| answer(500, &json!({}))).await;
    let server = Server::start(|_, _| {
        problem(&json!({"type": "https://revaer.dev/problems/not-found", "title": "resource not found",
            "status": 404, "detail": "no such torrent"}))
    })
    .await;
    let home = tempfile::tempdir().unwrap();
    let with = |endpoint: String, home: &Path| {
        let mut command = revaer(&server.url, home);
        command.env("REVAER_TELEMETRY_ENDPOINT", endpoint).args(["status", ID]).stdout(Stdio::null());
        command
    };
    let output = with(format!("{}/ingest?source=cli", listener.url), home.path()).output().await.unwrap();
    assert_eq!(output.status.code(), Some(3));
    let report = &listener.seen()[0];
    assert_eq!(report.path, "/ingest?source=cli");
    assert_eq!(report.header("x-revaer-api-key"), None);
    let report = report.json();
    assert_eq!(report["trace_id"], server.seen()[0].header("x-request-id").unwrap());
    assert_eq!(
        (
            &report["command"],
            &report["outcome"],
            &report["exit_code"],
            &report["problem_type"],
            &report["message"]
        ),
        (
            &json!("status"),
            &json!("failure"),
            &json!(3),
            &json!("https://revaer.dev/problems/not-found"),
            &json!("resource not found: no such torrent")
        )
    );
    assert!(report["timestamp_ms"].is_u64() && report["duration_ms"].is_u64());
    let output = with(nowhere().await, home.path()).output().await.unwrap();
    assert_eq!(output.status.code(), Some(3));
}

/// Waits until something is so; the test's own time limit ends a wait in vain.
async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}
