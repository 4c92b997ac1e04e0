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
use revaer_config::{BootstrapOptions, ConfigService, Fault, Revision};
use revaer_events::{EventLog, Numbers};
use revaer_fsops::FsOps;
use revaer_telemetry::{Health, Metrics, OnFailure, Tasks, Telemetry};
use revaer_torrent_core::engine::{EngineCommand, TorrentEngine};
use revaer_torrent_libt::{EngineOptions, LibtEngine};
use sqlx::PgPool;
use tokio::{sync::watch, time::timeout};
use tracing::{info, warn};

use crate::{
    child::Children,
    database::Database,
    datadir::{self, DataDir},
    environment, facts,
    feeders::{self, Logging},
    fence::InstanceFence,
    instance::InstanceGuard,
    ledger::{Ledger, LedgerHandles, LedgerParts, last_batch},
    listener::Listeners,
    options::{Environment, Options},
    orchestrator::{Applied, Orchestrator, OrchestratorParts},
    records,
    roots::{self, RootGate},
    settings,
    shutdown::{Drain, Stage},
    signals::Signals,
    volume::Volumes,
    watchdog::{self, Watched},
};

/// What cutting off the requests that have not finished may take.
const CUT: Duration = Duration::from_millis(200);

/// Serves until a signal, or until something that it cannot do without has failed. Once it ends, so does the process,
/// within [`crate::shutdown::LONGEST`], by `failed` where not in order.
pub async fn serve(
    options: Options,
    environment: Environment,
    logging: Logging,
    failed: u8,
) -> anyhow::Result<()> {
    let mut signals = Signals::listen().context("signals cannot be received")?;
    let data_dir = DataDir::open(&datadir::resolve(options.data_dir.as_deref(), &environment))?;
    let mut server = Server::new(data_dir, logging);
    let starting = server.stages.base.token();
    let mut start = Box::pin(server.start(&options, &environment));
    let started = tokio::select! {
        started = &mut start => Some(started),
        () = signals.stop() => None,
    };
    let (outcome, drain) = match started {
        None => {
            // What has been started is known to the start alone, so it is told, and not dropped.
            let drain = Drain::begin(0);
            signals.exit_on_second();
            starting.cancel();
            if let Err(reason) = start.await {
                info!(reason = format!("{reason:#}"), "the start was broken off");
            }
            (Ok(()), drain)
        }
        Some(started) => {
            drop(start);
            let outcome = match started {
                Ok(()) => server.follow(&mut signals).await,
                Err(reason) => Err(reason),
            };
            let drain = Drain::begin(if outcome.is_ok() { 0 } else { failed });
            signals.exit_on_second();
            (outcome, drain)
        }
    };
    info!("draining");
    server.drain(&drain).await;
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

/// The server, as far as it has been started.
struct Server {
    stages: Stages,
    data_dir: DataDir,
    /// Kept to the end: what it started ends with it.
    children: Option<Children>,
    database: Option<Database>,
    engine: Option<Arc<dyn TorrentEngine>>,
    serving: Option<Serving>,
    logging: Logging,
}

struct Serving {
    config: ConfigService,
    listeners: Listeners,
}

impl Server {
    fn new(data_dir: DataDir, logging: Logging) -> Self {
        let stages = Stages::default();
        Self { stages, data_dir, children: None, database: None, engine: None, serving: None, logging }
    }

    /// Starts everything. Not cancel-safe: cancel the token of the stage `base` instead, and [`Server::drain`] what
    /// has been started, whatever this has answered.
    async fn start(&mut self, options: &Options, environment: &Environment) -> anyhow::Result<()> {
        let started_at = Instant::now();
        let telemetry = Telemetry::new();
        let overrides = self.overrides(options);
        let Telemetry { health, metrics, .. } = telemetry.clone();
        let children = Children::start().context("the thread that starts processes cannot be started")?;
        let children = self.children.insert(children);
        let base = &self.stages.base;
        let opened = Database::open(children, &self.data_dir, environment, &health, base).await?;
        let database = self.database.insert(opened);
        let (stopping, pool) = (base.token(), database.pool().clone());
        let reading = async {
            let config = open_settings(&pool, &self.data_dir, environment, overrides, &telemetry).await?;
            config.set_fence(Arc::new(InstanceFence(Arc::downgrade(&database.guard()))));
            let ledger = open_ledger(&pool, database.guard(), &health, &metrics, base).await?;
            anyhow::Ok((config, ledger))
        };
        let broken_off = || anyhow::anyhow!("the server is to stop");
        let (config, ledger) = stopping.run_until_cancelled(reading).await.ok_or_else(broken_off)??;
        let (catalog, events, ledger, logged) = ledger;
        let logs = feeders::logging(config.clone(), self.logging.clone(), self.stages.front.token());
        self.stages.front.spawn("logging", OnFailure::Log, logs);
        let engine: Arc<dyn TorrentEngine> =
            LibtEngine::start(EngineOptions { tasks: base.clone(), telemetry: telemetry.clone() })
                .context("the engine cannot be started")?;
        self.engine = Some(Arc::clone(&engine));
        let facts = facts::gather(started_at, database.version(), environment.search_path.as_deref());
        let front = Front { pool, config: config.clone(), catalog, events, ledger, telemetry };
        front.start_orchestrator(&self.stages, &engine, logged);
        let ports = front.into_ports(engine, self.stages.front.clone(), facts);
        let opening = Listeners::open(ports, options.listen, &self.data_dir);
        let listeners = stopping.run_until_cancelled(opening).await.ok_or_else(broken_off)??;
        self.serving = Some(Serving { config, listeners });
        Ok(())
    }

    /// Settings that this process does not follow, since the command line or the environment has said otherwise.
    fn overrides(&self, options: &Options) -> Vec<Fault> {
        let mut overrides = Vec::new();
        if let Some(address) = options.listen {
            let message =
                format!("is stored, and not in force: this process was started with --listen {address}");
            overrides.extend(
                ["bind_addr", "http_port"]
                    .map(|name| Fault::new(format!("/app_profile/{name}"), message.clone())),
            );
        }
        if !self.logging.follows_level {
            let message = "is stored, and not in force: this process was started with RUST_LOG";
            overrides.push(Fault::new("/app_profile/telemetry/log_level", message));
        }
        if !self.logging.follows_format {
            let message = "is stored, and not in force: this process was started with --log-format";
            overrides.push(Fault::new("/app_profile/telemetry/log_format", message));
        }
        overrides
    }

    async fn follow(&self, signals: &mut Signals) -> anyhow::Result<()> {
        let (Some(database), Some(Serving { config, listeners })) = (&self.database, &self.serving) else {
            anyhow::bail!("the server has not been started");
        };
        let (front_ended, base_ended) = (self.stages.front.token(), self.stages.base.token());
        let guard = database.guard();
        tokio::select! {
            () = signals.stop() => Ok(()),
            () = front_ended.cancelled() => Err(anyhow::anyhow!("a vital task failed; the log says which")),
            () = base_ended.cancelled() => Err(anyhow::anyhow!("a vital task failed; the log says which")),
            by = guard.superseded() => {
                Err(anyhow::anyhow!("{by} has taken over the database; this server has stopped writing"))
            }
            // The settings have ended, so everything has.
            () = listeners.follow(config, &self.data_dir) => Ok(()),
        }
    }

    /// The stages of the end, each with its deadline, for what has been started.
    async fn drain(self, drain: &Drain) {
        let Stages { front, pipeline, base } = self.stages;
        if let Some(Serving { listeners, .. }) = self.serving {
            let within = drain.enter(Stage::Requests);
            if timeout(within + CUT, listeners.stop(within)).await.is_err() {
                warn!("some requests could not be cut off");
            }
        }
        // Jobs stop at their next checkpoint, while the orchestrator still stores how they ended.
        pipeline.token().cancel();
        if !front.shutdown(drain.enter(Stage::Front)).await {
            warn!("some tasks did not end in time");
        }
        if !pipeline.shutdown(drain.enter(Stage::Pipeline)).await {
            warn!("a job did not stop in time; the next start goes on from its journal");
        }
        if let Some(engine) = self.engine {
            stop_engine(engine, drain.enter(Stage::Engine)).await;
        }
        if !base.shutdown(drain.enter(Stage::Ledger)).await {
            warn!("the ledger did not end in time");
        }
        if let Err(error) = self.data_dir.remove_url() {
            warn!(%error, "the url file was left behind");
        }
        if let Some(database) = self.database {
            database.close(drain).await;
        }
        drain.enter(Stage::Rest);
        drop(self.children);
    }
}

async fn stop_engine(engine: Arc<dyn TorrentEngine>, within: Duration) {
    match timeout(within, engine.execute(EngineCommand::Shutdown)).await {
        Ok(Ok(())) => return,
        Ok(Err(error)) => warn!(%error, "the engine did not stop in order"),
        Err(_elapsed) => {
            warn!("the engine did not stop in time; what it did not save is checked at the next start");
        }
    }
    // Dropping the last of it waits for its threads, and a save may hang with its disk: they end with the process.
    Box::leak(Box::new(engine));
}

/// What the requests and the orchestrator share.
struct Front {
    pool: PgPool,
    config: ConfigService,
    catalog: Catalog,
    events: EventLog,
    ledger: LedgerHandles,
    telemetry: Telemetry,
}

impl Front {
    /// Starts the orchestrator with what it stands on, and the small tasks around it.
    fn start_orchestrator(&self, stages: &Stages, engine: &Arc<dyn TorrentEngine>, logged: i64) {
        let (tasks, stop) = (&stages.front, stages.front.token());
        let fsops = FsOps::new(revaer_fsops::FsOpsOptions {
            tasks: stages.pipeline.clone(),
            telemetry: self.telemetry.clone(),
        });
        let volumes = Volumes::start(tasks, &self.telemetry.health);
        let (config, facts, pool) = (&self.config, &self.ledger.facts, &self.pool);
        let (publish, settings) = watch::channel(settings::for_orchestrator(&config.snapshot()));
        let gate = RootGate::new(volumes, pool.clone());
        let keep_roots = roots::keep(config.clone(), gate.clone(), stop.clone());
        tasks.spawn("roots", OnFailure::Shutdown, keep_roots);
        config.spawn_watcher(tasks);
        let orchestrator = Orchestrator::new(OrchestratorParts {
            engine: Arc::clone(engine),
            fsops,
            catalog: self.catalog.clone(),
            ledger: self.ledger.clone(),
            pool: pool.clone(),
            settings,
            applied: applied_by_engine(config),
            gate,
            health: self.telemetry.health.clone(),
            tasks: tasks.clone(),
        });
        tasks.spawn("orchestrator", OnFailure::Shutdown, orchestrator.run(stop.clone()));
        let told_health = feeders::health(self.telemetry.health.clone(), facts.clone(), stop.clone());
        tasks.spawn("health-events", OnFailure::Log, told_health);
        let handed_on = feeders::settings(config.clone(), publish, stop.clone());
        tasks.spawn("settings", OnFailure::Shutdown, handed_on);
        let told_settings = feeders::revisions(config.clone(), logged, facts.clone(), stop.clone());
        tasks.spawn("settings-events", OnFailure::Shutdown, told_settings);
        let gauges = feeders::gauges(
            self.catalog.clone(),
            Arc::clone(engine),
            self.telemetry.metrics.clone(),
            stop.clone(),
        );
        tasks.spawn("gauges", OnFailure::Log, gauges);
        let watched = Watched {
            intents: self.ledger.intents.clone(),
            facts: facts.clone(),
            engine: Arc::clone(engine),
            catalog: self.catalog.clone(),
            config: config.clone(),
            telemetry: self.telemetry.clone(),
        };
        let environment = environment::watch(config.clone(), self.telemetry.health.clone(), stop.clone());
        tasks.spawn("environment", OnFailure::Log, environment);
        tasks.spawn("watchdog", OnFailure::Log, watchdog::watch(watched, stop.clone()));
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
            health: self.telemetry.health,
            metrics: self.telemetry.metrics,
            guardrails: self.telemetry.guardrails,
            pool: self.pool,
            tasks,
            facts,
        }
    }
}

/// Carries the orchestrator's word on each revision to the settings.
fn applied_by_engine(config: &ConfigService) -> Applied {
    let engine = config.subscribe("engine");
    Arc::new(move |revision, outcome| match outcome {
        Ok(()) => engine.applied(Revision(revision)),
        Err(reason) => engine.failed(Revision(revision), &reason),
    })
}

async fn open_settings(
    pool: &PgPool,
    data_dir: &DataDir,
    environment: &Environment,
    overrides: Vec<Fault>,
    telemetry: &Telemetry,
) -> anyhow::Result<ConfigService> {
    let own_key = || data_dir.path().join("secret.key");
    let options = BootstrapOptions {
        data_dir: data_dir.path().to_path_buf(),
        key_file: environment.secret_key_file.clone().unwrap_or_else(own_key),
        overrides,
        alone: true,
    };
    ConfigService::bootstrap(pool.clone(), options, telemetry.clone())
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
