//! The embedded database on the system's real server: made, stopped, killed, left behind, and started again.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test, on directories of its own")]

mod common;

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use common::{Host, data_dir, helper, helper_argument, is_running, postmaster_pid, processes_in, wait_for};
use revaer_app::postgres::{EmbeddedError, EmbeddedPostgres};
use revaer_telemetry::Component;
use rustix::process::{Pid, Signal, kill_process};
use sqlx::{ConnectOptions, Connection, PgConnection};

async fn connect(postgres: &EmbeddedPostgres) -> PgConnection {
    postgres.connect_options().connect().await.unwrap()
}

async fn remember(postgres: &EmbeddedPostgres, word: &str) {
    let mut conn = connect(postgres).await;
    sqlx::raw_sql("CREATE TABLE IF NOT EXISTS words (word text)").execute(&mut conn).await.unwrap();
    sqlx::query("INSERT INTO words VALUES ($1)").bind(word).execute(&mut conn).await.unwrap();
}

async fn remembered(postgres: &EmbeddedPostgres) -> Vec<String> {
    let mut conn = connect(postgres).await;
    sqlx::query_scalar("SELECT word FROM words ORDER BY word").fetch_all(&mut conn).await.unwrap()
}

fn kill(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), signal).unwrap();
}

/// Whether this process has `file` open.
fn holds(file: &Path) -> bool {
    fs::read_dir("/proc/self/fd")
        .unwrap()
        .flatten()
        .any(|entry| fs::read_link(entry.path()).is_ok_and(|target| target == file))
}

async fn wait_until_empty(pg: &Path) {
    wait_for("no process of the database is left", async || processes_in(pg).is_empty().then_some(())).await;
}

async fn wait_until_ready(dir: &Path) {
    wait_for("the helper is ready", async || fs::exists(dir.join("ready")).unwrap().then_some(())).await;
    fs::remove_file(dir.join("ready")).unwrap();
}

