//! A fresh, migrated database for one test. After a failed test it stays, to be looked at.

use std::str::FromStr;

use sqlx::{AssertSqlSafe, Connection, PgConnection, postgres::PgConnectOptions};

pub(crate) struct Database {
    pub(crate) connection: PgConnection,
    server: PgConnectOptions,
    name: String,
}

impl Database {
    pub(crate) async fn new(test: &str) -> Self {
        let url = std::env::var("REVAER_TEST_DATABASE_URL")
            .expect("REVAER_TEST_DATABASE_URL names a server on which databases can be made");
        let server = PgConnectOptions::from_str(&url).unwrap();
        let name = format!("revaer_catalog_{}_{test}", std::process::id());
        execute(&server, format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
        execute(&server, format!("CREATE DATABASE {name}")).await;
        let mut connection = PgConnection::connect_with(&server.clone().database(&name)).await.unwrap();
        sqlx::migrate!("../../migrations").run(&mut connection).await.unwrap();
        Self { connection, server, name }
    }

    pub(crate) async fn remove(self) {
        self.connection.close().await.unwrap();
        execute(&self.server, format!("DROP DATABASE {} WITH (FORCE)", self.name)).await;
    }
}

async fn execute(server: &PgConnectOptions, statement: String) {
    let mut connection = PgConnection::connect_with(server).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}
