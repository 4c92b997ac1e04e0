//! The end of the server: at any moment, in time, and with nothing left behind.

#![expect(clippy::unwrap_used, reason = "a test, on processes of its own")]

mod common;

use std::{
    fs,
    io::Read,
    net::TcpListener,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use common::{data_dir, helper_argument, is_running, postmaster_pid, processes_in, wait_for};
use revaer_app::shutdown::{Drain, Stage};
use rustix::process::{Pid, Signal, kill_process};

/// A server on `data_dir`; what it says is in `server.log` there.
fn server(data_dir: &Path, database_url: Option<&str>, listen: &str) -> Child {
    let log = fs::File::create(data_dir.join("server.log")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_revaer-app"));
    command.args(["--listen", listen, "--log-format", "json", "--data-dir"]).arg(data_dir);
    command.env_remove("DATABASE_URL").envs(database_url.map(|url| ("DATABASE_URL", url)));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap()
}

fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), signal).unwrap();
}

/// The exit of a server that was told to end, and how long it took.
async fn exit(mut server: Child, log: &Path) -> (ExitStatus, Duration) {
    let begin = Instant::now();
    let status = wait_for("the server ends", async || server.try_wait().unwrap()).await;
    if !status.success() {
        eprintln!("{}", fs::read_to_string(log).unwrap());
    }
    (status, begin.elapsed())
}

#[tokio::test]
async fn a_signal_ends_a_start_that_waits_for_a_database_which_does_not_answer() {
    let dir = data_dir();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://revaer@{}/revaer", silent.local_addr().unwrap());
    let server = server(dir.path(), Some(&url), "127.0.0.1:0");
    let (_kept, _) = silent.accept().unwrap();
    signal(server.id(), Signal::TERM);
    let (status, took) = exit(server, &dir.path().join("server.log")).await;
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[tokio::test]
async fn a_signal_ends_a_start_at_any_moment_of_the_embedded_database() {
    for sign in ["lock", "pg.tmp/PG_VERSION", "pg", "pg/postmaster.pid"] {
        let dir = data_dir();
        let server = server(dir.path(), None, "127.0.0.1:0");
        let path = dir.path().join(sign);
        wait_for("the start has come this far", async || fs::exists(&path).unwrap().then_some(())).await;
        signal(server.id(), Signal::TERM);
        let (status, _) = exit(server, &dir.path().join("server.log")).await;
        assert_eq!(status.code(), Some(0), "{sign}");
        assert!(processes_in(&dir.path().join("pg")).is_empty(), "{sign}");
        assert_eq!(postmaster_pid(dir.path()), None, "{sign}: stopped in order");
    }
}

#[tokio::test]
async fn a_signal_ends_a_start_while_the_embedded_database_does_not_answer() {
    let dir = data_dir();
    let server = server(dir.path(), None, "127.0.0.1:0");
    let postmaster = wait_for("a postmaster", async || postmaster_pid(dir.path())).await;
    signal(postmaster, Signal::STOP);
    signal(server.id(), Signal::INT);
    let log = dir.path().join("server.log");
    wait_for("the signal was taken", async || {
        fs::read_to_string(&log).unwrap().contains("told to stop").then_some(())
    })
    .await;
    signal(postmaster, Signal::CONT);
    let (status, _) = exit(server, &log).await;
    assert_eq!(status.code(), Some(0));
    assert!(!is_running(postmaster));
}

#[tokio::test]
async fn a_start_that_fails_leaves_no_database_behind() {
    let dir = data_dir();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = server(dir.path(), None, &taken.local_addr().unwrap().to_string());
    let mut server = server;
    let status = wait_for("the server gives up", async || server.try_wait().unwrap()).await;
    assert_eq!(status.code(), Some(3));
    assert!(processes_in(&dir.path().join("pg")).is_empty());
    assert_eq!(postmaster_pid(dir.path()), None, "stopped in order");
}

/// Not a test by itself: a process with a drain that hangs in every way at once.
#[test]
fn helper_that_hangs() {
    const CODE: u8 = 7;
    let Some(_) = helper_argument() else { return };
    revaer_telemetry::logging::install("info", revaer_telemetry::logging::LogFormat::Json).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    runtime.block_on(async {
        let drain = Drain::within(Duration::from_millis(50), CODE);
        drain.enter(Stage::Requests);
        drain.enter(Stage::Engine);
        let hangs = || loop {
            std::thread::park();
        };
        drop(tokio::task::spawn_blocking(hangs));
        hangs();
    });
}

#[tokio::test]
async fn whatever_hangs_the_process_ends_and_says_what_it_waited_for() {
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "helper_that_hangs", "--nocapture"])
        .env(common::HELPER, "hang")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let status = wait_for("the process ends", async || process.try_wait().unwrap()).await;
    assert_eq!(status.code(), Some(7));
    let mut said = String::new();
    process.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(said.contains("the engine") && said.contains("did not end in time"), "{said}");
}
