//! The orchestrator with a scripted engine: never more members than are allowed, whatever happens.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::disallowed_methods, reason = "a volume is unplugged and plugged in by a rename")]

mod common;

use std::{
    collections::{BTreeSet, HashMap},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use common::{database::TestDatabase, wait_for};
use revaer_app::{
    instance::{InstanceGuard, InstanceLock},
    ledger::{Ledger, LedgerHandles, LedgerParts, last_batch},
    orchestrator::{Orchestrator, OrchestratorParts, Settings, TrackerPolicy},
    roots::RootGate,
    volume::Volumes,
};
use revaer_catalog::{Catalog, ContentFacts, Intent, LastObservation, Placement, TorrentRecord, Wish};
use revaer_events::{EventLog, Numbers};
use revaer_fsops::{FsOps, FsOpsOptions};
use revaer_telemetry::{Metrics, OnFailure, Tasks, Telemetry};
use revaer_torrent_core::{
    BoxFuture, Bytes, BytesPerSecond, EngineState, InfoHashV1, InfoHashes, Metainfo, PieceSet, RateLimits,
    SelectionRules, Source, StateKind, TorrentId, Wanted,
    engine::{
        Encryption, EngineCommand, EngineError, EngineProfile, EngineStatus, InspectError, Observation,
        TorrentEngine, TrackerProfile,
    },
    fsops::{MoveMode, Policy},
};
use sqlx::{PgPool, postgres::PgPoolOptions};
use time::OffsetDateTime;
use tokio::sync::{Notify, watch};
use uuid::Uuid;

const TORRENTS: u32 = 300;

fn id(number: u32) -> TorrentId {
    TorrentId::from_trusted(Uuid::from_u128(u128::from(number.reverse_bits()) + 1))
}

/// The oldest so many.
fn oldest(from: u32, count: u32) -> BTreeSet<TorrentId> {
    (from..from + count).map(id).collect()
}

/// A magnet that ran when it was last seen; the higher the number, the younger.
fn record(number: u32, downloads: &Path) -> TorrentRecord {
    let added_at = OffsetDateTime::UNIX_EPOCH + time::Duration::seconds(number.into());
    let mut hash = [7; 20];
    hash[..4].copy_from_slice(&number.to_be_bytes());
    let hash = InfoHashV1::new(hash);
    TorrentRecord {
        id: id(number),
        name: format!("torrent {number}"),
        info_hashes: InfoHashes { v1: Some(hash), v2: None },
        source: Source::Magnet(format!("magnet:?xt=urn:btih:{hash}")),
        trackers: Vec::new(),
        peers: Vec::new(),
        tags: Vec::new(),
        placement: Placement {
            download_dir: downloads.to_owned(),
            content: None,
            library_path: None,
            content_in_library: false,
        },
        wish: Wish {
            wanted: Wanted::Running,
            sequential: false,
            seed_mode: false,
            limits: RateLimits::default(),
            selection: SelectionRules::default(),
            selection_version: 1,
        },
        content: ContentFacts::default(),
        failure: None,
        same_as: None,
        added_at,
        completed_at: None,
        last: LastObservation {
            kind: StateKind::FetchingMetadata,
            done: Bytes::ZERO,
            downloaded: Bytes::ZERO,
            uploaded: Bytes::ZERO,
            at: added_at,
        },
        fsops: None,
    }
}

/// An engine that only knows its members.
#[derive(Default)]
struct Engine {
    members: Mutex<BTreeSet<TorrentId>>,
    /// Every add, and how many members there were after it.
    adds: Mutex<Vec<(TorrentId, usize)>>,
    seen: Mutex<HashMap<TorrentId, Arc<Observation>>>,
    news: Mutex<Vec<Arc<Observation>>>,
    changed: Notify,
    /// Whether adds wait, and how many do.
    held: watch::Sender<bool>,
    waiting: AtomicUsize,
}

impl Engine {
    fn members(&self) -> BTreeSet<TorrentId> {
        self.members.lock().unwrap().clone()
    }

    /// The adds since the last time, and the most members that there were after one.
    fn take_adds(&self) -> (usize, usize) {
        let adds = std::mem::take(&mut *self.adds.lock().unwrap());
        (adds.len(), adds.iter().map(|(_, members)| *members).max().unwrap_or(0))
    }

    fn show(&self, id: TorrentId, loaded: bool) {
        let seen = Arc::new(Observation {
            id,
            loaded,
            state: EngineState::DownloadingMetadata,
            info_hashes: InfoHashes::default(),
            metainfo: None,
            selection_version: None,
            limits: RateLimits::default(),
            pieces: PieceSet::None,
            wanted_done: Bytes::ZERO,
            downloaded: Bytes::ZERO,
            uploaded: Bytes::ZERO,
            download_rate: BytesPerSecond(0),
            upload_rate: BytesPerSecond(0),
            peers: 0,
            error: None,
            conflict: false,
        });
        self.seen.lock().unwrap().insert(id, Arc::clone(&seen));
        self.news.lock().unwrap().push(seen);
        self.changed.notify_one();
    }
}

impl TorrentEngine for Engine {
    fn inspect(&self, _metainfo: Arc<[u8]>) -> BoxFuture<'_, Result<Metainfo, InspectError>> {
        Box::pin(async { Err(InspectError::Unavailable("no .torrent is expected here".to_owned())) })
    }

    fn execute(&self, command: EngineCommand) -> BoxFuture<'_, Result<(), EngineError>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            match command {
                EngineCommand::Add(add) => {
                    self.waiting.fetch_add(1, Ordering::Relaxed);
                    self.held.subscribe().wait_for(|held| !held).await.unwrap();
                    let mut members = self.members.lock().unwrap();
                    members.insert(add.id);
                    self.adds.lock().unwrap().push((add.id, members.len()));
                    drop(members);
                    self.show(add.id, true);
                }
                EngineCommand::Unload { id } | EngineCommand::Remove { id, .. } => {
                    self.members.lock().unwrap().remove(&id);
                    self.show(id, false);
                }
                _ => {}
            }
            Ok(())
        })
    }

    fn changed(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.changed.notified())
    }

    fn take_changed(&self) -> Vec<Arc<Observation>> {
        std::mem::take(&mut *self.news.lock().unwrap())
    }

    fn observe(&self, id: TorrentId) -> Option<Arc<Observation>> {
        self.seen.lock().unwrap().get(&id).cloned()
    }

    fn status(&self) -> EngineStatus {
        EngineStatus::default()
    }
}

