//! The ledger on a real database: what a commit that is not answered, and a row that is refused, come to.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::{future::Future, sync::Arc};

use common::database::TestDatabase;
use revaer_app::{
    instance::{InstanceGuard, InstanceLock},
    ledger::{Fact, Ledger, LedgerHandles, LedgerParts, last_batch},
};
use revaer_catalog::{
    Catalog, ContentFacts, Intent, IntentError, IntentReply, LastObservation, NewTorrent, Placement,
    TorrentRecord, Wish,
};
use revaer_events::{EventLog, Numbers};
use revaer_telemetry::{Health, Metrics, OnFailure, Tasks};
use revaer_torrent_core::{
    Bytes, InfoHashV1, InfoHashes, RateLimits, SelectionRules, Source, StateKind, TorrentId, Wanted,
};
use sqlx::{Connection, PgConnection, PgPool, postgres::PgPoolOptions};
use time::OffsetDateTime;
use uuid::Uuid;

fn id(number: u8) -> TorrentId {
    TorrentId::from_trusted(Uuid::from_u128(number.into()))
}

fn record(number: u8) -> TorrentRecord {
    let now = OffsetDateTime::UNIX_EPOCH;
    TorrentRecord {
        id: id(number),
        name: format!("torrent {number}"),
        info_hashes: InfoHashes { v1: Some(InfoHashV1::new([number; 20])), v2: None },
        source: Source::Magnet(format!("magnet:?xt=urn:btih:{}", "0".repeat(40))),
        trackers: Vec::new(),
        peers: Vec::new(),
        tags: Vec::new(),
        placement: Placement {
            download_dir: "/downloads".into(),
            content: None,
            library_path: None,
            content_in_library: false,
        },
        wish: Wish {
            wanted: Wanted::Stopped,
            sequential: false,
            seed_mode: false,
            limits: RateLimits::default(),
            selection: SelectionRules::default(),
            selection_version: 1,
        },
        content: ContentFacts::default(),
        failure: None,
        same_as: None,
        added_at: now,
        completed_at: None,
        last: LastObservation {
            kind: StateKind::Stopped,
            done: Bytes::ZERO,
            downloaded: Bytes::ZERO,
            uploaded: Bytes::ZERO,
            at: now,
        },
        fsops: None,
    }
}

/// A ledger at work on a database of its own.
struct World {
    database: TestDatabase,
    pool: PgPool,
    guard: Arc<InstanceGuard>,
    catalog: Catalog,
    handles: LedgerHandles,
    tasks: Tasks,
}

impl World {
    async fn new() -> Self {
        let database = TestDatabase::new("").await;
        let pool =
            PgPoolOptions::new().max_connections(4).connect_with(database.options.clone()).await.unwrap();
        sqlx::migrate!("../../migrations").run(&pool).await.unwrap();
        let health = Health::new();
        let guard = InstanceLock::take(&database.options).await.unwrap().claim(&health).await.unwrap();
        let guard = Arc::new(guard);
        let mut connection = pool.acquire().await.unwrap();
        let numbers = Numbers::lease(&mut connection).await.unwrap();
        let catalog = Catalog::default();
        let (ledger, handles) = Ledger::new(LedgerParts {
            pool: pool.clone(),
            guard: Arc::clone(&guard),
            catalog: catalog.clone(),
            events: EventLog::new(pool.clone(), numbers.newest(), Metrics::new()),
            numbers,
            health,
            last_batch: last_batch(&mut connection).await.unwrap(),
        });
        drop(connection);
        let tasks = Tasks::new();
        tasks.spawn("ledger", OnFailure::Log, ledger.run(tasks.token()));
        Self { database, pool, guard, catalog, handles, tasks }
    }

    fn add(&self, record: TorrentRecord) -> impl Future<Output = Result<IntentReply, IntentError>> {
        let intents = self.handles.intents.clone();
        async move { intents.submit(Intent::Add(Box::new(NewTorrent { record, metainfo: None })), None).await }
    }

    async fn connect(&self) -> PgConnection {
        self.database.connect().await
    }

    /// How many rows and how many `torrent_added` a torrent has.
    async fn stored(&self, number: u8) -> (i64, i64) {
        let mut connection = self.connect().await;
        let rows = sqlx::query_scalar("SELECT count(*) FROM torrents WHERE id = $1")
            .bind(id(number).as_uuid())
            .fetch_one(&mut connection)
            .await
            .unwrap();
        let events = sqlx::query_scalar(
            "SELECT count(*) FROM events WHERE torrent_id = $1 AND kind = 'torrent_added'",
        )
        .bind(id(number).as_uuid())
        .fetch_one(&mut connection)
        .await
        .unwrap();
        (rows, events)
    }

