//! Volumes: whether the file system under a root is the one that was accepted, and how much room it has.
//!
//! A root is known by a sentinel file with a random id, and while we run by its mount and device as well. It is
//! looked at whenever a mount changes, every two seconds, and whenever somebody asks. When it is not what it was,
//! nothing learnt about its files is to be believed; when it is back, or was away between two looks, its
//! generation has risen, which tells users that what they hold open belongs to the past.
//!
//! A look may hang for as long as a network file system does. So looks run on blocking threads with a deadline,
//! one at a time per root, and a root that does not answer is faulted.

mod error;
mod identity;
mod mounts;
mod registry;
mod sentinel;
mod space;
pub mod sql;
mod watcher;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use revaer_telemetry::{Health, OnFailure, Tasks};
use sqlx::PgConnection;
use tokio::{
    sync::{Notify, watch},
    time::timeout,
};

pub use error::{VolumeError, VolumeFault};
pub(crate) use identity::{Mounted, mounted_at};
use registry::Registry;
pub use sentinel::{SENTINEL_NAME, SentinelId};
pub use space::Reservation;

/// How long a look may take.
pub(crate) const DEADLINE: Duration = Duration::from_secs(5);

/// A root that is what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeState {
    /// Rises whenever the root was away, or came back as another mount, since it was registered.
    pub generation: u64,
    /// `st_dev`: roots of the same device share their free space.
    pub device: u64,
    /// The kernel's id of the mount (Linux 5.8); 0 before.
    pub mount_id: u64,
}

/// What the last look at a root has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VolumeStatus {
    /// The accepted volume.
    Present(VolumeState),
    /// Something else, or nothing.
    Faulted {
        /// What, and what to do.
        fault: VolumeFault,
        /// Since when.
        since: SystemTime,
    },
}

/// The last look at every registered root.
pub type VolumeMap = Arc<BTreeMap<PathBuf, VolumeStatus>>;

/// The door to the volume service. Clones share it.
#[derive(Debug, Clone)]
pub struct Volumes {
    registry: Arc<Registry>,
    look_again: Arc<Notify>,
    tasks: Tasks,
}

impl Volumes {
    /// Starts the watcher, with no roots yet. Faults degrade `Component::Disk`.
    pub fn start(tasks: &Tasks, health: &Health) -> Self {
        let volumes = Self {
            registry: Arc::new(Registry::new(health.clone())),
            look_again: Arc::new(Notify::new()),
            tasks: tasks.clone(),
        };
        let watcher = volumes.clone();
        tasks.spawn::<std::convert::Infallible, _>("volumes", OnFailure::Shutdown, async move {
            watcher::run(watcher).await;
            Ok(())
        });
        volumes
    }

    /// Registers a root, and remembers it in `known_volumes` when it is accepted for the first time.
    /// A known root that is away is registered as faulted, which is not an error.
    pub async fn accept(&self, conn: &mut PgConnection, root: &Path) -> Result<VolumeStatus, VolumeError> {
        let known = sql::known_volume_get(conn, root).await?;
        let is_new = known.is_none();
        let (id, status) = self.register(root, known).await?;
        if is_new {
            sql::known_volume_insert(conn, root, &id).await?;
        }
        Ok(status)
    }

    /// Registers a root whose sentinel is `known`, or a new one (`None`), into which a sentinel is written unless
    /// it has one. The caller stores the returned id. Registering again changes nothing.
    pub async fn register(
        &self,
        root: &Path,
        known: Option<SentinelId>,
    ) -> Result<(SentinelId, VolumeStatus), VolumeError> {
        if !root.is_absolute() || root.to_str().is_none() {
            return Err(VolumeError::BadPath { root: root.to_owned() });
        }
        let id = match known {
            Some(id) => id,
            None => self.first_look(root).await?,
        };
        self.registry.insert(root, id.clone());
        let status = match self.check(root).await {
            Ok(state) => VolumeStatus::Present(state),
            Err(fault) => VolumeStatus::Faulted { fault, since: self.registry.faulted_since(root) },
        };
        Ok((id, status))
    }

    /// No longer watches a root. Its row and its sentinel stay.
    pub fn unregister(&self, root: &Path) {
        self.registry.remove(root);
    }

    /// Says why some roots cannot be registered, beside what is known of the registered ones; none: that is over.
    pub(crate) fn refuse(&self, reasons: &[String]) {
        self.registry.refuse(reasons);
    }

    /// Looks at a registered root now. `Ok` means: at this moment it is the accepted volume.
    pub async fn check(&self, root: &Path) -> Result<VolumeState, VolumeFault> {
        let registry = Arc::clone(&self.registry);
        let path = root.to_owned();
        let look = self.tasks.spawn_blocking("volume look", move || registry.look(&path));
        match timeout(DEADLINE, look).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(panicked)) => Err(VolumeFault::new(panicked.to_string())),
            Err(_) => Err(self.registry.unresponsive(root)),
        }
    }

    /// Like [`Volumes::check`] for blocking threads; hangs with the file system.
    pub fn check_blocking(&self, root: &Path) -> Result<VolumeState, VolumeFault> {
        self.registry.look(root)
    }

    /// The last look at every root, without looking.
    pub fn watch(&self) -> watch::Receiver<VolumeMap> {
        self.registry.subscribe()
    }

    /// Asks the watcher to look at every root soon.
    pub fn poke(&self) {
        self.look_again.notify_one();
    }

    /// Bytes that may still be written beneath `path`, not counting reservations.
    pub async fn free_space(&self, path: &Path) -> Result<u64, VolumeFault> {
        self.off_thread(path, space::free_bytes).await
    }

    /// Sets `bytes` on the device of `path` aside, or says how many are missing. Free space less all other
    /// reservations on that device has to suffice.
    pub async fn reserve(&self, path: &Path, bytes: u64) -> Result<Reservation, VolumeFault> {
        let registry = Arc::clone(&self.registry);
        self.off_thread(path, move |path| registry.ledger().reserve(path, bytes)).await
    }

    /// Like [`Volumes::reserve`] for blocking threads.
    pub fn reserve_blocking(&self, path: &Path, bytes: u64) -> Result<Reservation, VolumeFault> {
        self.registry.ledger().reserve(path, bytes)
    }

    async fn first_look(&self, root: &Path) -> Result<SentinelId, VolumeError> {
        let path = root.to_owned();
        let made = self.tasks.spawn_blocking("volume sentinel", move || sentinel::ensure(&path));
        match timeout(DEADLINE, made).await {
            Ok(Ok(made)) => made,
            Ok(Err(_)) | Err(_) => Err(VolumeError::Unresponsive { root: root.to_owned() }),
        }
    }

    /// Asks the file system something about `path` on a thread that may hang, and waits no longer than a look may take.
    pub(crate) async fn off_thread<T: Send + 'static>(
        &self,
        path: &Path,
        work: impl FnOnce(&Path) -> Result<T, VolumeFault> + Send + 'static,
    ) -> Result<T, VolumeFault> {
        let owned = path.to_owned();
        let work = self.tasks.spawn_blocking("volume question", move || work(&owned));
        match timeout(DEADLINE, work).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(panicked)) => Err(VolumeFault::new(panicked.to_string())),
            Err(_) => Err(VolumeFault::unresponsive(path)),
        }
    }
}
