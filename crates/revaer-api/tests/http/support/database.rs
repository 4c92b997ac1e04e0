//! A fresh, migrated database for one test.

use std::{path::Path, str::FromStr};

use sqlx::{
    AssertSqlSafe, Connection, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use uuid::Uuid;

const VARIABLE: &str = "REVAER_TEST_DATABASE_URL";

/// A database that goes with its value.
pub(crate) struct Database {
    pub(crate) pool: PgPool,
    admin: PgConnectOptions,
    name: String,
}

impl Database {
    pub(crate) async fn new() -> Self {
        let url = std::env::var(VARIABLE).unwrap_or_else(|_| {
            panic!("{VARIABLE} must name a PostgreSQL server on which databases can be made")
        });
        let admin = PgConnectOptions::from_str(&url).unwrap();
        let name = format!("revaer_api_{}", Uuid::now_v7().simple());
        run(&admin, format!("CREATE DATABASE {name}")).await;
        let options = admin.clone().database(&name);
        let pool = PgPoolOptions::new().max_connections(6).connect_with(options).await.unwrap();
        let migrations = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations"));
        sqlx::migrate::Migrator::new(migrations).await.unwrap().run(&pool).await.unwrap();
        Self { pool, admin, name }
    }
}

impl Drop for Database {
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
