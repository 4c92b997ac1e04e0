//! `PostgreSQL` outside of the server: a throwaway cluster on a Unix socket, and a fresh database per test.
//!
//! With `REVAER_TEST_DATABASE_URL` set the databases are made on that cluster; else a cluster is started for the test
//! and ends with it. Nothing of it is synced to disk: it holds nothing worth keeping.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use sqlx::{Connection, Executor, PgConnection, Row};
use tempfile::TempDir;
use uuid::Uuid;

use crate::process::{Process, Spec};
use crate::wait;

/// A cluster of the test's own; ends when dropped.
#[derive(Debug)]
struct Cluster {
    _process: Process,
    folder: TempDir,
}

/// A fresh database.
#[derive(Debug)]
pub struct Database {
    url: String,
    _cluster: Option<Cluster>,
}

impl Database {
    /// Makes one.
    pub async fn create() -> Result<Self> {
        let (admin, cluster) = match std::env::var("REVAER_TEST_DATABASE_URL") {
            Ok(url) => (url, None),
            Err(_) => {
                let cluster = Cluster::start().await?;
                (
                    format!(
                        "postgres://postgres@localhost/postgres?host={}",
                        cluster.folder.path().display()
                    ),
                    Some(cluster),
                )
            }
        };
        let name = format!("e2e_{}", Uuid::new_v4().simple());
        let mut connection = connect(&admin).await?;
        connection
            .execute(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}")))
            .await
            .context("cannot create a database")?;
        connection.close().await?;
        Ok(Self { url: with_name(&admin, &name)?, _cluster: cluster })
    }

    /// Its URL, as the server takes it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A connection.
    pub async fn connect(&self) -> Result<PgConnection> {
        connect(&self.url).await
    }

    /// How many rows each table has.
    pub async fn row_counts(&self) -> Result<Vec<(String, i64)>> {
        let mut connection = self.connect().await?;
        let tables = connection
            .fetch_all("SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE' ORDER BY 1")
            .await?;
        let mut counts = Vec::new();
        for table in tables {
            let name: String = table.try_get(0)?;
            let query = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM \"{name}\""));
            counts.push((name, connection.fetch_one(query).await?.try_get(0)?));
        }
        connection.close().await?;
        Ok(counts)
    }
}

async fn connect(url: &str) -> Result<PgConnection> {
    PgConnection::connect(url).await.with_context(|| format!("cannot connect to {url}"))
}

/// The same URL with another database.
fn with_name(url: &str, name: &str) -> Result<String> {
    let (address, query) = url.split_once('?').unwrap_or((url, ""));
    let (server, _) = address.rsplit_once('/').context("a database URL without a database")?;
    Ok(format!("{server}/{name}?{query}"))
}

impl Cluster {
    async fn start() -> Result<Self> {
        let programs = programs()?;
        let folder =
            tempfile::Builder::new().prefix("revaer-pg-").tempdir().context("no temporary folder")?;
        let data = folder.path().join("data");
        let mut initdb = user_command(&programs.join("initdb"));
        initdb
            .args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "--no-sync", "-D"])
            .arg(&data);
        if is_root() {
            // `postgres` must be able to write here: it is its own folder then.
            std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777))?;
        }
        let output = initdb.output().context("cannot run initdb")?;
        if !output.status.success() {
            bail!("initdb failed: {}", String::from_utf8_lossy(&output.stderr));
        }
        let mut spec = Spec::new("postgres", programs.join("postgres"), folder.path()).args([
            "-D".to_owned(),
            data.display().to_string(),
            "-k".to_owned(),
            folder.path().display().to_string(),
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
        let socket = folder.path().join(".s.PGSQL.5432");
        let url = format!("postgres://postgres@localhost/postgres?host={}", folder.path().display());
        wait::until("the test's PostgreSQL", Duration::from_mins(1), || {
            let alive = process.expect_running();
            let (socket, url) = (&socket, &url);
            async move {
                alive?;
                Ok(if socket.exists() { PgConnection::connect(url).await.ok().map(|_| ()) } else { None })
            }
        })
        .await?;
        Ok(Self { _process: process, folder })
    }
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
