//! The server under test: the real `revaer-app` on a data directory of its own, started, ended and started again.

use std::net::SocketAddrV4;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;

use crate::address::Address;
use crate::api::Api;
use crate::db::{self, Rows};
use crate::process::{Lifetime, Process, Spec};
use crate::{binaries, procfs, wait};

/// From start to the listening line: initdb, migrations and a recovery on a loaded machine.
const START: Duration = Duration::from_mins(1);
/// A drain takes at most 30 s by contract §9.
const DRAIN: Duration = Duration::from_secs(30);

/// What a server is started with.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// An external database; none: the embedded one.
    pub database_url: Option<String>,
    /// A data directory that stays; none: a temporary one.
    pub data_dir: Option<PathBuf>,
    /// What it listens on; none: a free port of 127.0.0.1.
    pub listen: Option<String>,
    /// Whether it outlives the harness.
    pub detached: bool,
    /// Listens where the settings say, and not at `listen`.
    pub as_configured: bool,
    /// Logs in the form that the settings say, and not as JSON.
    pub logs_as_configured: bool,
}

/// A server and its data directory.
#[derive(Debug)]
pub struct App {
    process: Option<Process>,
    starts: u32,
    url: String,
    mode: String,
    engine: SocketAddrV4,
    data_dir: PathBuf,
    logs: PathBuf,
    options: Options,
    address: Address,
    _folder: Option<TempDir>,
}

impl App {
    /// Starts one in a temporary data directory with an embedded database.
    pub async fn start() -> Result<Self> {
        Self::start_with(Options::default()).await
    }

    /// Starts one as told.
    pub async fn start_with(options: Options) -> Result<Self> {
        let mut app = Self::prepare(options)?;
        app.start_again().await?;
        Ok(app)
    }

