//! Rotation: wherever it is cut short, one of two files holds a key that the server takes, and the same command
//! finishes.

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{body::Body, http::Response};
use serde_json::json;
use tokio::process::Command;

use crate::support::{
    Ran, Seen, Server, broken, endless, feed, json as answer, nowhere, problem, revaer, run, typed,
};

const OLD: &str = "admin:old-secret-old-secret-old-secret-old";
const PRESENT: &str = "admin:new-secret-new-secret-new-secret-new";

/// A home whose key file holds the key, and the file.
fn home_with(key: &str) -> (tempfile::TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join(".config/revaer/api-key");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, format!("{key}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    (home, path)
}

fn old(path: &Path) -> PathBuf {
    path.with_file_name("api-key.old")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap().trim().to_owned()
}

fn from_file(url: &str, home: &Path, args: &[&str]) -> Command {
    let mut command = revaer(url, home);
    command.env_remove("REVAER_API_KEY").args(args);
    command
}

async fn rotate(url: &str, home: &Path, args: &[&str]) -> Ran {
    from_file(url, home, &[&["keys", "rotate", "admin"], args].concat()).output().await.unwrap().into()
}

fn brought(seen: &Seen) -> String {
    format!("admin:{}", seen.json()["secret"].as_str().unwrap())
}

fn rotated(seen: &Seen) -> Response<Body> {
    answer(
        200,
        &json!({"key_id": "admin", "api_key": brought(seen), "label": "a", "rate_limit": null,
            "created_at": "2025-10-17T12:00:00Z", "grace_until": "2025-10-17T12:05:00.9Z"}),
    )
}

fn unauthorized() -> Response<Body> {
    problem(&json!({"title": "authentication required", "status": 401, "detail": "the key is not taken"}))
}

/// A server that takes one key at a time, and a new one when it is rotated.
async fn server_with(key: &str) -> (Server, Arc<Mutex<String>>) {
    let taken = Arc::new(Mutex::new(key.to_owned()));
    let present = taken.clone();
    let server = Server::start(move |seen, _| {
        let mut present = present.lock().unwrap();
        if seen.header("x-revaer-api-key") != Some(present.as_str()) {
            return unauthorized();
        }
        if seen.method == "GET" {
            return answer(200, &json!({"torrents": []}));
        }
        *present = brought(seen);
        rotated(seen)
    })
    .await;
    (server, taken)
}

#[tokio::test]
async fn the_new_key_is_in_its_file_before_the_server_hears_of_it() {
    let (home, path) = home_with(OLD);
    let file = path.clone();
    let server = Server::start(move |seen, _| {
        assert_eq!((read(&file), read(&old(&file))), (brought(seen), OLD.to_owned()));
        for kept in [&file, &old(&file)] {
            assert_eq!(std::fs::metadata(kept).unwrap().permissions().mode() & 0o777, 0o600);
        }
        rotated(seen)
    })
    .await;
    let ran = rotate(&server.url, home.path(), &["--grace-seconds", "60"]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let seen = &server.seen()[0];
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", "/v1/auth/keys/admin/rotate"));
    assert_eq!(seen.header("x-revaer-api-key"), Some(OLD));
    assert_eq!(seen.json()["grace_seconds"], 60);
    let key = read(&path);
    assert_eq!(ran.stdout, format!("{key}\ngrace_until: 2025-10-17T12:05:00Z\n"));
    assert_eq!(key.strip_prefix("admin:").unwrap().len(), 43);
    assert!(!old(&path).exists());
    assert!(!ran.stderr.contains(key.strip_prefix("admin:").unwrap()), "{}", ran.stderr);
}

#[tokio::test]
async fn a_refused_rotation_leaves_the_key_as_it_was() {
    for status in [401, 404, 409, 422, 429] {
        let (home, path) = home_with(OLD);
        let server = Server::start(move |_, _| problem(&json!({"title": "no", "status": status}))).await;
        let ran = rotate(&server.url, home.path(), &[]).await;
        assert_ne!(ran.code, 0);
        assert_eq!((ran.stdout.as_str(), read(&path).as_str()), ("", OLD), "{status}: {}", ran.stderr);
        assert!(!old(&path).exists(), "{status}");
    }
    let (home, path) = home_with(OLD);
    assert_eq!(rotate(&nowhere().await, home.path(), &[]).await.code, 3);
    assert_eq!((read(&path).as_str(), old(&path).exists()), (OLD, false));
}

#[tokio::test]
async fn a_rotation_whose_answer_is_lost_is_finished_by_the_same_command() {
    // The server took the new key, or it did not; it said nothing either way.
    for was_taken in [true, false] {
        let (home, path) = home_with(OLD);
        for lost in [|| typed(200, "application/json", broken()), || typed(502, "text/html", "gone")] {
            let server = Server::start(move |_, _| lost()).await;
            let ran = rotate(&server.url, home.path(), &[]).await;
            assert_eq!((ran.code, ran.stdout.as_str()), (3, ""), "{}", ran.stderr);
            assert!(ran.stderr.contains("repeat the command to finish"), "{}", ran.stderr);
            assert_eq!(read(&old(&path)), OLD);
        }
        let key = read(&path);
        let (server, taken) = server_with(if was_taken { &key } else { OLD }).await;
        let ran = rotate(&server.url, home.path(), &[]).await;
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert!(ran.stdout.starts_with(&key), "{}", ran.stdout);
        assert_eq!((read(&path), old(&path).exists()), (key.clone(), false));
        assert_eq!(*taken.lock().unwrap(), key);
        // From here on it is an ordinary rotation again.
        assert_eq!(rotate(&server.url, home.path(), &[]).await.code, 0);
        assert_ne!(read(&path), key);
    }
}

#[tokio::test]
async fn kill_9_during_a_rotation_locks_nobody_out() {
    let (home, path) = home_with(OLD);
    let server = Server::start(|_, _| typed(200, "application/json", endless())).await;
    let mut child = from_file(&server.url, home.path(), &["keys", "rotate", "admin"]).spawn().unwrap();
    while server.seen().is_empty() {
        tokio::task::yield_now().await;
    }
    child.kill().await.unwrap();
    let key = read(&path);
    assert_eq!((brought(&server.seen()[0]), read(&old(&path)).as_str()), (key.clone(), OLD));
    // The server never took it: every other command says how to go on.
    let (server, _) = server_with(OLD).await;
    let ran: Ran = from_file(&server.url, home.path(), &["ls"]).output().await.unwrap().into();
    assert_eq!(ran.code, 3);
    assert!(ran.stderr.contains("finish it with `revaer keys rotate admin`"), "{}", ran.stderr);
    assert!(ran.stderr.contains("api-key.old keeps the key from before"), "{}", ran.stderr);
    assert_eq!(rotate(&server.url, home.path(), &[]).await.code, 0);
    let ran: Ran = from_file(&server.url, home.path(), &["ls"]).output().await.unwrap().into();
    assert_eq!((ran.code, read(&path)), (0, key));
}

#[tokio::test]
async fn kill_9_between_the_two_files_is_as_if_nothing_was_begun() {
    // Both files hold the earlier key: the file was not written yet.
    let (home, path) = home_with(OLD);
    std::fs::write(old(&path), format!("{OLD}\n")).unwrap();
    let (server, taken) = server_with(OLD).await;
    let ran = rotate(&server.url, home.path(), &[]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_ne!(read(&path), OLD);
    assert_eq!((read(&path), old(&path).exists()), (taken.lock().unwrap().clone(), false));
}

#[tokio::test]
async fn when_neither_key_is_taken_the_door_on_the_host_is_named() {
    let (home, path) = home_with(PRESENT);
    std::fs::write(old(&path), format!("{OLD}\n")).unwrap();
    let (server, _) = server_with("admin:something-else").await;
    let ran = rotate(&server.url, home.path(), &[]).await;
    assert_eq!((ran.code, ran.stdout.as_str()), (3, ""));
    assert!(ran.stderr.contains("`revaer-app issue-key`"), "{}", ran.stderr);
    assert_eq!((read(&path).as_str(), read(&old(&path)).as_str()), (PRESENT, OLD));
}

#[tokio::test]
async fn two_rotations_of_one_file_do_not_mix() {
    let (home, path) = home_with(OLD);
    let server = Server::start(|_, _| typed(200, "application/json", endless())).await;
    let mut first = from_file(&server.url, home.path(), &["keys", "rotate", "admin"]).spawn().unwrap();
    while server.seen().is_empty() {
        tokio::task::yield_now().await;
    }
    let ran = rotate(&server.url, home.path(), &[]).await;
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("another command is replacing the key"), "{}", ran.stderr);
    assert_eq!((server.seen().len(), read(&old(&path)).as_str()), (1, OLD));
    first.kill().await.unwrap();
}

#[tokio::test]
async fn a_file_that_cannot_be_written_stops_the_rotation_before_it_begins() {
    let (home, path) = home_with(OLD);
    std::fs::create_dir(old(&path)).unwrap();
    let (server, _) = server_with(OLD).await;
    let ran = rotate(&server.url, home.path(), &[]).await;
    assert_ne!(ran.code, 0);
    assert_eq!((read(&path).as_str(), server.seen().len()), (OLD, 0));
}

#[tokio::test]
async fn a_key_that_the_file_does_not_hold_leaves_it_alone() {
    let (home, path) = home_with(OLD);
    let server = Server::start(|seen, _| rotated(seen)).await;
    let mut command = revaer(&server.url, home.path());
    command.env("REVAER_API_KEY", PRESENT).args(["keys", "rotate", "admin"]);
    let ran: Ran = command.output().await.unwrap().into();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("REVAER_API_KEY, or the flag, has the secret before"), "{}", ran.stderr);
    let ran: Ran =
        from_file(&server.url, home.path(), &["keys", "rotate", "laptop"]).output().await.unwrap().into();
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    assert_eq!((read(&path).as_str(), old(&path).exists()), (OLD, false));
}

#[tokio::test]
async fn the_same_key_in_variable_and_file_is_replaced_in_the_file() {
    let (home, path) = home_with(OLD);
    let (server, taken) = server_with(OLD).await;
    let mut command = revaer(&server.url, home.path());
    command.env("REVAER_API_KEY", OLD).args(["keys", "rotate", "admin", "--output", "json"]);
    let ran: Ran = command.output().await.unwrap().into();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let body: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(body["api_key"], read(&path));
    assert_eq!(read(&path), *taken.lock().unwrap());
}

#[tokio::test]
async fn a_key_without_a_file_is_printed_when_nobody_knows_whether_it_is_in_force() {
    let server = Server::start(|_, before| match before {
        0 => typed(200, "application/json", "{}"),
        _ => typed(200, "application/json", broken()),
    })
    .await;
    let ran = run(&server.url, &["keys", "rotate", "laptop"]).await;
    assert_eq!(ran.code, 3);
    let secret = server.seen()[0].json()["secret"].as_str().unwrap().to_owned();
    assert_eq!(ran.stdout, format!("laptop:{secret}\n"));
    assert!(ran.stderr.contains("--secret-stdin") && !ran.stderr.contains(&secret), "{}", ran.stderr);
    let home = tempfile::tempdir().unwrap();
    let mut again = revaer(&server.url, home.path());
    let ran = feed(again.args(["keys", "rotate", "laptop", "--secret-stdin"]), &ran.stdout).await;
    assert_eq!((ran.code, ran.stdout.as_str()), (3, ""));
    assert_eq!(server.seen()[1].json()["secret"], secret.as_str());
    assert!(ran.stderr.contains("repeat the command with the same secret"), "{}", ran.stderr);
}

#[tokio::test]
async fn a_secret_from_stdin_is_taken_whole_and_never_repeated() {
    let (home, path) = home_with(OLD);
    let (server, _) = server_with(OLD).await;
    for text in ["", "hunter2", "hunter2 hunter2 hunter2 hunter2 hunter2"] {
        let mut command = from_file(&server.url, home.path(), &["keys", "rotate", "admin", "--secret-stdin"]);
        let ran = feed(&mut command, text).await;
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{}", ran.stderr);
        assert!(!ran.stderr.contains("hunter2"), "{}", ran.stderr);
    }
    assert_eq!((server.seen().len(), read(&path).as_str()), (0, OLD));
    let secret = "c".repeat(32);
    let mut command = from_file(&server.url, home.path(), &["keys", "rotate", "admin", "--secret-stdin"]);
    let ran = feed(&mut command, &format!("{secret}\n")).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(read(&path), format!("admin:{secret}"));
}

#[tokio::test]
async fn another_secret_does_not_replace_one_that_may_be_in_force() {
    let (home, path) = home_with(PRESENT);
    std::fs::write(old(&path), format!("{OLD}\n")).unwrap();
    let (server, _) = server_with(OLD).await;
    let mut command = from_file(&server.url, home.path(), &["keys", "rotate", "admin", "--secret-stdin"]);
    let ran = feed(&mut command, &"c".repeat(32)).await;
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert_eq!((server.seen().len(), read(&path).as_str()), (0, PRESENT));
}

#[tokio::test]
async fn kill_9_at_any_moment_leaves_a_key_that_is_taken() {
    let (home, path) = home_with(OLD);
    let (server, taken) = server_with(OLD).await;
    for millis in 0..50 {
        let started = Instant::now();
        let mut child = from_file(&server.url, home.path(), &["keys", "rotate", "admin"]).spawn().unwrap();
        while started.elapsed() < Duration::from_millis(millis) {
            tokio::task::yield_now().await;
        }
        child.kill().await.unwrap();
        let kept = [&path, &old(&path)].map(|file| std::fs::read_to_string(file).unwrap_or_default());
        let taken = taken.lock().unwrap().clone();
        assert!(kept.iter().any(|key| key.trim() == taken), "after {millis} ms: {kept:?}, not {taken}");
    }
    // What a kill leaves of a file that is being written.
    let (partial, other) =
        (path.with_file_name(".api-key.7-0.revaer-tmp"), path.with_file_name(".x.7-0.revaer-tmp"));
    std::fs::write(&partial, "admin:s").unwrap();
    std::fs::write(&other, "not ours").unwrap();
    let ran = rotate(&server.url, home.path(), &[]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!((read(&path), old(&path).exists()), (taken.lock().unwrap().clone(), false));
    let mut left: Vec<_> =
        path.parent().unwrap().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, [".x.7-0.revaer-tmp", "api-key"]);
}
