//! The gate: asked before anything beneath a path is believed, made or deleted.
//!
//! It fails closed. Until the known volumes were read and the configured roots looked at, it refuses everything. A place
//! that no root answers for is made one before the first byte is written there: from then on its volume is known, and
//! an empty mount point in its stead is refused.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sqlx::{PgPool, Postgres, pool::PoolConnection};
use tokio::{sync::watch, time::timeout};
use tracing::info;

use super::place::{self, Place};
use crate::volume::{
    DEADLINE, SENTINEL_NAME, SentinelId, VolumeError, VolumeFault, VolumeStatus, Volumes, sql,
};

/// How long a question waits for the first looks after a start, which take milliseconds unless a disk hangs.
const FIRST_LOOKS: Duration = Duration::from_secs(1);

/// What is known of the roots.
#[derive(Debug, Default, Clone)]
struct View {
    /// Every root ever accepted, under its real name and the configured one.
    known: BTreeMap<PathBuf, SentinelId>,
    /// Configured roots that could not be accepted, and why: what lies beneath is not judged by anybody else.
    refused: BTreeMap<PathBuf, String>,
    configured: Vec<PathBuf>,
    allowed: Vec<PathBuf>,
    /// The table was read.
    loaded: bool,
}

#[derive(Debug)]
struct Shared {
    volumes: Volumes,
    pool: PgPool,
    view: Mutex<Arc<View>>,
    /// Whether the configured roots were looked at.
    ready: watch::Sender<bool>,
    /// Held while a root is accepted: one at a time.
    accepting: tokio::sync::Mutex<()>,
}

/// Asks the volumes of paths, by the roots that answer for them. Clones share it.
#[derive(Debug, Clone)]
pub struct RootGate {
    shared: Arc<Shared>,
}

/// Why a directory did not become a root.
enum Unfit {
    /// It cannot be made, so nothing can be written into it either.
    Closed(String),
    /// It is there, and takes no sentinel.
    Unmarked(String),
    /// It may become one later.
    Later(String),
}

impl RootGate {
    /// A gate in front of `volumes`, closed until [`RootGate::follow`] has gone through once.
    pub fn new(volumes: Volumes, pool: PgPool) -> Self {
        let (view, accepting) = (Mutex::default(), tokio::sync::Mutex::default());
        let ready = watch::Sender::new(false);
        Self { shared: Arc::new(Shared { volumes, pool, view, ready, accepting }) }
    }

    /// Whether the volume beneath `path` is the one that it should be, looked at now.
    pub async fn check(&self, path: &Path) -> Result<(), String> {
        let mut ready = self.shared.ready.subscribe();
        if timeout(FIRST_LOOKS, ready.wait_for(|ready| *ready)).await.is_err() {
            return Err("the volumes have not been looked at yet since the server started".to_owned());
        }
        let view = self.view();
        let place = self.answering(path, &view).await?;
        match place.unknown {
            None => Ok(()),
            Some(_) => self.accept_place(path).await,
        }
    }

    /// Takes over the roots and the allowed directories of the settings. Answers the roots that cannot be watched
    /// yet, with the reason; then it is to be called again. While there are any, `Component::Disk` is degraded.
    pub async fn follow(&self, roots: &[PathBuf], allowed: &[PathBuf]) -> Vec<(PathBuf, String)> {
        let _one = self.shared.accepting.lock().await;
        let refused = self.take_over(roots, allowed).await;
        let reasons: Vec<String> =
            refused.iter().map(|(root, reason)| format!("{}: {reason}", root.display())).collect();
        self.shared.volumes.refuse(&reasons);
        refused
    }

    async fn take_over(&self, roots: &[PathBuf], allowed: &[PathBuf]) -> Vec<(PathBuf, String)> {
        if let Err(reason) = self.load().await {
            return roots.iter().map(|root| (root.clone(), reason.clone())).collect();
        }
        self.forget_others(roots, allowed);
        let mut refused = BTreeMap::new();
        for root in roots {
            if let Err(reason) = self.accept_configured(root).await {
                refused.insert(root.clone(), reason);
            }
        }
        let answer = refused.clone().into_iter().collect();
        self.change(|view| view.refused = refused);
        self.shared.ready.send_replace(true);
        answer
    }

