//! `PostgreSQL` as a test uses it: a fresh database, a cluster of its own, and plain SQL as by `psql`.
//!
//! With `REVAER_TEST_DATABASE_URL` set the databases are made on that cluster; else a cluster is started for the test
//! and ends with it.

mod cluster;

use anyhow::{Context, Result};
use sqlx::postgres::{PgConnectOptions, PgRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection, Row, ValueRef};
use uuid::Uuid;

pub use cluster::Cluster;

/// A fresh database.
#[derive(Debug)]
pub struct Database {
    url: String,
    _cluster: Option<Cluster>,
}

impl Database {
    /// Makes one.
    pub async fn create() -> Result<Self> {
        if let Ok(url) = std::env::var("REVAER_TEST_DATABASE_URL") {
            return Self::create_at(&url).await;
        }
        let cluster = Cluster::start().await?;
        let database = cluster.database().await?;
        Ok(Self { _cluster: Some(cluster), ..database })
    }

    /// Makes one where `admin` leads to.
    pub(crate) async fn create_at(admin: &str) -> Result<Self> {
        let name = format!("e2e_{}", Uuid::new_v4().simple());
        let mut connection = connect(admin).await?;
        connection
            .execute(AssertSqlSafe(format!("CREATE DATABASE {name}")))
            .await
            .context("cannot create a database")?;
        connection.close().await?;
        Ok(Self { url: with_name(admin, &name)?, _cluster: None })
    }

    /// Its URL, as the server takes it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its name.
    pub fn name(&self) -> Result<&str> {
        let address = self.url.split_once('?').map_or(self.url.as_str(), |(address, _)| address);
        Ok(address.rsplit_once('/').context("a database URL without a database")?.1)
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
            let query = AssertSqlSafe(format!("SELECT count(*) FROM \"{name}\""));
            counts.push((name, connection.fetch_one(query).await?.try_get(0)?));
        }
        connection.close().await?;
        Ok(counts)
    }
}

/// Rows as `psql` prints them: text, or nothing for NULL.
pub type Rows = Vec<Vec<Option<String>>>;

/// Sends statements as they stand, as `psql -c` does: several of them are one transaction unless they say otherwise.
pub async fn run(connection: &mut PgConnection, sql: &str) -> Result<Rows> {
    // The simple protocol answers text, whatever the type.
    let rows =
        sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(connection).await.with_context(|| sql.to_owned())?;
    rows.iter().map(cells).collect()
}

fn cells(row: &PgRow) -> Result<Vec<Option<String>>> {
    (0..row.len())
        .map(|index| {
            let value = row.try_get_raw(index)?;
            if value.is_null() {
                return Ok(None);
            }
            let text = value.as_str().map_err(|error| anyhow::anyhow!("a cell that is no text: {error}"))?;
            Ok(Some(text.to_owned()))
        })
        .collect()
}

/// Connects by a URL.
pub async fn connect(url: &str) -> Result<PgConnection> {
    PgConnection::connect(url).await.with_context(|| format!("cannot connect to {url}"))
}

/// Connects to the database that a server keeps in its data directory; the postmaster's file names the socket.
pub(crate) async fn connect_embedded(data_dir: &std::path::Path) -> Result<PgConnection> {
    let path = data_dir.join("pg/postmaster.pid");
    let text =
        std::fs::read_to_string(&path).with_context(|| format!("no database runs: {}", path.display()))?;
    // Lines (miscadmin.h): process id, data directory, start time, port, socket directory, …
    let line = |index| text.lines().nth(index).with_context(|| format!("{} ends early", path.display()));
    let options = PgConnectOptions::new_without_pgpass()
        .port(line(3)?.parse()?)
        .socket(line(4)?)
        .username("revaer")
        .database("revaer");
    options
        .connect()
        .await
        .with_context(|| format!("cannot connect to the database of {}", data_dir.display()))
}

/// The process id of the postmaster in a data directory.
pub(crate) fn postmaster(data_dir: &std::path::Path) -> Result<i32> {
    let path = data_dir.join("pg/postmaster.pid");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text.lines().next().with_context(|| format!("{} is empty", path.display()))?.trim().parse()?)
}

/// The same URL with another database.
fn with_name(url: &str, name: &str) -> Result<String> {
    let (address, query) = url.split_once('?').unwrap_or((url, ""));
    let (server, _) = address.rsplit_once('/').context("a database URL without a database")?;
    Ok(format!("{server}/{name}?{query}"))
}