fn settings(revision: i64, max_active: Option<u32>) -> Settings {
    Settings {
        engine: Some(EngineProfile {
            listen_interfaces: Vec::new(),
            listen_port: None,
            dht: false,
            lsd: false,
            upnp: false,
            natpmp: false,
            encryption: Encryption::Prefer,
            limits: RateLimits::default(),
            limit_local_peers: true,
            resume_dir: "/nowhere".into(),
            resume_save_seconds: 60,
            tracker: TrackerProfile::default(),
        }),
        max_active,
        policy: Policy {
            revision,
            library_root: "/nowhere".into(),
            move_mode: MoveMode::Copy,
            allow_list: Vec::new(),
        },
        trackers: TrackerPolicy::default(),
    }
}

struct World {
    database: TestDatabase,
    pool: PgPool,
    guard: Arc<InstanceGuard>,
    catalog: Catalog,
    ledger: LedgerHandles,
    engine: Arc<Engine>,
    settings: watch::Sender<Settings>,
    applied: Arc<Mutex<Vec<i64>>>,
    tasks: Tasks,
    dir: tempfile::TempDir,
}

impl World {
    /// A ledger and an orchestrator over so many torrents that ran before.
    async fn start(max_active: Option<u32>) -> Self {
        Self::start_without(0, max_active).await
    }