    /// Finds what answers for a path, and has it answer.
    async fn answering(&self, path: &Path, view: &Arc<View>) -> Result<Place, String> {
        let known = Arc::clone(view);
        let is_root = move |one: &Path| known.known.contains_key(one) || known.refused.contains_key(one);
        let place = self.ask(path, move |path| place::find(path, is_root)).await?;
        for root in &place.roots {
            if let Some(reason) = view.refused.get(root) {
                return Err(reason.clone());
            }
            self.look(root, view.known.get(root)).await?;
        }
        Ok(place)
    }

    /// Looks at a known root, which is watched from now on.
    async fn look(&self, root: &Path, id: Option<&SentinelId>) -> Result<(), String> {
        let Some(id) = id.cloned() else { return Err(format!("{} is not known", root.display())) };
        match self.shared.volumes.register(root, Some(id)).await {
            Ok((_, status)) => present(status),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Makes a place that no root answers for a root.
    async fn accept_place(&self, path: &Path) -> Result<(), String> {
        let busy = |_elapsed| "another directory is being looked at".to_owned();
        let _one = timeout(DEADLINE, self.shared.accepting.lock()).await.map_err(busy)?;
        // Another may have accepted it meanwhile.
        let view = self.view();
        let Some(unknown) = self.answering(path, &view).await?.unknown else { return Ok(()) };
        let candidates = {
            let given = path.to_owned();
            self.ask(&unknown, move |unknown| place::candidates(&given, unknown, &view.allowed)).await?
        };
        let mut unfit = Unfit::Closed(String::new());
        for candidate in candidates {
            match self.accept(&candidate).await {
                Ok(status) => {
                    info!(root = %candidate.display(), "a directory outside the roots is watched");
                    return present(status);
                }
                Err(Unfit::Later(reason)) => return Err(reason),
                Err(other) => unfit = other,
            }
        }
        match unfit {
            // Whoever makes the directory says why that is impossible; nothing is written until then.
            Unfit::Closed(_) => Ok(()),
            Unfit::Unmarked(reason) | Unfit::Later(reason) => Err(format!(
                "{reason}; where this server may not write, put a file {SENTINEL_NAME} there that holds 32 \
                 hexadecimal digits of your choice"
            )),
        }
    }

    /// Accepts a configured root, under its name and the real one.
    async fn accept_configured(&self, root: &Path) -> Result<(), String> {
        let view = self.view();
        if !view.known.contains_key(root) {
            // It is not made on a volume that is away. What refused it before does not count: this is the next try.
            let before = Arc::new(View { refused: BTreeMap::new(), ..View::clone(&view) });
            self.answering(root, &before).await?;
        }
        let status = self.accept(root).await.map_err(|unfit| match unfit {
            Unfit::Closed(reason) | Unfit::Unmarked(reason) | Unfit::Later(reason) => reason,
        })?;
        if matches!(status, VolumeStatus::Faulted { .. }) {
            return Ok(());
        }
        let real = self.ask(root, |root| place::real(root).map(|real| real.path)).await?;
        let view = self.view();
        if let (false, Some(id)) = (view.known.contains_key(&real), view.known.get(root)) {
            let mut connection = self.connection().await?;
            sql::known_volume_insert(&mut connection, &real, id).await.map_err(|error| said(&error))?;
            self.change(|changed| drop(changed.known.insert(real, id.clone())));
        }
        Ok(())
    }

    /// Registers a directory. Only one that was never seen is made: a known one that is missing is a volume that is
    /// away.
    async fn accept(&self, root: &Path) -> Result<VolumeStatus, Unfit> {
        if let Some(id) = self.view().known.get(root).cloned() {
            // Without the database, which may be away: what it would say was read.
            let registered = self.shared.volumes.register(root, Some(id)).await;
            return registered.map(|(_, status)| status).map_err(|error| unfit(&error));
        }
        let made = self.ask(root, |root| Ok(std::fs::create_dir_all(root))).await;
        made.map_err(Unfit::Later)?.map_err(|error| not_made(root, &error))?;
        let mut connection = self.connection().await.map_err(Unfit::Later)?;
        let status =
            self.shared.volumes.accept(&mut connection, root).await.map_err(|error| unfit(&error))?;
        let id = sql::known_volume_get(&mut connection, root).await.map_err(|error| unfit(&error))?;
        self.change(|view| view.known.extend(id.map(|id| (root.to_owned(), id))));
        Ok(status)
    }

    async fn load(&self) -> Result<(), String> {
        if self.view().loaded {
            return Ok(());
        }
        let mut connection = self.connection().await?;
        let known = sql::known_volumes(&mut connection).await.map_err(|error| said(&error))?;
        self.change(|view| {
            view.known = known;
            view.loaded = true;
        });
        Ok(())
    }

    /// After a change of the settings: what nobody configures is watched again when somebody asks for it.
    fn forget_others(&self, roots: &[PathBuf], allowed: &[PathBuf]) {
        let view = self.view();
        if view.configured == roots && view.allowed == allowed {
            return;
        }
        for gone in view.configured.iter().filter(|root| !roots.contains(root)) {
            self.shared.volumes.unregister(gone);
        }
        let watched = Arc::clone(&self.shared.volumes.watch().borrow());
        for (root, status) in watched.iter() {
            if matches!(status, VolumeStatus::Faulted { .. }) && !roots.contains(root) {
                self.shared.volumes.unregister(root);
            }
        }
        self.change(|view| {
            view.configured = roots.to_vec();
            view.allowed = allowed.to_vec();
        });
    }

    async fn ask<T: Send + 'static>(
        &self,
        path: &Path,
        work: impl FnOnce(&Path) -> Result<T, VolumeFault> + Send + 'static,
    ) -> Result<T, String> {
        self.shared.volumes.off_thread(path, work).await.map_err(|fault| fault.reason)
    }

    async fn connection(&self) -> Result<PoolConnection<Postgres>, String> {
        self.shared.pool.acquire().await.map_err(|_error| "the database does not answer".to_owned())
    }

    fn view(&self) -> Arc<View> {
        Arc::clone(&self.shared.view.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn change(&self, change: impl FnOnce(&mut View)) {
        change(Arc::make_mut(&mut self.shared.view.lock().unwrap_or_else(PoisonError::into_inner)));
    }
}

fn present(status: VolumeStatus) -> Result<(), String> {
    match status {
        VolumeStatus::Present(_) => Ok(()),
        VolumeStatus::Faulted { fault, .. } => Err(fault.reason),
    }
}

fn not_made(root: &Path, error: &io::Error) -> Unfit {
    let reason = format!("can not make {}: {error}", root.display());
    match error.kind() {
        io::ErrorKind::PermissionDenied
        | io::ErrorKind::ReadOnlyFilesystem
        | io::ErrorKind::AlreadyExists
        | io::ErrorKind::NotADirectory => Unfit::Closed(reason),
        _ => Unfit::Later(reason),
    }
}

fn unfit(error: &VolumeError) -> Unfit {
    match error {
        VolumeError::NotWritable { .. }
        | VolumeError::ForeignSentinel { .. }
        | VolumeError::BadPath { .. } => Unfit::Unmarked(said(error)),
        VolumeError::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
            Unfit::Unmarked(said(error))
        }
        VolumeError::Io { .. }
        | VolumeError::Unresponsive { .. }
        | VolumeError::Database { .. }
        | VolumeError::BadRow { .. } => Unfit::Later(said(error)),
    }
}

/// With its causes.
fn said(error: &VolumeError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
