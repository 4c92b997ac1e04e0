//! [`ConfigService`]: the one door to the settings.

mod address;
mod apply;
mod authenticate;
mod bootstrap;
mod commit;
mod fence;
mod guards;
mod history;
mod issue;
mod load;
mod prepare;
mod presets;
mod repair;
mod reseal;
mod setup;
mod subscribers;
mod token;
mod watcher;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, atomic::AtomicBool},
    time::{Duration, Instant},
};

use revaer_telemetry::{Component, Telemetry};
use sqlx::PgPool;
use tokio::sync::{Notify, Semaphore, SemaphorePermit, broadcast, mpsc, watch};

pub use self::{
    address::{AddressKeeper, Reservation, Reserving},
    apply::Applied,
    fence::{Fence, Fencing},
    history::{HistoryPage, HistoryQuery, RevisionChange},
    issue::{HostKey, IssuedKey},
    setup::SetupCompleted,
    subscribers::Subscriber,
    token::IssuedToken,
};
use self::{authenticate::Mark, subscribers::Subscribers};
use crate::{
    error::{ConfigError, Fault},
    keyring::{KeyFile, SecretKey},
    snapshot::ConfigSnapshot,
    sql::settings::Writer,
};

/// A writer that has waited for so long is told who is in the way.
const TURN: Duration = Duration::from_secs(5);
/// Writers that wait for their turn.
const MOST_WRITERS: usize = 64;
/// Marks that wait to be stored.
const MOST_MARKS: usize = 64;
const LOCKED: ConfigError = ConfigError::Locked { blocker: None };
/// The server itself as a writer.
const OWN: Writer<'static> = Writer { actor: "revaer-app", request_id: None, reason: None };

/// Changesets that changed nothing, waiting to be told.
const MOST_UNCHANGED: usize = 256;

/// What the service needs to know before there are settings.
#[derive(Debug, Clone)]
pub struct BootstrapOptions {
    /// Absolute; the default directories are made beneath it.
    pub data_dir: PathBuf,
    /// The file of the secret key; made where it does not exist.
    pub key_file: PathBuf,
    /// Settings that this process does not follow: pointer, and what is in force instead of them.
    pub overrides: Vec<Fault>,
    /// Nobody else works on these settings: what a crash has cut may be finished.
    pub alone: bool,
}

/// Who makes a change, and against what.
#[derive(Debug, Clone)]
pub struct ChangeContext {
    /// For the history: a key id, or the name of a host tool.
    pub actor: String,
    /// The request that caused the change.
    pub request_id: Option<String>,
    /// Why, in the words of whoever made the change.
    pub reason: Option<String>,
    /// Where the request came from, for the log.
    pub peer: Option<String>,
    /// The revision that the change was made against; another one in force is a conflict.
    pub if_match: Option<i64>,
}

impl ChangeContext {
    fn writer(&self) -> Writer<'_> {
        Writer { actor: &self.actor, request_id: self.request_id.as_deref(), reason: self.reason.as_deref() }
    }
}

/// The one door to the settings. Clones share it.
#[derive(Clone)]
pub struct ConfigService {
    shared: Arc<Shared>,
}

struct Shared {
    pool: PgPool,
    telemetry: Telemetry,
    key_file: KeyFile,
    secret_key: RwLock<Arc<SecretKey>>,
    published: watch::Sender<Arc<ConfigSnapshot>>,
    /// Held while a snapshot is put in force, so that what is said of it comes in its order.
    publishing: Mutex<()>,
    subscribers: Arc<Subscribers>,
    unchanged: broadcast::Sender<RevisionChange>,
    address_keeper: OnceLock<Arc<dyn AddressKeeper>>,
    fence: OnceLock<Arc<dyn Fence>>,
    overrides: Vec<Fault>,
    /// Writers of this process queue here, so that they hold one connection and not the whole pool.
    writers: Semaphore,
    writers_waiting: Semaphore,
    /// Marks on their way to the database.
    marks: (mpsc::Sender<Mark>, tokio::sync::Mutex<mpsc::Receiver<Mark>>),
    hashing: Hashing,
    /// When a refused setup token was last noted in the history.
    rejection_noted: Mutex<Option<Instant>>,
    /// Asks the watcher to read now.
    wake: Notify,
    /// No notification arrives: only polling finds a change.
    deaf: AtomicBool,
}

/// Bounds what argon2id may take: one at a time, eight waiting.
struct Hashing {
    running: Arc<Semaphore>,
    waiting: Semaphore,
}

impl Hashing {
    const MOST_WAITING: usize = 8;

    fn new() -> Self {
        Self { running: Arc::new(Semaphore::new(1)), waiting: Semaphore::new(Self::MOST_WAITING) }
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

    /// Changesets that changed nothing, as they come; one that is not taken in time is forgotten.
    pub fn unchanged(&self) -> broadcast::Receiver<RevisionChange> {
        self.shared.unchanged.subscribe()
    }

    /// Settings that this process does not follow: where they stand, and what is in force instead.
    pub fn overrides(&self) -> &[Fault] {
        &self.shared.overrides
    }

    fn tell_unchanged(&self, context: &ChangeContext) {
        let told = self.shared.unchanged.send(RevisionChange {
            revision: self.snapshot().revision,
            sections: Vec::new(),
            actor: context.actor.clone(),
            request_id: context.request_id.clone(),
        });
        if told.is_err() {
            tracing::debug!("nobody is told of a changeset that changed nothing");
        }
    }

    /// Puts a snapshot in force, unless a later one is, and says whether it did.
    fn publish(&self, snapshot: &Arc<ConfigSnapshot>, committed_at: Instant) -> bool {
        let _order = self.shared.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.snapshot();
        if snapshot.revision <= before.revision {
            return false;
        }
        self.shared.subscribers.begin(snapshot.revision, committed_at);
        guards::observe(&before, snapshot, &self.shared.telemetry);
        self.shared.published.send_replace(Arc::clone(snapshot));
        true
    }

    /// Waits for its turn to write, among the writers of this process. Bounded, in number and in time: who has to wait
    /// for longer is better told so.
    async fn turn(&self) -> Result<SemaphorePermit<'_>, ConfigError> {
        let waited = match self.shared.writers_waiting.try_acquire() {
            Ok(_place) => tokio::time::timeout(TURN, self.shared.writers.acquire()).await.ok(),
            Err(_) => None,
        };
        match waited {
            Some(Ok(turn)) => Ok(turn),
            // Those before it wait for a database that is away.
            _ if self.shared.telemetry.health.degraded().contains(&Component::Database.name()) => {
                Err(ConfigError::Unavailable(sqlx::Error::PoolTimedOut))
            }
            // The semaphore is never closed.
            _ => Err(self.explain(LOCKED).await),
        }
    }

    /// Runs one argon2id computation off the async workers, one at a time.
    async fn hash<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, ConfigError> + Send + 'static,
    ) -> Result<T, ConfigError> {
        const OPERATION: &str = "hashing a secret";
        // Never closed.
        let permit = Arc::clone(&self.shared.hashing.running).acquire_owned().await;
        let permit = permit.map_err(|_| ConfigError::Crypto { operation: OPERATION })?;
        // Held by the work itself, which goes on when nobody waits for it any more.
        let work = move || {
            let outcome = work();
            drop(permit);
            outcome
        };
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