    async fn end(self) {
        assert!(self.tasks.shutdown(std::time::Duration::from_secs(10)).await);
        self.pool.close().await;
        drop(self.handles);
        Arc::into_inner(self.guard).unwrap().release().await;
        self.database.remove().await;
    }
}

async fn run(connection: &mut PgConnection, sql: &'static str) {
    sqlx::raw_sql(sql).execute(connection).await.unwrap();
}

/// A trigger that makes COMMIT, not the statement, wait for an advisory lock.
const SLOW_COMMIT: &str = "
    CREATE FUNCTION wait_for_test() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER slow_commit AFTER INSERT ON torrents
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait_for_test();";

#[tokio::test]
async fn a_commit_that_is_answered_too_late_is_neither_lost_nor_made_twice() {
    let world = World::new().await;
    let mut gate = world.connect().await;
    run(&mut gate, SLOW_COMMIT).await;
    run(&mut gate, "SELECT pg_advisory_lock(1)").await;
    assert!(matches!(world.add(record(1)).await, Err(IntentError::Unavailable)));
    assert!(world.catalog.get(id(1)).is_none());

    // The commit is still under way: until it has ended nothing else is decided.
    let second = world.add(record(2));
    let (second, ()) = tokio::join!(second, async {
        let waiting = "SELECT count(*) FROM pg_stat_activity \
                       WHERE wait_event_type = 'Lock' AND query LIKE '%last_batch FROM event_log_state%'";
        while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut gate).await.unwrap() == 0 {
            tokio::task::yield_now().await;
        }
        run(&mut gate, "SELECT pg_advisory_unlock(1)").await;
    });
    second.unwrap();
    for number in [1, 2] {
        assert!(world.catalog.get(id(number)).is_some(), "torrent {number} is stored and not shown");
        assert_eq!(world.stored(number).await, (1, 1));
    }
    // Whoever was told 503 tries again, and finds it done.
    world.add(record(1)).await.unwrap();
    assert_eq!(world.stored(1).await, (1, 1));
    gate.close().await.unwrap();
    world.end().await;
}

#[tokio::test]
async fn a_commit_that_is_cut_off_is_not_shown_and_can_be_made_again() {
    let world = World::new().await;
    let mut gate = world.connect().await;
    run(
        &mut gate,
        "CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;
         CREATE CONSTRAINT TRIGGER cut AFTER INSERT ON torrents
             DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION cut();",
    )
    .await;
    assert!(matches!(world.add(record(1)).await, Err(IntentError::Unavailable)));
    assert_eq!(world.stored(1).await, (0, 0));
    assert!(world.catalog.get(id(1)).is_none());
    run(&mut gate, "DROP TRIGGER cut ON torrents").await;
    world.add(record(1)).await.unwrap();
    assert_eq!(world.stored(1).await, (1, 1));
    gate.close().await.unwrap();
    world.end().await;
}

#[tokio::test]
async fn a_row_that_the_database_refuses_falls_alone() {
    let world = World::new().await;
    let mut gate = world.connect().await;
    run(&mut gate, "ALTER TABLE torrents ADD CHECK (name <> 'torrent 2')").await;
    let (one, two, three) = tokio::join!(world.add(record(1)), world.add(record(2)), world.add(record(3)));
    one.unwrap();
    three.unwrap();
    assert!(matches!(two, Err(IntentError::Unavailable)));
    assert!(world.catalog.get(id(2)).is_none());
    for (number, stored) in [(1, (1, 1)), (2, (0, 0)), (3, (1, 1))] {
        assert_eq!(world.stored(number).await, stored, "torrent {number}");
    }
    gate.close().await.unwrap();
    world.end().await;
}

#[tokio::test]
async fn what_a_job_came_to_is_stored_after_the_last_intent() {
    let world = World::new().await;
    let World { database, pool, guard, handles, tasks, .. } = world;
    let LedgerHandles { intents, facts, .. } = handles;
    drop(intents);
    for number in 1..=3 {
        facts.tell(Fact::Removed { id: id(number) }).await.unwrap();
    }
    assert!(tasks.shutdown(std::time::Duration::from_secs(10)).await);
    pool.close().await;
    Arc::into_inner(guard).unwrap().release().await;
    database.remove().await;
}
