//! A `PostgreSQL` cluster of a test's own, which it may stop, kill and start again on the same socket.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;

use super::Database;
use crate::process::{Process, Spec};
use crate::wait;

/// From start to the first connection, a recovery included.
const START: Duration = Duration::from_mins(1);
/// From a signal to the end of the last process.
const STOP: Duration = Duration::from_mins(1);

/// A cluster; ends when dropped. Nothing of it is synced to disk: it holds nothing worth keeping.
#[derive(Debug)]
pub struct Cluster {
    process: Option<Process>,
    programs: PathBuf,
    folder: TempDir,
    /// A socket that nobody but the test knows.
    hidden: TempDir,
}

impl Cluster {
    /// Makes one and starts it.
    pub async fn start() -> Result<Self> {
        let programs = programs()?;
        let (folder, hidden) = (folder()?, folder()?);
        let output = user_command(&programs.join("initdb"))
            .args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "--no-sync", "-D"])
            .arg(folder.path().join("data"))
            .output()
            .context("cannot run initdb")?;
        if !output.status.success() {
            bail!("initdb failed: {}", String::from_utf8_lossy(&output.stderr));
        }
        let mut cluster = Self { process: None, programs, folder, hidden };
        cluster.start_again().await?;
        Ok(cluster)
    }

    /// Starts it, after it was stopped, on the same data and the same socket.
    pub async fn start_again(&mut self) -> Result<()> {
        self.launch(self.folder.path().to_owned()).await
    }

    /// Starts it where only [`Cluster::hidden_url`] leads, and not who uses it otherwise.
    pub async fn start_hidden(&mut self) -> Result<()> {
        self.launch(self.hidden.path().to_owned()).await
    }

    async fn launch(&mut self, socket: PathBuf) -> Result<()> {
        let mut spec = Spec::new("postgres", self.programs.join("postgres"), self.folder.path()).args([
            "-D".to_owned(),
            self.folder.path().join("data").display().to_string(),
            "-k".to_owned(),
            socket.display().to_string(),
            "-clisten_addresses=".to_owned(),
            "-cfsync=off".to_owned(),
            "-cshared_buffers=32MB".to_owned(),
        ]);
        // A fast shutdown, which takes the workers along; killing the postmaster would leave them.
        spec.death_signal = "INT";
        if is_root() {
            spec.setpriv =
                ["--reuid=postgres", "--regid=postgres", "--init-groups"].map(str::to_owned).to_vec();
        }
        let mut process = Process::start(&spec)?;
        let url = url(&socket, "postgres");
        wait::until("the test's PostgreSQL", START, || {
            let alive = process.expect_running();
            let url = &url;
            async move {
                alive?;
                match PgConnection::connect(url).await {
                    Ok(connection) => Ok(Some(connection.close().await?)),
                    Err(_) => Ok(None),
                }
            }
        })
        .await?;
        self.process = Some(process);
        Ok(())
    }

    /// Stops it as `pg_ctl stop -m fast` does: sessions are cut, the data is written.
    pub async fn stop_fast(&mut self) -> Result<()> {
        self.stop(Signal::INT).await
    }

    /// Stops it as `pg_ctl stop -m immediate` does: the next start recovers as after a crash.
    pub async fn stop_immediate(&mut self) -> Result<()> {
        self.stop(Signal::QUIT).await
    }

    async fn stop(&mut self, signal: Signal) -> Result<()> {
        let mut process = self.process.take().context("PostgreSQL does not run")?;
        process.signal(signal)?;
        process.wait(STOP).await?;
        Ok(())
    }

    /// The URL of a database here.
    pub fn url(&self, database: &str) -> String {
        url(self.folder.path(), database)
    }

    /// The URL of a database of this cluster while it is hidden.
    pub fn hidden_url(&self, database: &Database) -> Result<String> {
        Ok(url(self.hidden.path(), database.name()?))
    }

    /// Makes a database.
    pub async fn database(&self) -> Result<Database> {
        Database::create_at(&self.url("postgres")).await
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process
            && let Err(error) = process.end_by(Signal::QUIT)
        {
            eprintln!("cannot end PostgreSQL: {error:#}");
        }
    }
}

fn url(socket: &Path, database: &str) -> String {
    format!("postgres://postgres@localhost/{database}?host={}", socket.display())
}

/// A temporary folder that the server's user can write to, and everybody enter.
fn folder() -> Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("revaer-pg-").tempdir().context("no temporary folder")?;
    if is_root() {
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777))?;
    }
    Ok(folder)
}

/// `PostgreSQL` refuses to run as root: its package's user does it then.
fn user_command(program: &Path) -> Command {
    if is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--init-groups", "--"]).arg(program);
        command.current_dir("/");
        command
    } else {
        Command::new(program)
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The folder of the newest `PostgreSQL` server on this system.
fn programs() -> Result<PathBuf> {
    let on_path = std::env::var_os("PATH")
        .into_iter()
        .flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
    let mut packaged: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    packaged.sort();
    packaged
        .into_iter()
        .rev()
        .map(|(_, folder)| folder)
        .chain(on_path)
        .find(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file())
        .context("no PostgreSQL server found: `script/install build` brings it")
}
