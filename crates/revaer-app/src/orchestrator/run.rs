//! The loop: whatever changes makes a torrent be looked at again.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use revaer_catalog::{Catalog, TorrentView};
use revaer_telemetry::{Health, OnFailure, Tasks};
use revaer_torrent_core::{
    Action, Desired, EngineState, StateKind, TorrentId, Wanted,
    engine::{Observation, TorrentEngine},
    fsops::{FsOpsControl, JobOutcome, MoveMode},
    plan,
};
use sqlx::PgPool;
use tokio::{
    sync::{Semaphore, mpsc, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{
    actions::{Acted, Actor},
    admission::Admission,
    compare::{compare, turn},
    jobs, observe,
    profile::Profile,
    settings::Settings,
    slot::Slot,
    verify::Look,
};
use crate::{ledger::LedgerHandles, roots::RootGate};

/// Actions under way at once. Each may hold a .torrent of up to 8 MiB.
const ACTIONS: usize = 32;
/// Jobs under way at once, those that wait for the turn of their volumes included. Each holds its list of files.
const JOBS: usize = 32;
/// How long until a job is told again to stop.
const CANCEL_AGAIN: Duration = Duration::from_millis(250);
/// Ends of actions on their way back.
const ENDS: usize = 256;
/// How long a waiting pipeline job rests.
const JOB_REST: Duration = Duration::from_secs(30);

/// Told of each revision of the settings whether it is in force; one that is not is tried again, and told of again.
pub type Applied = Arc<dyn Fn(i64, Result<(), String>) + Send + Sync>;

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
    /// Where it is told which revision of the settings is in force. Called from the loop: it must not block.
    pub applied: Applied,
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

/// Whether an action is done, or only what it needs is looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    Does,
    Asks,
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
    /// Torrents with something to do, while as much is under way as may be.
    backlog: VecDeque<TorrentId>,
    pub(super) admission: Admission,
    pub(super) profile: Profile,
    pub(super) configure_at: Option<Instant>,
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
            backlog: VecDeque::new(),
            admission: Admission::default(),
            profile: Profile::default(),
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
            self.go_on();
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

    fn ended(&mut self, end: End) {
        match end {
            End::Configured(outcome) => self.on_configured(outcome),
            End::Acted(id, acted) => self.on_acted(id, acted),
            End::Verified(id, version, found) => self.on_verified(id, version, found),
            End::Job(id, outcome) => self.on_job(id, &outcome),
        }
    }

    /// Looks at those for which there was no room, while there is.
    fn go_on(&mut self) {
        while self.permits.available_permits() > 0
            && let Some(id) = self.backlog.pop_front()
        {
            self.slots.entry(id).or_default().in_backlog = false;
            self.look_at(id);
        }
        while let Some(id) = self.admission.next() {
            self.look_at(id);
        }
    }

    /// Compares one torrent with what is wanted of it, and starts the next action.
    pub(crate) fn look_at(&mut self, id: TorrentId) {
        if !self.profile.is_ready() {
            return;
        }
        let view = self.parts.catalog.get_any(id);
        let changed = self.enter(id, view.as_ref());
        if !changed.is_empty() {
            self.parts.ledger.pokes.add(changed.into_iter().filter(|other| *other != id));
        }
        let Some(view) = view else {
            if self.slots.get(&id).is_some_and(Slot::is_idle) {
                self.slots.remove(&id);
            }
            return;
        };
        let slot = self.slots.entry(id).or_default();
        if slot.busy {
            slot.again |= slot.is_wanted_otherwise(&view.record);
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
        if slot.not_before.is_some() && slot.is_wanted_otherwise(&view.record) {
            slot.start_anew();
        }
        let seen = self.parts.engine.observe(id);
        let admitted = self.admission.admits(id);
        let (desired, observed) =
            compare(&view, slot, seen.as_deref(), &self.parts.settings.borrow().policy, admitted);
        let action = plan(&desired, &observed);
        if let Some(at) = slot.rests_until(action, Instant::now()) {
            self.timers.insert((at, id));
            return;
        }
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
        // What is found out about its files counts only while it is a member: the end of that looks at it again.
        let in_its_turn = plan(&Desired { admitted: true, ..desired }, &observed);
        let gives_way = action == Action::Unload && in_its_turn != Action::Unload;
        if gives_way && slot.verifying && slot.verify_at.is_none() {
            return;
        }
        if action == Action::Nothing {
            // What was last stored of it is shown until it is known that it waits.
            let waits = desired.wanted == Wanted::Running && !desired.failed && slot.given.is_none();
            if waits && !slot.told_out && view.live.kind != StateKind::Queued {
                slot.told_out = true;
                self.parts.ledger.board.post(id, observe::absent());
            }
            let asks = slot.held_back && matches!(in_its_turn, Action::Add | Action::AssignPath);
            self.consider_job(&view);
            if asks {
                self.ask(in_its_turn, &view);
            }
            return;
        }
        self.start(action, &view, Manner::Does);
    }

    /// Notes when a torrent's turn is, if it wants to run; answers whose turn has come or is over.
    pub(super) fn enter(&mut self, id: TorrentId, view: Option<&TorrentView>) -> Vec<TorrentId> {
        let held_back = self.slots.get(&id).is_some_and(|slot| slot.held_back);
        let policy = &self.parts.settings.borrow().policy;
        self.admission.set(id, view.and_then(|view| turn(&view.record, policy, held_back)))
    }

    /// Asks for what a torrent waits for that has yielded its turn: it gets that back once it can be begun, and takes
    /// nobody's place before.
    fn ask(&mut self, action: Action, view: &TorrentView) {
        let id = view.record.id;
        let rest = self.slots.get(&id).and_then(|slot| slot.rests_until(action, Instant::now()));
        match rest {
            Some(at) => drop(self.timers.insert((at, id))),
            None => self.start(action, view, Manner::Asks),
        }
    }

    /// Starts an action, where there is room for one. Where there is none the torrent is looked at again when there is,
    /// since something else may be wanted of it by then.
    fn start(&mut self, action: Action, view: &TorrentView, manner: Manner) {
        let record = Arc::clone(&view.record);
        let slot = self.slots.entry(record.id).or_default();
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else {
            if !std::mem::replace(&mut slot.in_backlog, true) {
                self.backlog.push_back(record.id);
            }
            return;
        };
        if action == Action::Add && manner == Manner::Does && !self.admission.sit(record.id) {
            return;
        }
        slot.busy = true;
        slot.again = false;
        slot.tried = Some((action, Arc::clone(&record)));
        let (given, actor, ends) = (slot.given.clone(), self.actor.clone(), self.ends.0.clone());
        self.spawn("torrent-action", async move {
            let acted = match manner {
                Manner::Does => actor.act(action, &record, given).await,
                Manner::Asks => actor.ask(action, &record).await,
            };
            drop(permit);
            send(&ends, End::Acted(record.id, acted)).await;
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