/// Not a test by itself: the process that others kill.
#[tokio::test]
async fn helper_with_a_database() {
    let Some(dir) = helper_argument() else { return };
    let host = Host::new();
    let postgres = host.start(&dir).await.unwrap();
    remember(&postgres, "from the helper").await;
    fs::write(dir.join("ready"), "").unwrap();
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_first_start_makes_a_cluster_and_a_second_finds_it() {
    let dir = data_dir();
    let host = Host::new();
    let postgres = host.start(dir.path()).await.unwrap();
    remember(&postgres, "kept").await;
    let mut conn = connect(&postgres).await;
    for (setting, expected) in [
        ("server_encoding", "UTF8"),
        ("lc_collate", "C"),
        ("listen_addresses", ""),
        ("max_connections", "30"),
        ("shared_buffers", "32MB"),
        ("dynamic_shared_memory_type", "mmap"),
        ("data_checksums", "on"),
    ] {
        let shown: String = sqlx::query_scalar(
            "SELECT CASE WHEN $1 = 'lc_collate' THEN (SELECT datcollate::text \
            FROM pg_database WHERE datname = current_database()) ELSE current_setting($1) END",
        )
        .bind(setting)
        .fetch_one(&mut conn)
        .await
        .unwrap();
        assert_eq!(shown, expected, "{setting}");
    }
    conn.close().await.unwrap();
    postgres.stop().await;
    wait_until_empty(&dir.path().join("pg")).await;
    assert_eq!(postmaster_pid(dir.path()), None, "stopped in order, not cut off");

    let postgres = host.start(dir.path()).await.unwrap();
    assert_eq!(remembered(&postgres).await, ["kept"]);
    postgres.stop().await;
}

#[tokio::test]
async fn only_this_user_can_connect() {
    let dir = data_dir();
    let host = Host::new();
    let postgres = host.start(dir.path()).await.unwrap();
    let as_other = postgres.connect_options().username("postgres");
    let error = as_other.connect().await.unwrap_err().to_string();
    assert!(
        error.contains("peer authentication failed") || error.contains("Peer authentication failed"),
        "{error}"
    );
    postgres.stop().await;
}

#[tokio::test]
async fn the_database_ends_by_itself_when_the_server_is_killed() {
    let dir = data_dir();
    let pg = dir.path().join("pg");
    let mut server = helper("helper_with_a_database", dir.path());
    wait_until_ready(dir.path()).await;
    let postmaster = postmaster_pid(dir.path()).unwrap();
    server.kill().unwrap();
    server.wait().unwrap();
    wait_until_empty(&pg).await;
    assert!(!is_running(postmaster));
    assert_eq!(postmaster_pid(dir.path()), None, "it had the time for its checkpoint");
    let log = fs::read_to_string(dir.path().join("pg.log")).unwrap();
    assert!(log.contains("received fast shutdown request"), "{log}");
}

#[tokio::test]
async fn everything_killed_at_once_is_recovered_by_the_next_start() {
    let dir = data_dir();
    let mut server = helper("helper_with_a_database", dir.path());
    wait_until_ready(dir.path()).await;
    // Stopped first, so that the death of one does not let the other end in order.
    kill(server.id(), Signal::STOP);
    for pid in processes_in(&dir.path().join("pg")) {
        kill(pid, Signal::KILL);
    }
    server.kill().unwrap();
    server.wait().unwrap();

    let host = Host::new();
    let postgres = host.start(dir.path()).await.unwrap();
    assert_eq!(remembered(&postgres).await, ["from the helper"]);
    postgres.stop().await;
}

#[tokio::test]
async fn a_postmaster_that_outlived_its_server_is_ended_and_not_adopted() {
    let dir = data_dir();
    let mut server = helper("helper_with_a_database", dir.path());
    wait_until_ready(dir.path()).await;
    let old = postmaster_pid(dir.path()).unwrap();
    // A stopped process keeps its death signal for later, as a busy one may for a moment.
    kill(old, Signal::STOP);
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(is_running(old));
    let host = Host::new();
    let (postgres, ()) = tokio::join!(host.start(dir.path()), async {
        wait_for("the start looks at what is left", async || {
            holds(&dir.path().join("pg.lock")).then_some(())
        })
        .await;
        kill(old, Signal::CONT);
    });
    let postgres = postgres.unwrap();
    assert!(!is_running(old));
    assert_ne!(postmaster_pid(dir.path()), Some(old));
    assert_eq!(remembered(&postgres).await, ["from the helper"]);
    postgres.stop().await;
}

#[tokio::test]
async fn a_killed_postmaster_is_started_again_and_health_says_so_meanwhile() {
    let dir = data_dir();
    let host = Host::new();
    let postgres = host.start(dir.path()).await.unwrap();
    remember(&postgres, "committed").await;
    let mut degraded = host.health.subscribe();
    let old = postmaster_pid(dir.path()).unwrap();
    kill(old, Signal::KILL);
    degraded.wait_for(|names| names.contains(&"database")).await.unwrap();
    let (_, status) =
        host.health.snapshot().into_iter().find(|(one, _)| *one == Component::Database).unwrap();
    if let Some(reason) = status.reason {
        assert!(reason.contains("embedded postgresql ended (signal: 9"), "{reason}");
    }
    degraded.wait_for(Vec::is_empty).await.unwrap();
    assert_eq!(remembered(&postgres).await, ["committed"]);
    postgres.stop().await;
    wait_until_empty(&dir.path().join("pg")).await;
}

#[tokio::test]
async fn a_torn_initdb_blocks_nothing() {
    let dir = data_dir();
    fs::create_dir_all(dir.path().join("pg.tmp/base/1")).unwrap();
    fs::write(dir.path().join("pg.tmp/PG_VERSION"), "15\n").unwrap();
    let host = Host::new();
    let postgres = host.start(dir.path()).await.unwrap();
    assert!(!fs::exists(dir.path().join("pg.tmp")).unwrap());
    postgres.stop().await;
}

#[tokio::test]
async fn an_initdb_killed_at_any_moment_blocks_nothing() {
    for sign in ["pg.tmp", "pg.tmp/PG_VERSION", "pg.tmp/global/pg_control", "pg"] {
        let dir = data_dir();
        let sign = dir.path().join(sign);
        let mut server = helper("helper_with_a_database", dir.path());
        wait_for("initdb has come this far", async || fs::exists(&sign).unwrap().then_some(())).await;
        server.kill().unwrap();
        server.wait().unwrap();
        let host = Host::new();
        let postgres = host.start(dir.path()).await.unwrap();
        remember(&postgres, "works").await;
        postgres.stop().await;
    }
}

#[tokio::test]
async fn long_and_odd_paths_work() {
    for name in ["d".repeat(150), "with space, comma \"quote\" and ümläut".to_owned()] {
        let outer = data_dir();
        let dir = outer.path().join(name);
        fs::create_dir(&dir).unwrap();
        let host = Host::new();
        let postgres = host.start(&dir).await.unwrap();
        remember(&postgres, "works").await;
        let socket = postgres.connect_options().get_socket().unwrap().clone();
        postgres.stop().await;
        if !socket.starts_with(&dir) {
            fs::remove_dir_all(socket).unwrap();
        }
    }
}

#[tokio::test]
async fn a_pid_file_that_names_a_stranger_does_not_block() {
    let dir = data_dir();
    let mut server = helper("helper_with_a_database", dir.path());
    wait_until_ready(dir.path()).await;
    kill(server.id(), Signal::STOP);
    for pid in processes_in(&dir.path().join("pg")) {
        kill(pid, Signal::KILL);
    }
    server.kill().unwrap();
    server.wait().unwrap();
    // The id was given to somebody else meanwhile: to us.
    let file = dir.path().join("pg/postmaster.pid");
    let text = fs::read_to_string(&file).unwrap();
    let (_, rest) = text.split_once('\n').unwrap();
    fs::write(&file, format!("{}\n{rest}", std::process::id())).unwrap();
    let host = Host::new();
    let postgres = host.start(dir.path()).await.unwrap();
    assert_eq!(remembered(&postgres).await, ["from the helper"]);
    postgres.stop().await;
}

#[tokio::test]
async fn a_cluster_of_a_missing_major_version_names_the_package() {
    let dir = data_dir();
    let pg = dir.path().join("pg");
    fs::create_dir(&pg).unwrap();
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&pg, Some(65534), Some(65534)).unwrap();
    }
    fs::write(pg.join("PG_VERSION"), "11\n").unwrap();
    let error = Host::new().start(dir.path()).await.unwrap_err();
    assert!(matches!(error, EmbeddedError::MajorMissing { major: 11, .. }));
    assert!(error.to_string().contains("postgresql-11"), "{error}");
    assert!(pg.join("PG_VERSION").exists());
}

#[tokio::test]
async fn a_directory_that_is_no_cluster_is_left_alone() {
    let dir = data_dir();
    fs::create_dir(dir.path().join("pg")).unwrap();
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(dir.path().join("pg"), Some(65534), Some(65534)).unwrap();
    }
    let error = Host::new().start(dir.path()).await.unwrap_err();
    assert!(matches!(error, EmbeddedError::NotACluster { .. }), "{error}");
}

#[tokio::test]
async fn a_closed_directory_above_is_named_as_root() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let outer = tempfile::tempdir().unwrap();
    fs::set_permissions(outer.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let dir = outer.path().join("data");
    fs::create_dir(&dir).unwrap();
    let error = Host::new().start(&dir).await.unwrap_err().to_string();
    assert!(error.contains(&format!("can not pass {}", outer.path().display())), "{error}");
}
