//! The composition root: makes every part, hands each what it needs, and takes them down in order.
//!
//! Start: data directory, database, settings, catalogue, ledger, engine, pipeline, orchestrator, HTTP. The end is the
//! same list backwards, each stage with a deadline, so that nothing is told to a part that has gone already.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use revaer_api::{Ports, ServerFacts};
use revaer_catalog::Catalog;
use revaer_config::{BootstrapOptions, ConfigService};
use revaer_events::{EventLog, Numbers};
use revaer_fsops::FsOps;
use revaer_telemetry::{Health, Metrics, OnFailure, Tasks};
use revaer_torrent_core::engine::{EngineCommand, TorrentEngine};
use revaer_torrent_libt::{EngineOptions, LibtEngine};
use sqlx::PgPool;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::{
    child::Children,
    database::Database,
    datadir::{self, DataDir},
    facts, feeders,
    instance::InstanceGuard,
    ledger::{Ledger, LedgerHandles, LedgerParts, last_batch},
    listener::Listeners,
    options::{Environment, Options},
    orchestrator::{Orchestrator, OrchestratorParts},
    records,
    roots::{self, RootGate},
    settings,
    signals::Signals,
    volume::Volumes,
};

/// Deadlines of the stages of a shutdown; together below the 30 s that the server promises.
const REQUESTS: Duration = Duration::from_secs(3);
const ORCHESTRATION: Duration = Duration::from_secs(4);
const ENGINE: Duration = Duration::from_secs(10);
const LEDGER: Duration = Duration::from_secs(5);

/// Serves until a signal, or until something that it cannot do without has failed.
pub async fn serve(options: Options, environment: Environment) -> anyhow::Result<()> {
    let mut signals = Signals::listen().context("signals cannot be received")?;
    let running = Running::start(&options, &environment).await?;
    let outcome = running.follow(&mut signals, &options).await;
    info!("draining");
    signals.exit_on_second();
    running.drain().await;
    outcome
}

/// The tasks of the server, one set for each stage of the shutdown.
#[derive(Debug, Default)]
struct Stages {
    /// Requests, settings and the orchestrator.
    front: Tasks,
    /// Jobs of the pipeline.
    pipeline: Tasks,
    /// The ledger, and what the embedded database needs.
    base: Tasks,
}

/// The server while it serves.
struct Running {
    stages: Stages,
    data_dir: DataDir,
    database: Database,
    config: ConfigService,
    engine: Arc<dyn TorrentEngine>,
    listeners: Listeners,
}

impl Running {
    async fn start(options: &Options, environment: &Environment) -> anyhow::Result<Self> {
        let started_at = Instant::now();
        let data_dir = DataDir::open(&datadir::resolve(options.data_dir.as_deref(), environment))?;
        let (stages, health, metrics) = (Stages::default(), Health::new(), Metrics::new());
        let children = Children::start().context("the thread that starts processes cannot be started")?;
        let database = Database::open(&children, &data_dir, environment, &health, &stages.base).await?;
        let pool = database.pool().clone();
        let config = open_settings(&pool, &data_dir, environment, &health).await?;
        let (catalog, events, ledger, logged) =
            open_ledger(&pool, database.guard(), &health, &metrics, &stages.base).await?;
        let engine: Arc<dyn TorrentEngine> =
            LibtEngine::start(EngineOptions { tasks: stages.base.clone(), health: health.clone() })
                .context("the engine cannot be started")?;
        let facts = facts::gather(started_at, database.version(), environment.search_path.as_deref());
        let front = Front { pool, config: config.clone(), catalog, events, ledger, health, metrics };
        front.start_orchestrator(&stages, &engine, logged);
        let ports = front.into_ports(Arc::clone(&engine), stages.front.clone(), facts);
        let listeners = Listeners::open(ports, &config, options.listen, &data_dir).await?;
        Ok(Self { stages, data_dir, database, config, engine, listeners })
    }

    async fn follow(&self, signals: &mut Signals, options: &Options) -> anyhow::Result<()> {
        let (front_ended, base_ended) = (self.stages.front.token(), self.stages.base.token());
        let guard = self.database.guard();
        tokio::select! {
            () = signals.stop() => Ok(()),
            () = front_ended.cancelled() => Err(anyhow::anyhow!("a vital task failed; the log says which")),
            () = base_ended.cancelled() => Err(anyhow::anyhow!("a vital task failed; the log says which")),
            by = guard.superseded() => {
                Err(anyhow::anyhow!("{by} has taken over the database; this server has stopped writing"))
            }
            ended = self.listeners.follow(&self.config, options.listen, &self.data_dir) => ended,
        }
    }

