//! The database of this process: external or embedded, with its pool, its migrations and the instance lock.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use revaer_telemetry::{Health, Tasks};
use sqlx::{
    PgPool,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::time::timeout;
use tracing::{info, warn};

use crate::{
    child::Children,
    commands::refuse_unfinished,
    datadir::DataDir,
    instance::{InstanceGuard, InstanceLock, external},
    options::Environment,
    postgres::{EmbeddedOptions, EmbeddedPostgres},
    shutdown::{Drain, Stage},
};

/// Connections of this process, beside the ones that listen and hold the lock.
const CONNECTIONS: u32 = 16;
/// How long a request may wait for one: then it is 503 rather than a queue.
const ACQUIRE: Duration = Duration::from_secs(5);
/// A statement that takes longer holds a connection that others need.
const STATEMENT: &str = "30s";

/// The schema of this program.
pub(crate) static MIGRATOR: Migrator = sqlx::migrate!("../../migrations");

/// The open database.
pub(crate) struct Database {
    pool: PgPool,
    guard: Arc<InstanceGuard>,
    embedded: Option<EmbeddedPostgres>,
    version: String,
}

impl Database {
    /// Starts or reaches the server, takes the instance lock, and brings the schema up to date.
    ///
    /// Not cancel-safe: cancel the token of `tasks` instead. Where it fails, the embedded server has stopped again.
    pub(crate) async fn open(
        children: &Children,
        data_dir: &DataDir,
        environment: &Environment,
        health: &Health,
        tasks: &Tasks,
    ) -> anyhow::Result<Self> {
        if let Some(url) = &environment.database_url {
            let options = external::options(url)?;
            let (pool, guard, version) = connect_unless_stopped(options, health, tasks).await?;
            return Ok(Self { pool, guard, embedded: None, version });
        }
        let options = EmbeddedOptions {
            data_dir: data_dir.path().to_path_buf(),
            runtime_dir: environment.xdg_runtime_dir.clone(),
            search_path: environment.search_path.clone(),
        };
        let embedded = EmbeddedPostgres::start(children, options, health, tasks).await?;
        match connect_unless_stopped(embedded.connect_options(), health, tasks).await {
            Ok((pool, guard, version)) => Ok(Self { pool, guard, embedded: Some(embedded), version }),
            Err(error) => {
                embedded.stop().await;
                Err(error)
            }
        }
    }

    pub(crate) fn pool(&self) -> &PgPool {
        &self.pool
    }

    pub(crate) fn guard(&self) -> Arc<InstanceGuard> {
        Arc::clone(&self.guard)
    }

    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// After everybody else has ended: the pool, the lock, the server.
    pub(crate) async fn close(self, drain: &Drain) {
        // A connection that somebody still holds is cut with the server.
        if timeout(drain.enter(Stage::Pool), self.pool.close()).await.is_err() {
            warn!("some database connections were still in use");
        }
        match Arc::into_inner(self.guard) {
            None => warn!("the instance lock is still in use; it ends with this process"),
            Some(guard) => {
                if timeout(drain.enter(Stage::Lock), guard.release()).await.is_err() {
                    warn!("the instance lock was not given back in time; it ends with this process");
                }
            }
        }
        if let Some(embedded) = self.embedded {
            embedded.stop_within(drain.enter(Stage::Postgres)).await;
        }
    }
}

/// Connects, unless the start is broken off: a server that does not answer may take minutes to be given up.
async fn connect_unless_stopped(
    options: PgConnectOptions,
    health: &Health,
    tasks: &Tasks,
) -> anyhow::Result<(PgPool, Arc<InstanceGuard>, String)> {
    let stopping = tasks.token();
    let connected = stopping.run_until_cancelled(connect(options, health)).await;
    connected.unwrap_or_else(|| Err(anyhow::anyhow!("the database was not waited for")))
}

async fn connect(
    options: PgConnectOptions,
    health: &Health,
) -> anyhow::Result<(PgPool, Arc<InstanceGuard>, String)> {
    // The lock comes before the migrations: a second instance must not touch the schema.
    let mut lock = InstanceLock::take(&options).await?;
    refuse_unfinished(lock.connection()).await?;
    let pool = PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(ACQUIRE)
        .connect_with(options.clone().options([("statement_timeout", STATEMENT)]))
        .await
        .map_err(|error| external::unreachable(&options, &error))?;
    MIGRATOR.run(&pool).await.context("the database's schema cannot be brought up to date")?;
    let version: String = sqlx::query_scalar("SHOW server_version").fetch_one(&pool).await?;
    let guard = Arc::new(lock.claim(health).await?);
    info!(version, "the database is open");
    Ok((pool, guard, version))
}
