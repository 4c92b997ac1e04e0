//! What the tests of the host side share: a data directory, waiting for a condition, a helper process.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::allow_attributes,
    reason = "each test binary uses a part of it"
)]

pub mod database;
pub mod program;

use std::{
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use revaer_app::{
    child::Children,
    postgres::{EmbeddedError, EmbeddedOptions, EmbeddedPostgres},
};
use revaer_telemetry::{Health, Tasks};

/// Tells a re-executed test binary that it is the helper, and with what.
pub const HELPER: &str = "REVAER_TEST_HELPER";

/// A temporary directory that an unprivileged database server can pass.
pub fn data_dir() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
    dir
}

pub fn options(data_dir: &Path) -> EmbeddedOptions {
    EmbeddedOptions {
        data_dir: data_dir.to_owned(),
        runtime_dir: None,
        search_path: std::env::var_os("PATH"),
    }
}

/// The process-wide parts that an embedded database needs.
pub struct Host {
    pub children: Children,
    pub health: Health,
    pub tasks: Tasks,
}

impl Host {
    pub fn new() -> Self {
        Self { children: Children::start().unwrap(), health: Health::new(), tasks: Tasks::new() }
    }

    pub async fn start(&self, data_dir: &Path) -> Result<EmbeddedPostgres, EmbeddedError> {
        EmbeddedPostgres::start(&self.children, options(data_dir), &self.health, &self.tasks).await
    }
}

/// Waits until `condition` answers something, at most half a minute.
pub async fn wait_for<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(answer) = condition().await {
            return answer;
        }
        assert!(begin.elapsed() < Duration::from_secs(30), "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Runs the test `name` of this binary as a process of its own, which can be killed.
pub fn helper(name: &str, argument: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(HELPER, argument)
        .stdin(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap()
}

/// The argument, in a helper process.
pub fn helper_argument() -> Option<PathBuf> {
    std::env::var_os(HELPER).map(PathBuf::from)
}

pub fn is_running(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit_once(')').is_some_and(|(_, rest)| rest.starts_with(" Z")))
}

/// The process id in the first line of a file.
pub fn pid_in(path: &Path) -> Option<u32> {
    std::fs::read_to_string(path).ok()?.lines().next()?.trim().parse().ok()
}

pub fn postmaster_pid(data_dir: &Path) -> Option<u32> {
    pid_in(&data_dir.join("pg/postmaster.pid"))
}

/// Every process whose working directory is `dir`.
pub fn processes_in(dir: &Path) -> Vec<u32> {
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid: &u32| std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == dir))
        .collect()
}
