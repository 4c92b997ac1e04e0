//! The loop: whatever changes makes a torrent be looked at again.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use revaer_catalog::{Catalog, TorrentView};
use revaer_telemetry::{Component, Health, OnFailure, Tasks};
use revaer_torrent_core::{
    Action, Desired, EngineState, Membership, Observed, TorrentId, Wanted,
    engine::{EngineCommand, EngineProfile, Observation, TorrentEngine},
    fsops::{FsOpsControl, JobOutcome, MoveMode, Policy},
    plan,
};
use sqlx::PgPool;
use tokio::{
    sync::{Semaphore, mpsc, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{
    actions::{Acted, Actor, Effect, Setback},
    jobs, observe,
    settings::Settings,
    slot::Slot,
    verify::Look,
};
use crate::{
    ledger::{Fact, LedgerHandles},
    roots::RootGate,
};

/// Actions under way at once. Each may hold a .torrent of up to 8 MiB.
const ACTIONS: usize = 32;
/// Jobs under way at once, those that wait for the turn of their volumes included. Each holds its list of files.
const JOBS: usize = 32;
/// How long until a job is told again to stop.
const CANCEL_AGAIN: Duration = Duration::from_millis(250);
/// Ends of actions on their way back.
const ENDS: usize = 256;
/// The first wait after a setback; doubled each time, up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_mins(1);
/// How long a waiting pipeline job rests.
const JOB_REST: Duration = Duration::from_secs(30);

/// What the orchestrator works with.
pub struct OrchestratorParts {
    /// The engine.
    pub engine: Arc<dyn TorrentEngine>,
    /// The pipeline.
    pub fsops: Arc<dyn FsOpsControl>,
    /// The read model.
    pub catalog: Catalog,
    /// The ledger.
    pub ledger: LedgerHandles,
    /// For reading .torrents and claimed jobs.
    pub pool: PgPool,
    /// The settings.
    pub settings: watch::Receiver<Settings>,
    /// Says whether content lies on the volume it should lie on.
    pub gate: RootGate,
    /// Where trouble with the engine is told.
    pub health: Health,
    /// Who runs the actions.
    pub tasks: Tasks,
}

/// The end of something that was under way.
pub(crate) enum End {
    Acted(TorrentId, Acted),
    Verified(TorrentId, u64, Look),
    Job(TorrentId, JobOutcome),
    Configured(Result<(), String>),
}

/// The orchestrator.
pub struct Orchestrator {
    pub(super) parts: OrchestratorParts,
    pub(super) actor: Actor,
    pub(super) slots: HashMap<TorrentId, Slot>,
    pub(super) timers: BTreeSet<(Instant, TorrentId)>,
    pub(super) permits: Arc<Semaphore>,
    job_permits: Arc<Semaphore>,
    pub(super) ends: (mpsc::Sender<End>, mpsc::Receiver<End>),
    engine_ready: bool,
    configuring: bool,
    configured: Option<EngineProfile>,
    configure_at: Option<Instant>,
}

impl Orchestrator {
    /// An orchestrator that has not looked at anything yet.
    pub fn new(parts: OrchestratorParts) -> Self {
        let actor = Actor {
            engine: Arc::clone(&parts.engine),
            fsops: Arc::clone(&parts.fsops),
            facts: parts.ledger.facts.clone(),
            pool: parts.pool.clone(),
            settings: parts.settings.clone(),
            gate: parts.gate.clone(),
            tasks: parts.tasks.clone(),
        };
        Self {
            parts,
            actor,
            slots: HashMap::new(),
            timers: BTreeSet::new(),
            permits: Arc::new(Semaphore::new(ACTIONS)),
            job_permits: Arc::new(Semaphore::new(JOBS)),
            ends: mpsc::channel(ENDS),
            engine_ready: false,
            configuring: false,
            configured: None,
            configure_at: None,
        }
    }

    /// Works until `stop` is cancelled.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), std::convert::Infallible> {
        self.configure();
        let pokes = self.parts.ledger.pokes.clone();
        let engine = Arc::clone(&self.parts.engine);
        loop {
            let next_timer =
                self.timers.first().map(|(at, _)| *at).into_iter().chain(self.configure_at).min();
            tokio::select! {
                () = stop.cancelled() => {
                    // What has not begun does not begin any more.
                    self.permits.close();
                    self.job_permits.close();
                    return Ok(());
                }
                end = self.ends.1.recv() => if let Some(end) = end { self.ended(end) },
                () = pokes.added() => {
                    for id in pokes.take() {
                        self.look_at(id);
                    }
                }
                () = engine.changed() => {
                    for seen in engine.take_changed() {
                        self.observed(&seen);
                    }
                }
                changed = self.parts.settings.changed() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                    self.configure();
                }
                () = sleep_until(next_timer) => self.on_timer(),
            }
        }
    }

    fn on_timer(&mut self) {
        let now = Instant::now();
        if self.configure_at.is_some_and(|at| at <= now) {
            self.configure_at = None;
            self.configure();
        }
        while let Some((at, id)) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(at, id));
            self.look_at(id);
        }
    }

    /// Starts the engine, or hands it the changed profile.
    fn configure(&mut self) {
        let wanted = self.parts.settings.borrow_and_update().engine.clone();
        let Some(profile) =
            wanted.filter(|profile| !self.configuring && self.configured.as_ref() != Some(profile))
        else {
            return;
        };
        self.configuring = true;
        self.configured = Some(profile.clone());
        let (engine, ends) = (Arc::clone(&self.parts.engine), self.ends.0.clone());
        // Once, before anything is added; tombstones are among the known, since they still own their resume data.
        let known: Option<HashSet<TorrentId>> =
            (!self.engine_ready).then(|| self.parts.catalog.ids().into_iter().collect());
        self.spawn("engine-configure", async move {
            let outcome = engine.execute(EngineCommand::Configure(Box::new(profile))).await;
            if let (Ok(()), Some(known)) = (&outcome, known)
                && let Err(error) = engine.execute(EngineCommand::SetAsideUnknown { known }).await
            {
                // It only tidies: no torrent waits for it.
                warn!(%error, "resume data of unknown torrents stays where it is until the next start");
            }
            send(&ends, End::Configured(outcome.map_err(|error| error.to_string()))).await;
        });
    }

    fn ended(&mut self, end: End) {
        match end {
            End::Configured(outcome) => self.on_configured(outcome),
            End::Acted(id, acted) => self.on_acted(id, acted),
            End::Verified(id, version, found) => self.on_verified(id, version, found),
            End::Job(id, outcome) => self.on_job(id, &outcome),
        }
    }

    fn on_configured(&mut self, outcome: Result<(), String>) {
        self.configuring = false;
        match outcome {
            Ok(()) => {
                self.parts.health.clear(Component::Engine);
                if !self.engine_ready {
                    self.engine_ready = true;
                    for id in self.parts.catalog.ids() {
                        self.look_at(id);
                    }
                }
                // The settings may have changed again meanwhile.
                self.configure();
            }
            Err(reason) => {
                warn!(reason, "the engine could not be configured; it is tried again");
                self.parts.health.degrade(Component::Engine, reason);
                self.configured = None;
                self.configure_at = Some(Instant::now() + Duration::from_secs(5));
            }
        }
    }

    /// Compares one torrent with what is wanted of it, and starts the next action.
    pub(crate) fn look_at(&mut self, id: TorrentId) {
        if !self.engine_ready {
            return;
        }
        let Some(view) = self.parts.catalog.get_any(id) else {
            if self.slots.get(&id).is_some_and(Slot::is_idle) {
                self.slots.remove(&id);
            }
            return;
        };
        let slot = self.slots.entry(id).or_default();
        if slot.busy {
            slot.again = true;
            return;
        }
        if slot.verify_at.is_some_and(|at| at <= Instant::now()) {
            slot.verify_at = None;
            slot.verifying = false;
            if let Some(seen) = self.parts.engine.observe(id) {
                self.observed(&seen);
            }
        }
        let slot = self.slots.entry(id).or_default();
        if slot.busy {
            return;
        }
        if let Some(at) = slot.not_before.filter(|at| *at > Instant::now()) {
            self.timers.insert((at, id));
            return;
        }
        let seen = self.parts.engine.observe(id);
        let (desired, observed) = compare(&view, slot, seen.as_deref(), &self.parts.settings.borrow().policy);
        let action = plan(&desired, &observed);
        // A tombstone waits for a job that still reads or writes its files; the job is told to stop.
        if action == Action::Remove && (slot.job_running || (slot.verifying && slot.verify_at.is_none())) {
            self.parts.fsops.cancel(id);
            // The job may be about to begin: it is told until it has ended.
            self.timers.insert((Instant::now() + CANCEL_AGAIN, id));
            return;
        }
        // The job's end looks at it again.
        if action == Action::Add && slot.job_running && slot.job_alone {
            return;
        }
        if action == Action::Nothing {
            self.consider_job(&view);
            return;
        }
        slot.busy = true;
        slot.again = false;
        self.start(action, &view);
    }

    fn start(&mut self, action: Action, view: &TorrentView) {
        let record = Arc::clone(&view.record);
        let given = self.slots.get(&record.id).and_then(|slot| slot.given.clone());
        let (actor, permits, ends) = (self.actor.clone(), Arc::clone(&self.permits), self.ends.0.clone());
        self.spawn("torrent-action", async move {
            let Ok(permit) = permits.acquire_owned().await else { return };
            let acted = actor.act(action, &record, given).await;
            drop(permit);
            send(&ends, End::Acted(record.id, acted)).await;
        });
    }

    fn on_acted(&mut self, id: TorrentId, acted: Acted) {
        let slot = self.slots.entry(id).or_default();
        slot.busy = false;
        match acted {
            Ok(effect) => {
                slot.failures = 0;
                slot.not_before = None;
                match effect {
                    Effect::Unchanged => {}
                    Effect::Given(given) => {
                        slot.given = Some(given);
                        slot.verified = None;
                        if let Some(seen) = self.parts.engine.observe(id) {
                            self.observed(&seen);
                        }
                    }
                    Effect::Out => {
                        slot.given = None;
                        slot.verified = None;
                        self.parts.ledger.board.post(id, observe::absent());
                    }
                }
                self.look_at(id);
            }
            Err(Setback::Later(reason)) => {
                let wait = FIRST_WAIT.saturating_mul(1 << slot.failures.min(8)).min(LONGEST_WAIT);
                slot.failures += 1;
                info!(torrent.id = %id, reason, wait_ms = wait.as_millis(), "an action is tried again");
                let at = Instant::now() + wait;
                slot.not_before = Some(at);
                self.timers.insert((at, id));
                // What it was when it was last a member is not so any more.
                if slot.given.is_none() {
                    self.parts.ledger.board.post(id, observe::absent());
                }
            }
            Err(Setback::Never(message)) => self.fail(id, message),
        }
    }

    /// Has the ledger mark the torrent; told again until it is durable.
    fn fail(&mut self, id: TorrentId, message: String) {
        let slot = self.slots.entry(id).or_default();
        slot.busy = true;
        let (facts, ends) = (self.parts.ledger.facts.clone(), self.ends.0.clone());
        let tombstone = self.parts.catalog.get_any(id).is_some_and(|view| view.record.is_tombstone());
        if tombstone {
            error!(torrent.id = %id, message, "a removal cannot be finished; it is tried again");
        }
        self.spawn("torrent-failed", async move {
            let told = facts.tell(Fact::Failed { id, message }).await;
            let acted = match told {
                Ok(_) if !tombstone => Ok(Effect::Unchanged),
                Ok(_) => Err(Setback::Later("the removal failed".to_owned())),
                Err(error) => Err(Setback::Later(error.to_string())),
            };
            send(&ends, End::Acted(id, acted)).await;
        });
    }

    pub(super) fn observed(&mut self, seen: &Observation) {
        let Some(view) = self.parts.catalog.get(seen.id) else { return };
        let Some(slot) = self.slots.get_mut(&seen.id).filter(|slot| slot.given.is_some()) else { return };
        // While resume data is being compared nothing is known yet: what was last seen stands.
        if !seen.loaded || seen.state == EngineState::CheckingResumeData {
            return;
        }
        // Two links turned out to be one torrent, and both were stopped: the ledger says which of them fails.
        if seen.conflict {
            self.look_at(seen.id);
            return;
        }
        let found = observe::member(&view.record, slot, seen);
        if found.look_at_files && !slot.verifying {
            slot.verifying = true;
            self.verify(&view);
        }
        self.parts.ledger.board.post(seen.id, found.level);
        if seen.metainfo.is_some() && !view.record.content.has_metainfo {
            self.look_at(seen.id);
        }
    }

    /// Starts the pipeline where a job waits for it.
    fn consider_job(&mut self, view: &TorrentView) {
        let id = view.record.id;
        let Some(slot) = self.slots.get_mut(&id) else { return };
        if slot.job_running || !jobs::is_due(&view.record) {
            return;
        }
        if let Some(at) = slot.job_not_before.filter(|at| *at > Instant::now()) {
            self.timers.insert((at, id));
            return;
        }
        let policy = self.parts.settings.borrow().policy.clone();
        slot.job_running = true;
        let claim = view.record.fsops.as_ref().and_then(|job| job.claim);
        slot.job_alone = policy.move_mode == MoveMode::Move || claim == Some(MoveMode::Move);
        let (actor, permits, ends) = (self.actor.clone(), Arc::clone(&self.job_permits), self.ends.0.clone());
        let (record, board) = (Arc::clone(&view.record), self.parts.ledger.board.clone());
        self.spawn("fsops-job", async move {
            let Ok(_permit) = permits.acquire_owned().await else { return };
            let outcome = jobs::run(&actor, &record, policy, board).await;
            send(&ends, End::Job(record.id, outcome)).await;
        });
    }

    fn on_job(&mut self, id: TorrentId, outcome: &JobOutcome) {
        let slot = self.slots.entry(id).or_default();
        slot.job_running = false;
        slot.job_not_before = match outcome {
            JobOutcome::Failed { retry: true, .. } => Some(Instant::now() + JOB_REST),
            JobOutcome::Failed { retry: false, .. }
            | JobOutcome::Completed { .. }
            | JobOutcome::Interrupted => None,
        };
        self.look_at(id);
    }

    pub(super) fn spawn(&self, name: &'static str, future: impl Future<Output = ()> + Send + 'static) {
        self.parts.tasks.spawn::<std::convert::Infallible, _>(name, OnFailure::Log, async move {
            future.await;
            Ok(())
        });
    }
}

