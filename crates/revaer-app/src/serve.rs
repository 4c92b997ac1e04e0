//! The composition root: makes every part, hands each what it needs, and takes them down in order.
//!
//! Start: data directory, database, settings, catalogue, ledger, engine, pipeline, orchestrator, HTTP. The end is the
//! same list backwards, each stage with a deadline, so that nothing is told to a part that has gone already.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use revaer_api::Ports;
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
const REQUESTS: Duration = Duration::from_secs(4);
const ORCHESTRATION: Duration = Duration::from_secs(6);
const ENGINE: Duration = Duration::from_secs(12);
const LEDGER: Duration = Duration::from_secs(3);

/// Serves until a signal, or until something that it cannot do without has failed.
pub async fn serve(options: Options, environment: Environment) -> anyhow::Result<()> {
    let started_at = Instant::now();
    let mut signals = Signals::listen().context("signals cannot be received")?;
    let data_dir = DataDir::open(&datadir::resolve(options.data_dir.as_deref(), &environment))?;
    let (health, metrics) = (Health::new(), Metrics::new());
    // One set of tasks for each stage of the shutdown.
    let (base, front, pipeline) = (Tasks::new(), Tasks::new(), Tasks::new());
    let children = Children::start().context("the thread that starts processes cannot be started")?;
    let database = Database::open(&children, &data_dir, &environment, &health, &base).await?;
    let pool = database.pool().clone();
    let config = ConfigService::bootstrap(
        pool.clone(),
        BootstrapOptions {
            data_dir: data_dir.path().to_path_buf(),
            key_file: environment
                .secret_key_file
                .clone()
                .unwrap_or_else(|| data_dir.path().join("secret.key")),
        },
        health.clone(),
    )
    .await
    .context("the settings cannot be read")?;
    let (catalog, events, ledger, logged) =
        open_ledger(&pool, database.guard(), &health, &metrics, &base).await?;
    let engine: Arc<dyn TorrentEngine> = LibtEngine::start(EngineOptions { health: health.clone() })
        .context("the engine cannot be started")?;
    let fsops = FsOps::new(revaer_fsops::FsOpsOptions {
        tasks: pipeline.clone(),
        metrics: metrics.clone(),
        health: health.clone(),
    });
    let volumes = Volumes::start(&front, &health);
    front.spawn(
        "roots",
        OnFailure::Shutdown,
        roots::keep(config.clone(), volumes.clone(), pool.clone(), health.clone(), front.token()),
    );
    let (publish, watched) = watch::channel(settings::for_orchestrator(&config.snapshot()));
    config.spawn_watcher(&front);
    let orchestrator = Orchestrator::new(OrchestratorParts {
        engine: Arc::clone(&engine),
        fsops,
        catalog: catalog.clone(),
        ledger: ledger.clone(),
        pool: pool.clone(),
        settings: watched,
        gate: RootGate::new(volumes),
        health: health.clone(),
        tasks: front.clone(),
    });
    front.spawn("orchestrator", OnFailure::Shutdown, orchestrator.run(front.token()));
    front.spawn(
        "health-events",
        OnFailure::Log,
        feeders::health(health.clone(), ledger.facts.clone(), front.token()),
    );
    front.spawn(
        "settings-events",
        OnFailure::Shutdown,
        feeders::revisions(config.clone(), logged, publish, ledger.facts.clone(), front.token()),
    );
    front.spawn(
        "gauges",
        OnFailure::Log,
        feeders::gauges(catalog.clone(), Arc::clone(&engine), metrics.clone(), front.token()),
    );
    let (prune_pool, prune_config, prune_stop) = (pool.clone(), config.clone(), front.token());
    front.spawn_restarting("event-retention", move || {
        feeders::retention(prune_pool.clone(), prune_config.clone(), prune_stop.clone())
    });
    let ports = Ports {
        catalog,
        intents: ledger.intents.clone(),
        events,
        engine: Arc::clone(&engine),
        config: config.clone(),
        health,
        metrics,
        pool: pool.clone(),
        tasks: front.clone(),
        facts: facts::gather(started_at, database.version(), environment.search_path.as_deref()),
    };
    let listeners = Listeners::open(ports, &config, options.listen, &data_dir).await?;
    let guard = database.guard();
    let (front_ended, base_ended) = (front.token(), base.token());
    let outcome = tokio::select! {
        () = signals.stop() => Ok(()),
        () = front_ended.cancelled() => Err(anyhow::anyhow!("a vital task failed; the log says which")),
        () = base_ended.cancelled() => Err(anyhow::anyhow!("a vital task failed; the log says which")),
        by = guard.superseded() => Err(anyhow::anyhow!("{by} has taken over the database; this server has stopped writing")),
        ended = listeners.follow(&config, options.listen, &data_dir) => ended,
    };
    drop(guard);
    info!("draining");
    signals.exit_on_second();
    listeners.stop(REQUESTS).await;
    // Jobs stop at their next checkpoint, while the orchestrator still stores how they ended.
    pipeline.token().cancel();
    if !front.shutdown(ORCHESTRATION).await {
        warn!("some tasks did not end in time");
    }
    pipeline.shutdown(ORCHESTRATION).await;
    match tokio::time::timeout(ENGINE, engine.execute(EngineCommand::Shutdown)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => warn!(%error, "the engine did not stop in order"),
        Err(_elapsed) => {
            warn!("the engine did not stop in time; what is not saved is checked at the next start")
        }
    }
    if !base.shutdown(LEDGER).await {
        warn!("the ledger did not end in time");
    }
    if let Err(error) = data_dir.remove_url() {
        warn!(%error, "the url file was left behind");
    }
    database.close().await;
    outcome
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
