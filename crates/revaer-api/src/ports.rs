//! What the surface stands on: handed in by the composition root, shared by every request.

use std::{ops::Deref, path::PathBuf, sync::Arc, time::Instant};

use revaer_catalog::{Catalog, Intents};
use revaer_config::ConfigService;
use revaer_events::EventLog;
use revaer_telemetry::{Component, Guardrails, Health, Metrics, Tasks};
use revaer_torrent_core::engine::TorrentEngine;
use sqlx::PgPool;
use tokio::sync::Semaphore;

use crate::http::{limiter::Limiter, recent::Recent, refused_keys::RefusedKeys};

/// Everything that requests are answered from.
#[derive(Clone)]
pub struct Ports {
    /// Torrents, to read.
    pub catalog: Catalog,
    /// Where changes of torrents go.
    pub intents: Intents,
    /// What happened.
    pub events: EventLog,
    /// Judges .torrent files, and says what it sees of a torrent.
    pub engine: Arc<dyn TorrentEngine>,
    /// Settings, keys and setup.
    pub config: ConfigService,
    /// Which components are well.
    pub health: Health,
    /// Figures.
    pub metrics: Metrics,
    /// What deserves a second look.
    pub guardrails: Guardrails,
    /// The database, for what is too large to keep in memory.
    pub pool: PgPool,
    /// Spawns.
    pub tasks: Tasks,
    /// What the process knows of itself.
    pub facts: ServerFacts,
}

/// What the process knows of itself; told in the health document.
#[derive(Debug, Clone)]
pub struct ServerFacts {
    /// The release.
    pub version: String,
    /// The commit it was built from.
    pub sha: String,
    /// The platform it was built for.
    pub target: String,
    /// When the process began.
    pub started_at: Instant,
    /// The extractor, where one was found.
    pub sevenzip: Option<PathBuf>,
    /// The repairer, where one was found.
    pub par2: Option<PathBuf>,
    /// The release of the database server.
    pub postgresql_version: String,
}

/// What handlers share.
pub(crate) struct Shared {
    ports: Ports,
    /// How much each key has left of its rate.
    pub(crate) limiter: Limiter,
    /// Setup calls that were refused.
    pub(crate) refused_setup: Arc<Recent>,
    /// Callers that were not taken for the holder of a key.
    pub(crate) refused_keys: Arc<RefusedKeys>,
    /// Bounds what large bodies take of memory: each of them may be held more than once while it is read.
    pub(crate) uploads: Semaphore,
}

/// Large bodies that are read at once; further ones wait within their request's time.
const UPLOADS: usize = 8;

impl Shared {
    pub(crate) fn new(ports: Ports) -> Arc<Self> {
        let recovered =
            || tracing::info!(event = "loopback.recovered", "no setup call was refused for a minute");
        Arc::new(Self {
            ports,
            limiter: Limiter::default(),
            refused_setup: Recent::new(Component::LoopbackGuard, recovered),
            refused_keys: Arc::default(),
            uploads: Semaphore::new(UPLOADS),
        })
    }
}

impl Deref for Shared {
    type Target = Ports;

    fn deref(&self) -> &Ports {
        &self.ports
    }
}

/// The state of every handler.
pub(crate) type App = Arc<Shared>;
