//! A database of one test's own, a writer as the ledger is one, and readers that collect.

use std::str::FromStr;

use revaer_events::{Envelope, Event, EventFilter, EventLog, Item, Numbers, Subscription, sql};
use revaer_telemetry::Metrics;
use sqlx::{
    AssertSqlSafe, Connection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use time::OffsetDateTime;

use crate::events;

/// Ends a collection.
pub(crate) const END: &str = "end of the test";

/// A fresh, migrated database. After a failed test it stays, to be looked at.
pub(crate) struct Database {
    pub(crate) pool: PgPool,
    server: PgConnectOptions,
    name: String,
}

impl Database {
    pub(crate) async fn new(test: &str) -> Self {
        let url = std::env::var("REVAER_TEST_DATABASE_URL")
            .expect("REVAER_TEST_DATABASE_URL names a server on which databases can be made");
        let server = PgConnectOptions::from_str(&url).unwrap();
        let name = format!("revaer_events_{}_{test}", std::process::id());
        execute(&server, format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
        execute(&server, format!("CREATE DATABASE {name}")).await;
        let pool = PgPoolOptions::new()
            .max_connections(8)
            .acquire_timeout(std::time::Duration::from_secs(20))
            .connect_with(server.clone().database(&name))
            .await
            .unwrap();
        sqlx::migrate!("../../migrations").run(&pool).await.unwrap();
        Self { pool, server, name }
    }

    /// A server's start on this database.
    pub(crate) async fn start(&self) -> Writer {
        let numbers = Numbers::lease(&mut self.pool.acquire().await.unwrap()).await.unwrap();
        let log = EventLog::new(self.pool.clone(), numbers.newest(), Metrics::new());
        Writer { log, pool: self.pool.clone(), numbers }
    }

    pub(crate) async fn prune(&self, before: OffsetDateTime, most: u64) -> u64 {
        sql::events_prune(&mut self.pool.acquire().await.unwrap(), before, most).await.unwrap()
    }

    /// Cuts every connection and refuses new ones, or takes them again.
    pub(crate) async fn allow_connections(&self, are_allowed: bool) {
        execute(&self.server, format!("ALTER DATABASE {} ALLOW_CONNECTIONS {are_allowed}", self.name)).await;
        if !are_allowed {
            let cut = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname =";
            execute(&self.server, format!("{cut} '{}'", self.name)).await;
        }
    }

    pub(crate) async fn remove(self) {
        self.pool.close().await;
        execute(&self.server, format!("DROP DATABASE {} WITH (FORCE)", self.name)).await;
    }
}

async fn execute(server: &PgConnectOptions, statement: String) {
    let mut connection = sqlx::PgConnection::connect_with(server).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// Numbers, stores, publishes: in the ledger's order.
pub(crate) struct Writer {
    pub(crate) log: EventLog,
    pool: PgPool,
    numbers: Numbers,
}

impl Writer {
    pub(crate) async fn publish(&mut self, events: impl IntoIterator<Item = Event>) -> Vec<Envelope> {
        self.publish_at(OffsetDateTime::now_utc(), events).await
    }

    pub(crate) async fn publish_at(
        &mut self,
        at: OffsetDateTime,
        events: impl IntoIterator<Item = Event>,
    ) -> Vec<Envelope> {
        let events: Vec<Event> = events.into_iter().collect();
        let mut connection = self.pool.acquire().await.unwrap();
        self.numbers.ensure(&mut connection, events.len() as u64).await.unwrap();
        let number = |event| Envelope { id: self.numbers.take().unwrap(), at, request_id: None, event };
        let batch: Vec<Envelope> = events.into_iter().map(number).collect();
        let mut transaction = connection.begin().await.unwrap();
        sql::events_insert(&mut transaction, &batch).await.unwrap();
        transaction.commit().await.unwrap();
        self.log.publish(batch.clone());
        batch
    }

    pub(crate) async fn end(&mut self) -> Envelope {
        self.publish([events::settings(END)]).await.remove(0)
    }

    pub(crate) fn reader(&self, after: impl Into<Option<u64>>) -> Subscription {
        self.log.subscribe(after.into(), EventFilter::default())
    }
}

/// The ids of the events that a reader is given before the one that ends the test.
pub(crate) async fn collect(reader: &mut Subscription) -> Vec<u64> {
    let mut ids = Vec::new();
    loop {
        let event = event(reader).await;
        if matches!(&event.event, Event::SettingsChanged { description, .. } if description == END) {
            return ids;
        }
        ids.push(event.id);
    }
}

/// The next event; a reader that is overtaken goes on.
pub(crate) async fn event(reader: &mut Subscription) -> Envelope {
    loop {
        match reader.next().await.unwrap() {
            Item::Event(event) => return (*event).clone(),
            Item::Overtaken => {}
            gap @ Item::Gap { .. } => panic!("no gap was expected: {gap:?}"),
        }
    }
}

pub(crate) fn ids<'a>(events: impl IntoIterator<Item = &'a Envelope>) -> Vec<u64> {
    events.into_iter().map(|one| one.id).collect()
}

pub(crate) fn durable(events: &[Envelope]) -> Vec<u64> {
    ids(events.iter().filter(|one| one.event.is_durable()))
}