    /// The same, where the oldest so many lie on a volume that is unplugged.
    async fn start_without(unplugged: u32, max_active: Option<u32>) -> Self {
        let database = TestDatabase::new("").await;
        let pool =
            PgPoolOptions::new().max_connections(4).connect_with(database.options.clone()).await.unwrap();
        sqlx::migrate!("../../migrations").run(&pool).await.unwrap();
        let (telemetry, tasks) = (Telemetry::new(), Tasks::new());
        let health = telemetry.health.clone();
        let guard = InstanceLock::take(&database.options).await.unwrap().claim(&health).await.unwrap();
        let guard = Arc::new(guard);
        let dir = tempfile::tempdir().unwrap();
        let roots = ["downloads", "volume"].map(|name| dir.path().join(name));
        let root = |number: u32| if number < unplugged { &roots[1] } else { &roots[0] };
        let catalog = Catalog::new((0..TORRENTS).map(|number| record(number, root(number))).collect());
        let mut connection = pool.acquire().await.unwrap();
        let numbers = Numbers::lease(&mut connection).await.unwrap();
        let (ledger, handles) = Ledger::new(LedgerParts {
            pool: pool.clone(),
            guard: Arc::clone(&guard),
            catalog: catalog.clone(),
            events: EventLog::new(pool.clone(), numbers.newest(), Metrics::new()),
            numbers,
            health: health.clone(),
            last_batch: last_batch(&mut connection).await.unwrap(),
        });
        drop(connection);
        tasks.spawn("ledger", OnFailure::Log, ledger.run(tasks.token()));
        let gate = RootGate::new(Volumes::start(&tasks, &health), pool.clone());
        for root in &roots {
            std::fs::create_dir(root).unwrap();
        }
        assert!(gate.follow(&roots, &[]).await.is_empty());
        if unplugged > 0 {
            std::fs::rename(&roots[1], dir.path().join("unplugged")).unwrap();
            std::fs::create_dir(&roots[1]).unwrap();
        }
        let engine = Arc::new(Engine::default());
        let (publish, settings) = watch::channel(settings(1, max_active));
        let applied = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&applied);
        let orchestrator = Orchestrator::new(OrchestratorParts {
            engine: Arc::<Engine>::clone(&engine),
            fsops: FsOps::new(FsOpsOptions { tasks: tasks.clone(), telemetry }),
            catalog: catalog.clone(),
            ledger: handles.clone(),
            pool: pool.clone(),
            settings,
            applied: Arc::new(move |revision, outcome| {
                assert_eq!(outcome, Ok(()));
                told.lock().unwrap().push(revision);
            }),
            gate,
            health,
            tasks: tasks.clone(),
        });
        tasks.spawn("orchestrator", OnFailure::Log, orchestrator.run(tasks.token()));
        let (settings, ledger) = (publish, handles);
        Self { database, pool, guard, catalog, ledger, engine, settings, applied, tasks, dir }
    }

    /// Waits until these are the members, and all others that are to run are shown as queued.
    async fn wait_members(&self, wanted: &BTreeSet<TorrentId>, queued: u32) {
        let what = format!("{} members, {queued} queued", wanted.len());
        wait_for(&what, async || {
            let counts = self.catalog.counts();
            let found = counts.by_state.iter().find(|(kind, _)| *kind == StateKind::Queued);
            let is_shown =
                counts.loaded == wanted.len() as u64 && found.is_some_and(|(_, n)| *n == u64::from(queued));
            (is_shown && self.engine.members() == *wanted).then_some(())
        })
        .await;
    }

    fn plug_in(&self) {
        let volume = self.dir.path().join("volume");
        std::fs::remove_dir(&volume).unwrap();
        std::fs::rename(self.dir.path().join("unplugged"), volume).unwrap();
    }

    async fn end(self) {
        assert!(self.tasks.shutdown(std::time::Duration::from_secs(10)).await);
        self.pool.close().await;
        drop((self.ledger, self.engine));
        Arc::into_inner(self.guard).unwrap().release().await;
        self.database.remove().await;
    }
}