    /// The stages of the end, each with its deadline.
    async fn drain(self) {
        let Stages { front, pipeline, base } = self.stages;
        self.listeners.stop(REQUESTS).await;
        // Jobs stop at their next checkpoint, while the orchestrator still stores how they ended.
        pipeline.token().cancel();
        if !front.shutdown(ORCHESTRATION).await {
            warn!("some tasks did not end in time");
        }
        if !pipeline.shutdown(ORCHESTRATION).await {
            warn!("a job did not stop in time; the next start goes on from its journal");
        }
        match tokio::time::timeout(ENGINE, self.engine.execute(EngineCommand::Shutdown)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(%error, "the engine did not stop in order"),
            Err(_elapsed) => {
                warn!("the engine did not stop in time; what it did not save is checked at the next start");
            }
        }
        if !base.shutdown(LEDGER).await {
            warn!("the ledger did not end in time");
        }
        if let Err(error) = self.data_dir.remove_url() {
            warn!(%error, "the url file was left behind");
        }
        self.database.close().await;
    }
}

/// What the requests and the orchestrator share.
struct Front {
    pool: PgPool,
    config: ConfigService,
    catalog: Catalog,
    events: EventLog,
    ledger: LedgerHandles,
    health: Health,
    metrics: Metrics,
}

impl Front {
    /// Starts the orchestrator with what it stands on, and the small tasks around it.
    fn start_orchestrator(&self, stages: &Stages, engine: &Arc<dyn TorrentEngine>, logged: i64) {
        let (tasks, stop) = (&stages.front, stages.front.token());
        let fsops = FsOps::new(revaer_fsops::FsOpsOptions {
            tasks: stages.pipeline.clone(),
            metrics: self.metrics.clone(),
            health: self.health.clone(),
        });
        let volumes = Volumes::start(tasks, &self.health);
        let (config, facts, pool) = (&self.config, &self.ledger.facts, &self.pool);
        let (publish, settings) = watch::channel(settings::for_orchestrator(&config.snapshot()));
        let gate = RootGate::new(volumes, pool.clone());
        let keep_roots = roots::keep(config.clone(), gate.clone(), self.health.clone(), stop.clone());
        tasks.spawn("roots", OnFailure::Shutdown, keep_roots);
        config.spawn_watcher(tasks);
        let orchestrator = Orchestrator::new(OrchestratorParts {
            engine: Arc::clone(engine),
            fsops,
            catalog: self.catalog.clone(),
            ledger: self.ledger.clone(),
            pool: pool.clone(),
            settings,
            gate,
            health: self.health.clone(),
            tasks: tasks.clone(),
        });
        tasks.spawn("orchestrator", OnFailure::Shutdown, orchestrator.run(stop.clone()));
        let told_health = feeders::health(self.health.clone(), facts.clone(), stop.clone());
        tasks.spawn("health-events", OnFailure::Log, told_health);
        let told_settings = feeders::revisions(config.clone(), logged, publish, facts.clone(), stop.clone());
        tasks.spawn("settings-events", OnFailure::Shutdown, told_settings);
        let gauges =
            feeders::gauges(self.catalog.clone(), Arc::clone(engine), self.metrics.clone(), stop.clone());
        tasks.spawn("gauges", OnFailure::Log, gauges);
        let (pool, config) = (pool.clone(), config.clone());
        tasks.spawn_restarting("event-retention", move || {
            feeders::retention(pool.clone(), config.clone(), stop.clone())
        });
    }

    fn into_ports(self, engine: Arc<dyn TorrentEngine>, tasks: Tasks, facts: ServerFacts) -> Ports {
        Ports {
            catalog: self.catalog,
            intents: self.ledger.intents,
            events: self.events,
            engine,
            config: self.config,
            health: self.health,
            metrics: self.metrics,
            pool: self.pool,
            tasks,
            facts,
        }
    }
}

async fn open_settings(
    pool: &PgPool,
    data_dir: &DataDir,
    environment: &Environment,
    health: &Health,
) -> anyhow::Result<ConfigService> {
    let own_key = || data_dir.path().join("secret.key");
    let options = BootstrapOptions {
        data_dir: data_dir.path().to_path_buf(),
        key_file: environment.secret_key_file.clone().unwrap_or_else(own_key),
    };
    ConfigService::bootstrap(pool.clone(), options, health.clone())
        .await
        .context("the settings cannot be read")
}

/// Loads what is stored and starts the ledger. Returns the settings revision up to which events have been logged.
async fn open_ledger(
    pool: &PgPool,
    guard: Arc<InstanceGuard>,
    health: &Health,
    metrics: &Metrics,
    tasks: &Tasks,
) -> anyhow::Result<(Catalog, EventLog, LedgerHandles, i64)> {
    let mut connection = pool.acquire().await.context("the database cannot be reached")?;
    let catalog = Catalog::new(records::load(&mut connection).await?);
    let numbers = Numbers::lease(&mut connection).await.context("event numbers cannot be leased")?;
    let logged = revaer_events::sql::settings_revision(&mut connection).await?;
    let last_batch = last_batch(&mut connection).await?;
    drop(connection);
    let events = EventLog::new(pool.clone(), numbers.newest(), metrics.clone());
    let (ledger, handles) = Ledger::new(LedgerParts {
        pool: pool.clone(),
        guard,
        catalog: catalog.clone(),
        events: events.clone(),
        numbers,
        health: health.clone(),
        last_batch,
    });
    tasks.spawn("ledger", OnFailure::Shutdown, ledger.run(tasks.token()));
    Ok((catalog, events, handles, logged))
}
