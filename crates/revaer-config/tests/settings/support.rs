//! A fresh, migrated database and a settings service on it, for one test.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use revaer_config::{BootstrapOptions, ChangeContext, ConfigError, ConfigService, ConfigSnapshot, Fault};
use revaer_telemetry::{Tasks, Telemetry};
use serde_json::{Value, json};
use sqlx::{
    AssertSqlSafe, Connection, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tempfile::TempDir;
use uuid::Uuid;

const VARIABLE: &str = "REVAER_TEST_DATABASE_URL";

/// A service on a database of its own; the database goes with it.
pub(crate) struct Fixture {
    pub(crate) service: ConfigService,
    pub(crate) pool: PgPool,
    pub(crate) telemetry: Telemetry,
    pub(crate) data_dir: TempDir,
    admin: PgConnectOptions,
    name: String,
}

fn admin_options() -> PgConnectOptions {
    let url = std::env::var(VARIABLE).unwrap_or_else(|_| {
        panic!("{VARIABLE} must name a PostgreSQL server on which databases can be made")
    });
    PgConnectOptions::from_str(&url).unwrap()
}

impl Fixture {
    /// A server that was never set up.
    pub(crate) async fn new() -> Self {
        let admin = admin_options();
        let name = format!("revaer_config_{}", random_name());
        run(&admin, format!("CREATE DATABASE {name}")).await;
        let pool = PgPoolOptions::new()
            .max_connections(12)
            .connect_with(admin.clone().database(&name))
            .await
            .unwrap();
        let migrations = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations"));
        sqlx::migrate::Migrator::new(migrations).await.unwrap().run(&pool).await.unwrap();
        let data_dir = tempfile::tempdir().unwrap();
        let telemetry = Telemetry::new();
        let service = open(&pool, data_dir.path(), &telemetry).await;
        Self { service, pool, telemetry, data_dir, admin, name }
    }

    /// A server that was set up with defaults, and its first key.
    pub(crate) async fn active() -> (Self, String) {
        let fixture = Self::new().await;
        let token = fixture.token().await;
        let completed = fixture.service.setup_complete(&token, json!({}), context()).await.unwrap();
        (fixture, completed.api_key)
    }

    /// A second service on the same database and files, as after a restart.
    pub(crate) async fn reopened(&self) -> ConfigService {
        open(&self.pool, self.data_dir.path(), &self.telemetry).await
    }

    /// The same with a telemetry of its own, as in another process.
    pub(crate) async fn reopened_with(&self, telemetry: &Telemetry) -> ConfigService {
        open(&self.pool, self.data_dir.path(), telemetry).await
    }

    pub(crate) async fn token(&self) -> String {
        self.service.setup_start("test", Duration::from_mins(15), context()).await.unwrap().token
    }

    pub(crate) async fn apply(
        &self,
        changeset: Value,
    ) -> Result<std::sync::Arc<ConfigSnapshot>, ConfigError> {
        self.service.apply(changeset, context()).await.map(|applied| applied.snapshot)
    }

    pub(crate) fn revision(&self) -> i64 {
        self.service.snapshot().revision.get()
    }

    pub(crate) async fn stored_revision(&self) -> i64 {
        sqlx::query_scalar("SELECT revision FROM settings_revision").fetch_one(&self.pool).await.unwrap()
    }

    /// Runs statements as psql would.
    pub(crate) async fn sql(&self, statements: &str) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(&self.pool).await.map(drop)
    }

    /// Makes the database unreachable, as a stopped server is, or reachable again.
    pub(crate) async fn set_reachable(&self, reachable: bool) {
        let name = &self.name;
        run(&self.admin, format!("ALTER DATABASE {name} WITH ALLOW_CONNECTIONS {reachable}")).await;
        if !reachable {
            let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ";
            run(&self.admin, format!("{cut}'{name}'")).await;
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.data_dir.path().join(name)
    }

    /// Starts the watcher; the tasks end with the returned value.
    pub(crate) fn watched(&self) -> Tasks {
        let tasks = Tasks::new();
        self.service.spawn_watcher(&tasks);
        tasks
    }

    /// Waits until the snapshot in memory is as wanted.
    pub(crate) async fn wait_for(&self, wanted: impl FnMut(&std::sync::Arc<ConfigSnapshot>) -> bool) {
        let mut watch = self.service.watch();
        let waiting = watch.wait_for(wanted);
        tokio::time::timeout(Duration::from_secs(30), waiting)
            .await
            .expect("the snapshot never came")
            .unwrap();
    }
}

async fn open(pool: &PgPool, data_dir: &Path, telemetry: &Telemetry) -> ConfigService {
    let options = BootstrapOptions {
        data_dir: data_dir.to_owned(),
        key_file: data_dir.join("secret.key"),
        overrides: Vec::new(),
        alone: true,
    };
    ConfigService::bootstrap(pool.clone(), options, telemetry.clone()).await.unwrap()
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let (admin, name) = (self.admin.clone(), self.name.clone());
        // A runtime of its own: the test's may be gone, and a drop cannot wait in it.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(run(&admin, format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")));
        });
        if dropping.join().is_err() {
            eprintln!("the database {} of a test stays", self.name);
        }
    }
}

async fn run(admin: &PgConnectOptions, statement: String) {
    let mut connection = PgConnection::connect_with(admin).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

fn random_name() -> String {
    let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
    let unique = Uuid::from_u128(nanos ^ (u128::from(std::process::id()) << 96));
    unique.simple().to_string()
}

pub(crate) fn context() -> ChangeContext {
    ChangeContext {
        actor: "test".to_owned(),
        request_id: Some("request-1".to_owned()),
        reason: None,
        peer: Some("192.0.2.7:4711".to_owned()),
        if_match: None,
    }
}

pub(crate) fn faults_of<T>(outcome: Result<T, ConfigError>) -> Vec<Fault> {
    match outcome {
        Err(ConfigError::Invalid { faults }) => faults,
        Err(other) => panic!("refused for another reason: {other}"),
        Ok(_) => panic!("not refused"),
    }
}

pub(crate) fn pointers_of<T>(outcome: Result<T, ConfigError>) -> Vec<String> {
    let mut pointers: Vec<_> = faults_of(outcome).into_iter().map(|fault| fault.pointer).collect();
    pointers.sort();
    pointers
}