/// What is wanted and what is, for the planner.
fn compare(
    view: &TorrentView,
    slot: &Slot,
    seen: Option<&Observation>,
    policy: &Policy,
) -> (Desired, Observed) {
    let record = &view.record;
    let path = record.placement.content.as_ref();
    let desired = Desired {
        wanted: record.wish.wanted,
        failed: record.failure.is_some(),
        has_metainfo: record.content.has_metainfo,
        has_path: path.is_some(),
        selection_version: record.wish.selection_version,
        limits: record.wish.limits,
        withheld: record.wish.wanted == Wanted::Running && jobs::needs_files_alone(record, policy),
        admitted: true,
    };
    let member = slot.given.as_ref();
    let observed = Observed {
        membership: if member.is_some() { Membership::In } else { Membership::Out },
        offers_metainfo: seen.is_some_and(|seen| seen.metainfo.is_some()),
        in_place: member.is_some_and(|given| path.is_none_or(|path| path.save_dir == given.save_dir)),
        selection_version: seen.and_then(|seen| seen.selection_version),
        limits: seen.map_or(record.wish.limits, |seen| seen.limits),
        conflict: seen.is_some_and(|seen| seen.conflict),
    };
    (desired, observed)
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// The loop may have ended: then nobody wants to know.
pub(super) async fn send(ends: &mpsc::Sender<End>, end: End) {
    drop(ends.send(end).await);
}
