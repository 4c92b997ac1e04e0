//! A server for one test: its own database, settings and directory, behind a socket on loopback.

pub(crate) mod client;
pub(crate) mod database;
pub(crate) mod engine;
pub(crate) mod ledger;
pub(crate) mod sse;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use revaer_api::{Ports, Server, ServerFacts, ServerHandle, router};
use revaer_catalog::{Catalog, Intents};
use revaer_config::{BootstrapOptions, ChangeContext, ConfigService, Fault};
use revaer_events::EventLog;
use revaer_telemetry::{Tasks, Telemetry};
use serde_json::{Value, json};
use tempfile::TempDir;

use self::{
    client::{Answer, Client},
    database::Database,
    engine::ScriptedEngine,
    ledger::Ledger,
};

/// A server that runs, and everything it stands on.
pub(crate) struct Fixture {
    pub(crate) ports: Ports,
    pub(crate) engine: Arc<ScriptedEngine>,
    pub(crate) ledger: Ledger,
    pub(crate) server: ServerHandle,
    pub(crate) data_dir: TempDir,
    _database: Database,
}

impl Fixture {
    /// A server that was never set up.
    pub(crate) async fn new() -> Self {
        Self::overridden(Vec::new()).await
    }

    /// The same, of a process whose flags win over some settings.
    pub(crate) async fn overridden(overrides: Vec<Fault>) -> Self {
        let database = Database::new().await;
        let pool = database.pool.clone();
        let data_dir = tempfile::tempdir().unwrap();
        let (telemetry, tasks) = (Telemetry::new(), Tasks::new());
        let Telemetry { health, metrics, guardrails } = telemetry.clone();
        let options = BootstrapOptions {
            data_dir: data_dir.path().to_owned(),
            key_file: data_dir.path().join("secret.key"),
            overrides,
            alone: true,
        };
        let config = ConfigService::bootstrap(pool.clone(), options, telemetry).await.unwrap();
        let (intents, requests) = Intents::new();
        let catalog = Catalog::default();
        let engine = Arc::new(ScriptedEngine::default());
        let ledger = Ledger::spawn(&tasks, catalog.clone(), requests, pool.clone());
        let ports = Ports {
            catalog,
            intents,
            events: EventLog::new(pool.clone(), 0, metrics.clone()),
            engine: engine.clone(),
            config,
            health,
            metrics,
            guardrails,
            pool,
            tasks: tasks.clone(),
            facts: ServerFacts {
                version: "0.0.0".to_owned(),
                sha: "abc".to_owned(),
                target: "test".to_owned(),
                started_at: Instant::now(),
                sevenzip: None,
                par2: Some(PathBuf::from("/usr/bin/par2")),
                postgresql_version: "15.0".to_owned(),
            },
        };
        let listener = Server::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let server = Server::serve(listener, router(ports.clone()), &tasks);
        Self { ports, engine, ledger, server, data_dir, _database: database }
    }

    /// A server that was set up with defaults, and a client with its first key.
    pub(crate) async fn active() -> (Self, Client) {
        Self::new().await.set_up().await
    }

    /// Sets a fresh server up with defaults.
    pub(crate) async fn set_up(self) -> (Self, Client) {
        let fixture = self;
        let context = ChangeContext {
            actor: "test".to_owned(),
            request_id: None,
            reason: None,
            peer: None,
            if_match: None,
        };
        let config = &fixture.ports.config;
        let token = config.setup_start("test", Duration::from_mins(1), context.clone()).await.unwrap().token;
        let completed = config.setup_complete(&token, json!({}), context).await.unwrap();
        let client = fixture.client().with_key(&completed.api_key);
        (fixture, client)
    }

    /// A client without a key.
    pub(crate) fn client(&self) -> Client {
        Client::new(self.server.local_addr())
    }

    /// The default download directory.
    pub(crate) fn downloads(&self) -> String {
        self.data_dir.path().join("downloads").to_str().unwrap().to_owned()
    }

    /// Changes settings behind the surface, as another process would.
    pub(crate) async fn apply(&self, changeset: Value) {
        let context = ChangeContext {
            actor: "test".to_owned(),
            request_id: None,
            reason: None,
            peer: None,
            if_match: None,
        };
        self.ports.config.apply(changeset, context).await.unwrap();
    }
}

/// A magnet link of its own for each number.
pub(crate) fn magnet(number: u8) -> String {
    format!("magnet:?xt=urn:btih:{}&dn=torrent-{number}", format!("{number:02x}").repeat(20))
}

/// The pointers that a problem names, in its order.
pub(crate) fn pointers(answer: &Answer) -> Vec<String> {
    let params = answer.json["invalid_params"].as_array().cloned().unwrap_or_default();
    params.iter().map(|param| param["pointer"].as_str().unwrap().to_owned()).collect()
}
