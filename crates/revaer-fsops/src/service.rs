//! The service behind the `FsOpsControl` port: jobs off the async threads, one at a time per pair of devices.

use std::{
    collections::{HashMap, hash_map::Entry},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use revaer_telemetry::{Component, Guard, Tasks, Telemetry};
use revaer_torrent_core::{
    BoxFuture, TorrentId,
    fsops::{
        Deletion, DeletionError, DeletionOutcome, FsOpsControl, Job, JobOutcome, JobReport, MoveMode, Step,
    },
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::{
    FsError,
    context::{Checkpoints, Context},
    deletion, discard,
    safe::SafeRoot,
};

/// Deletions at a time: they wait for the disk, and must not take every blocking thread.
const DELETIONS: usize = 2;

/// What the pipeline stands on.
#[derive(Debug, Clone)]
pub struct FsOpsOptions {
    /// Runs its blocking work, and says when to stop.
    pub tasks: Tasks,
    /// Counts its steps and its failed jobs, and hears of volumes that refuse.
    pub telemetry: Telemetry,
}

/// The pipeline.
#[derive(Debug)]
pub struct FsOps {
    options: FsOpsOptions,
    checkpoints: Checkpoints,
    token: CancellationToken,
    lanes: Mutex<HashMap<Lane, Arc<Semaphore>>>,
    running: Running,
    deletions: Arc<Semaphore>,
    waiting: Mutex<HashMap<TorrentId, String>>,
}

/// The torrents whose jobs run, each with what stops it.
type Running = Arc<Mutex<HashMap<TorrentId, CancellationToken>>>;

/// Jobs of one lane run one after the other. What only renames and links does not wait behind what copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Lane {
    from: u64,
    to: u64,
    copies: bool,
}

impl FsOps {
    /// A pipeline that works until the tasks' root token is cancelled.
    pub fn new(options: FsOpsOptions) -> Arc<Self> {
        Self::with_checkpoints(options, Checkpoints::default())
    }

    /// As [`FsOps::new`], with a listener at every point that a crash has to be survivable at: for crash tests.
    pub fn with_checkpoints(options: FsOpsOptions, checkpoints: Checkpoints) -> Arc<Self> {
        tracing::debug!(
            resolution = crate::safe::Resolution::detect().name(),
            "paths are resolved beneath their roots"
        );
        Arc::new(Self {
            token: options.tasks.child_token(),
            options,
            checkpoints,
            lanes: Mutex::default(),
            running: Arc::default(),
            deletions: Arc::new(Semaphore::new(DELETIONS)),
            waiting: Mutex::default(),
        })
    }

    /// Stops at the next checkpoint: running jobs end as [`JobOutcome::Interrupted`].
    pub fn stop(&self) {
        self.token.cancel();
    }

    async fn run_job(&self, job: Job, report: Box<dyn Fn(JobReport) + Send + Sync>) -> JobOutcome {
        let Some(claim) = Claim::new(&self.running, job.torrent, self.token.child_token()) else {
            return failed(Step::Validate, "this torrent's content is being placed already", true);
        };
        let Some(permit) = self.enter(&job, &claim.token).await else { return JobOutcome::Interrupted };
        let torrent = job.torrent;
        let (token, metrics) = (claim.token.clone(), self.options.telemetry.metrics.clone());
        let checkpoints = self.checkpoints.clone();
        let work = self.options.tasks.spawn_blocking("fsops job", move || {
            let outcome =
                crate::pipeline::run(&job, &Context::new(&token, &metrics, &checkpoints, report.as_ref()));
            // Held until the work has ended, even when nobody waits for it any more.
            drop((claim, permit));
            outcome
        });
        let outcome = work.await.unwrap_or_else(|error| failed(Step::Validate, &error.to_string(), true));
        self.tell(torrent, &outcome);
        outcome
    }

    /// Waits for the turn of the job's lane; `None` when it is stopped first.
    async fn enter(&self, job: &Job, token: &CancellationToken) -> Option<OwnedSemaphorePermit> {
        let (from, to) = (job.content.save_dir.clone(), job.policy.library_root.clone());
        // A volume that hangs must not hang an async thread.
        let devices = self.options.tasks.spawn_blocking("fsops devices", move || {
            let device = |path: &std::path::Path| SafeRoot::open(path).map_or(0, |root| root.device());
            (device(&from), device(&to))
        });
        let (from, to) = devices.await.unwrap_or((0, 0));
        let copies = match job.policy.move_mode {
            MoveMode::Copy => true,
            MoveMode::Move => from != to,
            MoveMode::Hardlink => false,
        };
        let lane = self.lane(Lane { from, to, copies });
        tokio::select! {
            () = token.cancelled() => None,
            permit = lane.acquire_owned() => permit.ok(),
        }
    }

    fn lane(&self, lane: Lane) -> Arc<Semaphore> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(lanes.entry(lane).or_insert_with(|| Arc::new(Semaphore::new(1))))
    }

    /// Health follows the environment: a job that waits for it degrades until it ends, or goes with its torrent. A
    /// shape fault is the torrent's own, and shown there. Either is a guard rail, and a job that goes on waiting
    /// counts once.
    fn tell(&self, torrent: TorrentId, outcome: &JobOutcome) {
        match outcome {
            JobOutcome::Completed { .. } => self.ended(torrent),
            JobOutcome::Failed { step, message, retry } => {
                let step = step.name();
                tracing::warn!(event = "fsops.failed", torrent.id = %torrent, step, message, retry, "fsops.failed");
                if *retry {
                    let waited = self.waiting_jobs().insert(torrent, message.clone()).is_some();
                    self.options.telemetry.health.degrade(Component::Fsops, message.clone());
                    if waited {
                        return;
                    }
                } else {
                    self.ended(torrent);
                }
                self.options.telemetry.guardrails.violated(Guard::Fsops, &format!("{torrent}: {message}"));
            }
            JobOutcome::Interrupted => {}
        }
    }

    /// A torrent's job no longer waits for anything.
    fn ended(&self, torrent: TorrentId) {
        let mut waiting = self.waiting_jobs();
        if waiting.remove(&torrent).is_none() {
            return;
        }
        tracing::info!(event = "fsops.recovered", torrent.id = %torrent, "fsops.recovered");
        match waiting.values().next() {
            Some(reason) => self.options.telemetry.health.degrade(Component::Fsops, reason.clone()),
            None => self.options.telemetry.health.clear(Component::Fsops),
        }
    }

    fn waiting_jobs(&self) -> std::sync::MutexGuard<'_, HashMap<TorrentId, String>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs what removes files, a few at a time, off the async threads.
    async fn removing<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl FnOnce(&CancellationToken) -> Result<T, FsError> + Send + 'static,
    ) -> Result<T, DeletionError> {
        let permit = tokio::select! {
            () = self.token.cancelled() => return Err(DeletionError(FsError::Interrupted.describe())),
            permit = Arc::clone(&self.deletions).acquire_owned() => permit,
        };
        let token = self.token.clone();
        let work = self.options.tasks.spawn_blocking(name, move || {
            let outcome = work(&token);
            drop(permit);
            outcome
        });
        match work.await {
            Ok(outcome) => outcome.map_err(|error| DeletionError(error.describe())),
            Err(error) => Err(DeletionError(error.to_string())),
        }
    }
}

