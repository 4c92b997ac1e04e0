//! [`ConfigService`]: the one door to the settings.

mod apply;
mod authenticate;
mod bootstrap;
mod commit;
mod history;
mod load;
mod prepare;
mod setup;
mod token;
mod watcher;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Instant,
};

use revaer_telemetry::Health;
use sqlx::PgPool;
use tokio::sync::{Notify, Semaphore, watch};

pub use self::{apply::Applied, history::RevisionChange, setup::SetupCompleted, token::IssuedToken};
use crate::{
    error::ConfigError,
    keyring::{KeyFile, SecretKey},
    snapshot::ConfigSnapshot,
};

/// What the service needs to know before there are settings.
#[derive(Debug, Clone)]
pub struct BootstrapOptions {
    /// Absolute; the default directories are made beneath it.
    pub data_dir: PathBuf,
    /// The file of the secret key; made where it does not exist.
    pub key_file: PathBuf,
}

/// Who makes a change, and against what.
#[derive(Debug, Clone)]
pub struct ChangeContext {
    /// For the history: a key id, or the name of a host tool.
    pub actor: String,
    /// The request that caused the change.
    pub request_id: Option<String>,
    /// The revision that the change was made against; another one in force is a conflict.
    pub if_match: Option<i64>,
}

/// The one door to the settings. Clones share it.
#[derive(Clone)]
pub struct ConfigService {
    shared: Arc<Shared>,
}

struct Shared {
    pool: PgPool,
    health: Health,
    key_file: KeyFile,
    secret_key: RwLock<Arc<SecretKey>>,
    published: watch::Sender<Arc<ConfigSnapshot>>,
    /// Writers of this process queue here, so that they hold one connection and not the whole pool.
    writers: Semaphore,
    hashing: Hashing,
    /// When a refused setup token was last noted in the history.
    rejection_noted: Mutex<Option<Instant>>,
    /// Asks the watcher to read now.
    wake: Notify,
}

/// Bounds what argon2id may take: one at a time, eight waiting.
struct Hashing {
    running: Semaphore,
    waiting: Semaphore,
}

impl Hashing {
    const MOST_WAITING: usize = 8;

    fn new() -> Self {
        Self { running: Semaphore::new(1), waiting: Semaphore::new(Self::MOST_WAITING) }
    }
}

impl ConfigService {
    /// The settings in force, from memory.
    pub fn snapshot(&self) -> Arc<ConfigSnapshot> {
        self.shared.published.borrow().clone()
    }

    /// Wakes with every new snapshot.
    pub fn watch(&self) -> watch::Receiver<Arc<ConfigSnapshot>> {
        self.shared.published.subscribe()
    }

    fn secret_key(&self) -> Arc<SecretKey> {
        self.shared.secret_key.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_secret_key(&self, key: Arc<SecretKey>) {
        *self.shared.secret_key.write().unwrap_or_else(PoisonError::into_inner) = key;
    }

    /// Puts a snapshot in force, unless a later one is.
    fn publish(&self, snapshot: ConfigSnapshot) -> Arc<ConfigSnapshot> {
        let snapshot = Arc::new(snapshot);
        self.shared.published.send_if_modified(|current| {
            let newer = snapshot.revision > current.revision;
            if newer {
                *current = Arc::clone(&snapshot);
            }
            newer
        });
        snapshot
    }

    /// Runs one argon2id computation off the async workers, one at a time.
    async fn hash<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, ConfigError> + Send + 'static,
    ) -> Result<T, ConfigError> {
        const OPERATION: &str = "hashing a secret";
        // Never closed.
        let permit = self.shared.hashing.running.acquire().await;
        let _permit = permit.map_err(|_| ConfigError::Crypto { operation: OPERATION })?;
        run_blocking(work).await.unwrap_or(Err(ConfigError::Crypto { operation: OPERATION }))
    }
}

/// Runs a closure that blocks off the async workers; `None` where it panicked, which is logged.
async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(output) => Some(output),
        Err(error) => {
            tracing::error!(%error, "a blocking settings task did not end");
            None
        }
    }
}