#[tokio::test]
async fn never_do_more_run_than_are_allowed() {
    let world = World::start(Some(5)).await;
    world.wait_members(&oldest(0, 5), TORRENTS - 5).await;
    assert_eq!(world.engine.take_adds(), (5, 5), "at the start only those that may run are added");

    world.settings.send_replace(settings(2, Some(50)));
    world.wait_members(&oldest(0, 50), TORRENTS - 50).await;
    assert_eq!(world.engine.take_adds(), (45, 50));

    // Each that stops makes room for the next, once it has left.
    for number in 0..20 {
        world.ledger.intents.submit(Intent::Pause(id(number)), None).await.unwrap();
    }
    world.wait_members(&oldest(20, 50), TORRENTS - 70).await;
    assert_eq!(world.engine.take_adds(), (20, 50));

    // One that goes on takes its place back from the youngest.
    world.ledger.intents.submit(Intent::Resume(id(3)), None).await.unwrap();
    let back = oldest(20, 49).into_iter().chain([id(3)]).collect();
    world.wait_members(&back, TORRENTS - 69).await;
    assert_eq!(world.engine.take_adds(), (1, 50));

    // One that is removed makes room too.
    let remove = Intent::Remove { id: id(3), delete_data: false, delete_library: false };
    world.ledger.intents.submit(remove, None).await.unwrap();
    world.wait_members(&oldest(20, 50), TORRENTS - 70).await;
    assert_eq!(world.engine.take_adds(), (1, 50));

    world.settings.send_replace(settings(3, Some(0)));
    world.wait_members(&BTreeSet::new(), TORRENTS - 20).await;
    world.settings.send_replace(settings(4, None));
    world.wait_members(&oldest(20, TORRENTS - 20), 0).await;
    assert_eq!(*world.applied.lock().unwrap(), [1, 2, 3, 4]);
    world.end().await;
}

#[tokio::test]
async fn a_limit_is_in_force_before_all_that_were_let_in_have_been_added() {
    let world = World::start(Some(0)).await;
    world.wait_members(&BTreeSet::new(), TORRENTS).await;
    world.engine.held.send_replace(true);
    world.settings.send_replace(settings(2, None));
    wait_for("an add", async || (world.engine.waiting.load(Ordering::Relaxed) > 0).then_some(())).await;
    world.settings.send_replace(settings(3, Some(2)));
    wait_for("the limit", async || world.applied.lock().unwrap().contains(&3).then_some(())).await;
    world.engine.held.send_replace(false);
    world.wait_members(&oldest(0, 2), TORRENTS - 2).await;
    let (adds, _) = world.engine.take_adds();
    assert!(adds <= 40, "{adds} were added that nobody wanted any more");
    world.end().await;
}

#[tokio::test]
async fn those_that_cannot_be_added_let_others_go_first() {
    let world = World::start_without(3, Some(2)).await;
    world.wait_members(&oldest(3, 2), TORRENTS - 2).await;
    assert_eq!(world.engine.take_adds(), (2, 2));

    // With room for all they are tried as well, and take nothing from anybody.
    world.settings.send_replace(settings(2, None));
    world.wait_members(&oldest(3, TORRENTS - 3), 3).await;
    world.settings.send_replace(settings(3, Some(2)));
    world.wait_members(&oldest(3, 2), TORRENTS - 2).await;
    assert_eq!(world.engine.take_adds().0, TORRENTS as usize - 5);

    // Their turn was theirs: it comes back with what they waited for, and nobody was added or left in between.
    world.plug_in();
    world.wait_members(&oldest(0, 2), TORRENTS - 2).await;
    assert_eq!(world.engine.take_adds(), (2, 2));
    world.end().await;
}
