//! A fresh database on the server that the tests share.

use std::{
    str::FromStr,
    sync::atomic::{AtomicU32, Ordering},
};

use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection, postgres::PgConnectOptions};

/// A database of one test's own, with one migration applied.
pub struct TestDatabase {
    pub options: PgConnectOptions,
    server: PgConnectOptions,
    name: String,
}

impl TestDatabase {
    pub async fn new(migration: &'static str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let url = std::env::var("REVAER_TEST_DATABASE_URL")
            .expect("REVAER_TEST_DATABASE_URL names a server on which databases can be made");
        let server = PgConnectOptions::from_str(&url).unwrap();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("revaer_app_{}_{count}", std::process::id());
        let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
        let create = format!("CREATE DATABASE {name}");
        for statement in [drop, create] {
            execute(&server, statement).await;
        }
        let database = Self { options: server.clone().database(&name), server, name };
        sqlx::raw_sql(migration).execute(&mut database.connect().await).await.unwrap();
        database
    }

    pub async fn connect(&self) -> PgConnection {
        self.options.connect().await.unwrap()
    }

    /// Cuts every connection, and takes none.
    pub async fn close_door(&self) {
        execute(&self.server, format!("ALTER DATABASE {} ALLOW_CONNECTIONS false", self.name)).await;
        let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname";
        execute(&self.server, format!("{cut} = '{}'", self.name)).await;
    }

    /// Takes connections again.
    pub async fn open_door(&self) {
        execute(&self.server, format!("ALTER DATABASE {} ALLOW_CONNECTIONS true", self.name)).await;
    }

    /// Drops it. After a failed test it stays, to be looked at.
    pub async fn remove(self) {
        execute(&self.server, format!("DROP DATABASE {} WITH (FORCE)", self.name)).await;
    }
}

async fn execute(server: &PgConnectOptions, statement: String) {
    let mut conn = server.connect().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut conn).await.unwrap();
}
