//! The database, reached from beside the server: an external one by its URL; the embedded one of a running server
//! through its socket; the one of a stopped server started for the time, under the lock of the data directory.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use revaer_telemetry::Health;
use sqlx::{ConnectOptions, PgConnection, postgres::PgConnectOptions};
use tokio::time::sleep;

use super::{Desk, sql};
use crate::{
    datadir::{DataDir, DataDirError},
    instance::external,
    postgres::{self, Clients, EmbeddedOptions, EmbeddedPostgres},
};

/// A server that is about to start or to end gets there within this.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);

/// A database that can be connected to. Give it back with [`Host::close`].
#[derive(Debug)]
pub(super) struct Host {
    connect: PgConnectOptions,
    /// `DATABASE_URL`, where that is how it is reached.
    url: Option<String>,
    data_dir: PathBuf,
    embedded: Option<EmbeddedPostgres>,
    // Given back after the database has stopped.
    _held: Option<DataDir>,
}

/// What was found where a database should be.
pub(super) enum Found {
    /// A database.
    Database(Box<Host>),
    /// The data directory is free, and no database was ever made in it.
    Nothing,
}

impl Host {
    /// Reaches the database that is there; makes nothing.
    pub(super) async fn find(desk: &Desk) -> anyhow::Result<Found> {
        if let Some(url) = &desk.environment.database_url {
            let data_dir = desk.data_dir.canonicalize().unwrap_or_else(|_| desk.data_dir.clone());
            return Ok(Found::Database(Box::new(Self::external(url, data_dir, None)?)));
        }
        let begin = Instant::now();
        loop {
            let held = match DataDir::open_existing(&desk.data_dir) {
                Ok(data_dir) if data_dir.path().join("pg/PG_VERSION").exists() => {
                    return Ok(Found::Database(Box::new(Self::embedded(desk, data_dir).await?)));
                }
                Ok(_) => return Ok(Found::Nothing),
                Err(held @ DataDirError::Held { .. }) => held,
                Err(other) => return Err(other.into()),
            };
            if let Some(host) = running(&desk.data_dir).await {
                return Ok(Found::Database(Box::new(host)));
            }
            if begin.elapsed() > PATIENCE {
                return Err(anyhow::Error::from(held).context(
                    "its server runs and its database is not reached: run this as the user that runs the server, \
                     and with the same DATABASE_URL, if it has one",
                ));
            }
            let stopping = desk.tasks.token();
            stopping.run_until_cancelled(sleep(POLL)).await.context("the database was not waited for")?;
        }
    }

    /// [`Host::find`] for those who need a database.
    pub(super) async fn open(desk: &Desk) -> anyhow::Result<Self> {
        match Self::find(desk).await? {
            Found::Database(host) => Ok(*host),
            Found::Nothing => anyhow::bail!("there is no database in {}", desk.data_dir.display()),
        }
    }

    /// The external database.
    pub(super) fn external(url: &str, data_dir: PathBuf, held: Option<DataDir>) -> anyhow::Result<Self> {
        let connect = external::options(url)?.application_name("revaer-app");
        Ok(Self { connect, url: Some(url.to_owned()), data_dir, embedded: None, _held: held })
    }

    /// The embedded database of a stopped server, started; made where there is none.
    pub(super) async fn embedded(desk: &Desk, held: DataDir) -> anyhow::Result<Self> {
        let options = EmbeddedOptions {
            data_dir: held.path().to_path_buf(),
            runtime_dir: desk.environment.xdg_runtime_dir.clone(),
            search_path: desk.environment.search_path.clone(),
        };
        let embedded = EmbeddedPostgres::start(&desk.children, options, &Health::new(), &desk.tasks).await?;
        Ok(Self {
            connect: embedded.connect_options(),
            url: None,
            data_dir: held.path().to_path_buf(),
            embedded: Some(embedded),
            _held: Some(held),
        })
    }

    /// The data directory, without symbolic links.
    pub(super) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// How to connect.
    pub(super) fn connect_options(&self) -> PgConnectOptions {
        self.connect.clone()
    }

    /// A connection to a database that no restore has left half filled.
    pub(super) async fn connect(&self, desk: &Desk) -> anyhow::Result<PgConnection> {
        let stopping = desk.tasks.token();
        let connecting = async {
            let connected = self.connect.connect().await;
            let mut connection = connected.map_err(|error| external::unreachable(&self.connect, &error))?;
            sql::refuse_unfinished(&mut connection).await?;
            anyhow::Ok(connection)
        };
        stopping.run_until_cancelled(connecting).await.context("the database was not waited for")?
    }

    /// The programs that copy this database, of which `server` is the major version.
    pub(super) async fn clients(&self, desk: &Desk, server: u32) -> anyhow::Result<Clients> {
        let search_path = desk.environment.search_path.as_deref();
        Ok(Clients::find(&desk.children, search_path, server, &self.connect, self.url.as_deref()).await?)
    }

    /// Stops what was started for the time, and gives the data directory back.
    pub(super) async fn close(self) {
        if let Some(embedded) = self.embedded {
            embedded.stop().await;
        }
    }
}

/// The database of the server that holds the data directory, if it takes connections.
async fn running(data_dir: &Path) -> Option<Host> {
    let connect = postgres::reach_running(data_dir)?;
    drop(connect.connect().await.ok()?);
    let data_dir = data_dir.canonicalize().ok()?;
    Some(Host { connect, url: None, data_dir, embedded: None, _held: None })
}
