//! `revaer-app` with any flags and any environment: as a server, and as a command that ends.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use revaer_e2e::address::Address;
use revaer_e2e::api::Api;
use revaer_e2e::db::Database;
use revaer_e2e::process::{Process, Spec};
use revaer_e2e::{binaries, procfs, setup, wait};
use rustix::process::{Pid, Signal, geteuid, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) const LIMIT: Duration = Duration::from_mins(1);
/// What the server reads, and whoever runs the tests may have set.
const VARIABLES: [&str; 11] = [
    "DATABASE_URL",
    "REVAER_TEST_DATABASE_URL",
    "REVAER_DATA_DIR",
    "REVAER_SECRET_KEY_FILE",
    "RUST_LOG",
    "PUID",
    "PGID",
    "UMASK",
    "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
];

/// A place for one test: a folder that other users may pass, an address for the engine, perhaps a database.
pub(crate) struct Place {
    pub(crate) address: Address,
    database: Option<Database>,
    program: PathBuf,
    starts: AtomicU32,
    folder: TempDir,
}

impl Place {
    /// The server starts a database of its own.
    pub(crate) fn embedded() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("revaer-e2e-").tempdir()?;
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711))?;
        // Under a path that every user may pass.
        let (built, program) = (binaries::find("revaer-app")?, folder.path().join("revaer-app"));
        if fs::hard_link(&built, &program).is_err() {
            fs::copy(&built, &program)?;
        }
        Ok(Self { address: Address::claim()?, database: None, program, starts: AtomicU32::new(0), folder })
    }

    /// The server uses another database, which costs less.
    pub(crate) async fn external() -> Result<Self> {
        let mut place = Self::embedded()?;
        place.database = Some(Database::create().await?);
        Ok(place)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The usual data directory.
    pub(crate) fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// The program with these words, and nothing in its environment but where its database is.
    pub(crate) fn command(&self, words: &[&str]) -> Spec {
        let start = self.starts.fetch_add(1, Ordering::Relaxed);
        let mut spec = Spec::new(&format!("revaer-app-{start}"), &self.program, self.folder.path());
        spec = VARIABLES.into_iter().fold(spec, Spec::env_remove).args(words.iter().copied());
        match &self.database {
            Some(database) => spec.env("DATABASE_URL", database.url()),
            None => spec,
        }
    }

    /// A server on the usual data directory, at a free port.
    pub(crate) fn server(&self) -> Spec {
        let data = self.data().display().to_string();
        self.command(&["--data-dir", &data, "--listen", "127.0.0.1:0", "--log-format", "json"])
    }

    /// Runs a command to its end.
    pub(crate) async fn run(&self, spec: &Spec) -> Result<Said> {
        let mut process = Process::start(spec)?;
        let code = process.wait(LIMIT).await?;
        Ok(Said { code, out: process.stdout()?, err: process.stderr()? })
    }

    /// Statements to the external database.
    pub(crate) async fn sql(&self, sql: &str) -> Result<()> {
        let mut connection = self.database.as_ref().context("no external database")?.connect().await?;
        revaer_e2e::db::run(&mut connection, sql).await?;
        Ok(())
    }

    /// What setup is told, so that nothing looks beyond this machine.
    pub(crate) fn settings(&self) -> Result<Value> {
        let port = self.address.free_port()?;
        let interfaces = [self.address.ip().to_string()];
        Ok(json!({ "engine_profile": {
            "dht": false, "lsd": false, "listen_interfaces": interfaces, "listen_port": port,
        } }))
    }

    /// Starts a server and sets it up.
    pub(crate) async fn active(&self, spec: &Spec, more: &Value) -> Result<(Running, Api)> {
        let server = Running::start(spec).await?;
        let mut settings = self.settings()?;
        setup::merge(&mut settings, more);
        let api = server.set_up(&settings).await?;
        Ok((server, api))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for found in procfs::processes_of(self.folder.path()).unwrap_or_default() {
            if let Some(pid) = Pid::from_raw(found.pid)
                && let Err(error) = kill_process(pid, Signal::KILL)
            {
                eprintln!("cannot end {found}: {error}");
            }
        }
    }
}

/// What a command left.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A server that listens.
pub(crate) struct Running {
    pub(crate) process: Process,
    pub(crate) url: String,
    pub(crate) mode: String,
}

impl Running {
    pub(crate) async fn start(spec: &Spec) -> Result<Self> {
        let mut process = Process::start(spec)?;
        let (url, mode) = wait::until("the listening line", LIMIT, || {
            let line = listening(&mut process, 0);
            async move { line }
        })
        .await?;
        Ok(Self { process, url, mode })
    }

    /// Waits until it says that it listens for the `count`th time; answers where, and in which mode.
    pub(crate) async fn moved(&mut self, count: usize) -> Result<(String, String)> {
        wait::until("the next listening line", LIMIT, || {
            let line = listening(&mut self.process, count - 1);
            async move { line }
        })
        .await
    }

    pub(crate) fn api(&self) -> Result<Api> {
        Api::new(&self.url)
    }

    /// Completes setup; a client with the key.
    pub(crate) async fn set_up(&self, settings: &Value) -> Result<Api> {
        let api = self.api()?;
        let token = setup::token(&api).await?;
        let header = [("x-revaer-setup-token", token.as_str())];
        let done = api.post_with("/admin/setup/complete", settings, &header).await?.expect(200)?;
        Ok(api.with_key(done["api_key"].as_str().context("no key")?))
    }

    pub(crate) async fn wait_log(&self, words: &str) -> Result<()> {
        wait::until(format!("{words:?} in the log"), LIMIT, || async {
            Ok(self.process.stderr()?.contains(words).then_some(()))
        })
        .await
    }

    /// Ends it in order; answers its whole log.
    pub(crate) async fn stop(mut self) -> Result<String> {
        self.process.signal(Signal::TERM)?;
        let code = self.process.wait(LIMIT).await?;
        if code != 0 {
            bail!("the server ended with {code}");
        }
        self.process.stderr()
    }
}

fn listening(process: &mut Process, index: usize) -> Result<Option<(String, String)>> {
    let stdout = process.stdout()?;
    let whole = stdout.rfind('\n').map_or("", |end| &stdout[..end]);
    let Some(line) = whole.lines().nth(index) else {
        process.expect_running()?;
        return Ok(None);
    };
    let rest = line.strip_prefix("revaer listening on ").and_then(|rest| rest.strip_suffix(')'));
    let (url, mode) = rest.and_then(|rest| rest.split_once(" (")).with_context(|| line.to_owned())?;
    Ok(Some((url.to_owned(), mode.to_owned())))
}

/// Lets a command be run by another user, where the tests run as root and so may.
pub(crate) fn as_user(mut spec: Spec, uid: u32) -> Spec {
    if geteuid().is_root() {
        spec.setpriv = vec![format!("--reuid={uid}"), format!("--regid={uid}"), "--clear-groups".to_owned()];
    }
    spec
}

/// Makes a folder that belongs to such a user.
pub(crate) fn folder_of(uid: u32, path: &Path) -> Result<()> {
    fs::create_dir(path)?;
    if geteuid().is_root() {
        chown(path, Some(uid), Some(uid))?;
    }
    Ok(())
}

/// Whether a line of a log in JSON is of this level.
pub(crate) fn is_level(line: &str, level: &str) -> bool {
    line.contains(&format!("\"level\":\"{level}\""))
}