impl FsOpsControl for FsOps {
    fn run(&self, job: Job, report: Box<dyn Fn(JobReport) + Send + Sync>) -> BoxFuture<'_, JobOutcome> {
        Box::pin(self.run_job(job, report))
    }

    fn cancel(&self, torrent: TorrentId) {
        if let Some(token) = self.running.lock().unwrap_or_else(PoisonError::into_inner).get(&torrent) {
            token.cancel();
        }
    }

    fn discard(&self, torrent: TorrentId, library_root: PathBuf) -> BoxFuture<'_, Result<(), DeletionError>> {
        Box::pin(async move {
            self.removing("fsops discard", move |_| discard::discard(torrent, &library_root)).await?;
            self.ended(torrent);
            Ok(())
        })
    }

    fn delete(&self, deletion: Deletion) -> BoxFuture<'_, Result<DeletionOutcome, DeletionError>> {
        Box::pin(self.removing("fsops deletion", move |token| deletion::delete(&deletion, token)))
    }
}

/// One job per torrent at a time: two would work in one directory.
#[derive(Debug)]
struct Claim {
    running: Running,
    torrent: TorrentId,
    token: CancellationToken,
}

impl Claim {
    fn new(running: &Running, torrent: TorrentId, token: CancellationToken) -> Option<Self> {
        match running.lock().unwrap_or_else(PoisonError::into_inner).entry(torrent) {
            Entry::Occupied(_) => None,
            Entry::Vacant(free) => {
                free.insert(token.clone());
                Some(Self { running: Arc::clone(running), torrent, token })
            }
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.torrent);
    }
}

fn failed(step: Step, message: &str, retry: bool) -> JobOutcome {
    JobOutcome::Failed { step, message: message.to_owned(), retry }
}