    /// Makes the directories and starts nothing yet.
    pub fn prepare(options: Options) -> Result<Self> {
        let address = Address::claim()?;
        let engine = address.endpoint()?;
        let (folder, logs) = match &options.data_dir {
            Some(data_dir) => (None, data_dir.with_extension("logs")),
            None => {
                let folder = tempfile::Builder::new()
                    .prefix("revaer-e2e-")
                    .tempdir()
                    .context("no temporary folder")?;
                // A server started as root runs PostgreSQL as another user, who has to pass through here.
                std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711))?;
                let logs = folder.path().join("logs");
                (Some(folder), logs)
            }
        };
        std::fs::create_dir_all(&logs).with_context(|| format!("cannot make {}", logs.display()))?;
        let data_dir = match (&options.data_dir, &folder) {
            (Some(data_dir), _) => data_dir.clone(),
            (None, Some(folder)) => folder.path().join("data"),
            (None, None) => bail!("no data directory"),
        };
        Ok(Self {
            process: None,
            starts: 0,
            url: String::new(),
            mode: String::new(),
            engine,
            data_dir,
            logs,
            options,
            address,
            _folder: folder,
        })
    }

    /// Starts the server on its data directory and waits for the listening line.
    pub async fn start_again(&mut self) -> Result<()> {
        let mut process = self.spawn()?;
        let line = wait::until("the listening line", START, || {
            let line = listening_line(&mut process);
            async move { line }
        })
        .await;
        self.process = Some(process);
        (self.url, self.mode) = line?;
        Ok(())
    }

    /// Starts the server where it is expected to refuse; answers its exit code and what it said.
    pub async fn start_refused(&mut self) -> Result<(i32, String)> {
        let mut process = self.spawn()?;
        let code = process.wait(START).await?;
        Ok((code, process.stderr()?))
    }

    fn spawn(&mut self) -> Result<Process> {
        self.starts += 1;
        let mut spec =
            Spec::new(&format!("revaer-app-{}", self.starts), binaries::find("revaer-app")?, &self.logs)
                .args(["--data-dir".to_owned(), self.data_dir.display().to_string()])
                .env_remove("REVAER_TEST_DATABASE_URL")
                .env_remove("RUST_LOG");
        if !self.options.logs_as_configured {
            spec = spec.args(["--log-format", "json"]);
        }
        if !self.options.as_configured {
            spec = spec.args(["--listen", self.options.listen.as_deref().unwrap_or("127.0.0.1:0")]);
        }
        spec = match &self.options.database_url {
            Some(url) => spec.env("DATABASE_URL", url.clone()),
            None => spec.env_remove("DATABASE_URL"),
        };
        if self.options.detached {
            spec.lifetime = Lifetime::Detached;
        }
        Process::start(&spec)
    }

    /// The base URL of this start.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// `setup` or `active`, from the listening line.
    pub fn mode(&self) -> &str {
        &self.mode
    }

    /// A client without a key.
    pub fn api(&self) -> Result<Api> {
        Api::new(&self.url)
    }

    /// The address and port that the engine is told to listen on.
    pub fn engine(&self) -> SocketAddrV4 {
        self.engine
    }

    /// A free port of an address that belongs to this server alone.
    pub fn free_endpoint(&self) -> Result<SocketAddrV4> {
        self.address.endpoint()
    }

    /// From its next start on it listens where its settings say.
    pub fn listen_as_configured(&mut self) {
        self.options.as_configured = true;
    }

    /// The data directory.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Where torrents are downloaded by default.
    pub fn downloads(&self) -> PathBuf {
        self.data_dir.join("downloads")
    }

    /// Where finished entries go by default.
    pub fn library(&self) -> PathBuf {
        self.data_dir.join("library")
    }

    /// Where resume data goes by default.
    pub fn resume_dir(&self) -> PathBuf {
        self.data_dir.join("resume")
    }

    /// The server's process id, while it runs.
    pub fn process_id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// What it has logged since its last start.
    pub fn log(&self) -> Result<String> {
        let path = self.logs.join(format!("revaer-app-{}.err", self.starts));
        std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    /// A connection to its database, external or embedded, as a person with `psql` would have it.
    pub async fn database(&self) -> Result<PgConnection> {
        match &self.options.database_url {
            Some(url) => db::connect(url).await,
            None => db::connect_embedded(&self.data_dir).await,
        }
    }

    /// Sends statements to its database as they stand, as `psql -c` does.
    pub async fn sql(&self, sql: &str) -> Result<Rows> {
        let mut connection = self.database().await?;
        let rows = db::run(&mut connection, sql).await?;
        connection.close().await?;
        Ok(rows)
    }

    /// The one cell that a query answers; nothing for NULL.
    pub async fn sql_value(&self, sql: &str) -> Result<Option<String>> {
        let rows = self.sql(sql).await?;
        let [row] = rows.as_slice() else { bail!("{sql} answered {} rows", rows.len()) };
        row.first().cloned().with_context(|| format!("{sql} answered no cell"))
    }

    /// Kills the postmaster of the embedded database where it stands.
    pub fn kill_postgres(&self) -> Result<()> {
        let pid = Pid::from_raw(db::postmaster(&self.data_dir)?).context("no process id")?;
        kill_process(pid, Signal::KILL).context("cannot kill the postmaster")
    }

    /// Fails, with its last words, if it does not run any more.
    pub fn expect_running(&mut self) -> Result<()> {
        self.process.as_mut().context("the server does not run")?.expect_running()
    }

    /// Asks it to drain; answers the exit code.
    pub async fn sigterm(&mut self) -> Result<i32> {
        let mut process = self.process.take().context("the server does not run")?;
        process.signal(Signal::TERM)?;
        process.wait(DRAIN).await
    }

    /// Kills it where it stands.
    pub async fn kill9(&mut self) -> Result<()> {
        let mut process = self.process.take().context("the server does not run")?;
        process.signal(Signal::KILL)?;
        process.wait(DRAIN).await?;
        Ok(())
    }

    /// Waits until nothing runs in its data directory any more.
    pub async fn expect_no_orphans(&self) -> Result<()> {
        procfs::expect_none(&self.data_dir, DRAIN).await
    }
}

impl Drop for App {
    fn drop(&mut self) {
        if self.options.detached {
            return;
        }
        drop(self.process.take());
        // An embedded database ends by itself when its server dies; a test must not depend on it.
        for found in procfs::processes_of(&self.data_dir).unwrap_or_default() {
            if let Some(pid) = Pid::from_raw(found.pid)
                && let Err(error) = kill_process(pid, Signal::KILL)
            {
                eprintln!("cannot end {found}: {error}");
            }
        }
    }
}

/// URL and mode, once the line is there.
fn listening_line(process: &mut Process) -> Result<Option<(String, String)>> {
    let stdout = process.stdout()?;
    let line = stdout.lines().find_map(|line| line.strip_prefix("revaer listening on "));
    match line.and_then(|line| line.split_once(" (")) {
        Some((url, mode)) if mode.ends_with(')') => {
            Ok(Some((url.to_owned(), mode.trim_end_matches(')').to_owned())))
        }
        _ => {
            process.expect_running()?;
            Ok(None)
        }
    }
}
