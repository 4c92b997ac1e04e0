//! The roots whose volumes are watched: kept as the settings have them, and asked before anything is believed.

use std::{
    convert::Infallible,
    path::{Path, PathBuf},
    time::Duration,
};

use revaer_config::ConfigService;
use revaer_telemetry::{Component, Health};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::{settings, volume::Volumes};

const AGAIN: Duration = Duration::from_secs(5);

/// Registers the roots of each snapshot, and tries again where one could not be.
pub(crate) async fn keep(
    config: ConfigService,
    volumes: Volumes,
    pool: PgPool,
    health: Health,
    stop: CancellationToken,
) -> Result<(), Infallible> {
    let mut snapshots = config.watch();
    snapshots.mark_changed();
    let mut kept: Vec<PathBuf> = Vec::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            changed = snapshots.changed() => if changed.is_err() { return Ok(()) },
        }
        let roots = settings::watched_roots(&snapshots.borrow_and_update());
        for gone in kept.iter().filter(|root| !roots.contains(root)) {
            volumes.unregister(gone);
        }
        kept.retain(|root| roots.contains(root));
        for root in roots {
            if kept.contains(&root) {
                continue;
            }
            match accept(&volumes, &pool, &root).await {
                Ok(()) => kept.push(root),
                Err(reason) => {
                    warn!(root = %root.display(), reason, "a root cannot be watched yet");
                    health.degrade(Component::Disk, format!("{}: {reason}", root.display()));
                    snapshots.mark_changed();
                }
            }
        }
        if snapshots.has_changed().unwrap_or(false) {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(AGAIN) => {}
            }
        }
    }
}

async fn accept(volumes: &Volumes, pool: &PgPool, root: &Path) -> Result<(), String> {
    let mut connection = pool.acquire().await.map_err(|_error| "the database does not answer".to_owned())?;
    let known = crate::volume::sql::known_volume_get(&mut connection, root)
        .await
        .map_err(|_error| "the database does not answer".to_owned())?;
    // Only a root that was never seen is made: a known one that is missing is a volume that is away.
    if known.is_none() {
        tokio::fs::create_dir_all(root).await.map_err(|error| error.to_string())?;
    }
    volumes.accept(&mut connection, root).await.map(drop).map_err(|error| error.to_string())
}

/// Asks the volumes of paths, by the root that covers them.
#[derive(Debug, Clone)]
pub struct RootGate {
    volumes: Volumes,
}

impl RootGate {
    /// A gate in front of `volumes`.
    pub fn new(volumes: Volumes) -> Self {
        Self { volumes }
    }

    /// Whether the volume beneath `path` is the one that it should be, looked at now. A path that no watched root
    /// covers is not judged.
    pub(crate) async fn check(&self, path: &Path) -> Result<(), String> {
        let Some(root) = self.covering(path) else { return Ok(()) };
        self.volumes.check(&root).await.map(drop).map_err(|fault| fault.to_string())
    }

    fn covering(&self, path: &Path) -> Option<PathBuf> {
        let roots = self.volumes.watch();
        let roots = roots.borrow();
        roots.keys().filter(|root| path.starts_with(root)).max_by_key(|root| root.as_os_str().len()).cloned()
    }
}
