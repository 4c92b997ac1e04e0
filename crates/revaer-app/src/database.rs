//! The database of this process: external or embedded, with its pool, its migrations and the instance lock.

use std::{str::FromStr, sync::Arc, time::Duration};

use anyhow::Context as _;
use revaer_telemetry::{Health, Tasks};
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tracing::info;

use crate::{
    child::Children,
    datadir::DataDir,
    instance::{InstanceGuard, InstanceLock},
    options::Environment,
    postgres::{EmbeddedOptions, EmbeddedPostgres},
};

/// Connections of this process, beside the ones that listen and hold the lock.
const CONNECTIONS: u32 = 16;
/// How long a request may wait for one: then it is 503 rather than a queue.
const ACQUIRE: Duration = Duration::from_secs(5);
/// A statement that takes longer holds a connection that others need.
const STATEMENT: &str = "30s";
const CLOSE: Duration = Duration::from_secs(3);

/// The open database.
pub(crate) struct Database {
    pool: PgPool,
    guard: Arc<InstanceGuard>,
    embedded: Option<EmbeddedPostgres>,
    version: String,
}

impl Database {
    /// Starts or reaches the server, takes the instance lock, and brings the schema up to date.
    pub(crate) async fn open(
        children: &Children,
        data_dir: &DataDir,
        environment: &Environment,
        health: &Health,
        tasks: &Tasks,
    ) -> anyhow::Result<Self> {
        let embedded = match &environment.database_url {
            Some(_) => None,
            None => {
                let options = EmbeddedOptions {
                    data_dir: data_dir.path().to_path_buf(),
                    runtime_dir: environment.xdg_runtime_dir.clone(),
                    search_path: environment.search_path.clone(),
                };
                Some(EmbeddedPostgres::start(children, options, health, tasks).await?)
            }
        };
        let options = match (&environment.database_url, &embedded) {
            (Some(url), _) => PgConnectOptions::from_str(url).context("DATABASE_URL is not understood")?,
            (None, Some(embedded)) => embedded.connect_options(),
            (None, None) => anyhow::bail!("there is neither an external nor an embedded database"),
        };
        // The lock comes before the migrations: a second instance must not touch the schema.
        let lock = InstanceLock::take(&options).await?;
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(ACQUIRE)
            .connect_with(options.options([("statement_timeout", STATEMENT)]))
            .await
            .context("the database cannot be reached")?;
        sqlx::migrate!("../../migrations")
            .run(&pool)
            .await
            .context("the database's schema cannot be brought up to date")?;
        let version: String = sqlx::query_scalar("SHOW server_version").fetch_one(&pool).await?;
        let guard = Arc::new(lock.claim(health).await?);
        info!(version, embedded = embedded.is_some(), "the database is open");
        Ok(Self { pool, guard, embedded, version })
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
    pub(crate) async fn close(self) {
        // A connection that somebody still holds is cut with the server.
        if tokio::time::timeout(CLOSE, self.pool.close()).await.is_err() {
            tracing::warn!("some database connections were still in use");
        }
        if let Some(guard) = Arc::into_inner(self.guard) {
            guard.release().await;
        }
        if let Some(embedded) = self.embedded {
            embedded.stop().await;
        }
    }
}
