//! The ledger's loop: collect, decide, commit, publish.

use std::{collections::HashMap, sync::Arc, time::Duration};

use revaer_catalog::{Catalog, Change, IntentError, IntentReply, IntentRequest, Intents};
use revaer_events::{Envelope, Event, EventLog, Numbers};
use revaer_telemetry::{Component, Health};
use revaer_torrent_core::TorrentId;
use sqlx::{Connection, PgConnection, PgPool};
use time::OffsetDateTime;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::{
    execute, facts,
    intents::{self, Answer},
    item::{Board, FactReply, FactRequest, Facts, Level, Levels, NotStored, Pokes},
    levels,
    stage::{Decision, Stage, Write},
};
use crate::instance::{InstanceError, InstanceGuard};

/// The most intents and facts that one transaction holds.
const BATCH: usize = 256;
/// The most levels that one transaction holds: some 0.2 s where all of them are rows.
const LEVELS: usize = 1024;
/// How long the first item of a batch waits for company.
const GATHER: Duration = Duration::from_millis(5);
/// How long levels rest after the database failed.
const REST: Duration = Duration::from_secs(1);
/// Longer than this, a transaction is given up: its callers are told 503.
const COMMIT_LIMIT: Duration = Duration::from_secs(10);

/// What the ledger works with.
#[derive(Debug)]
pub struct LedgerParts {
    /// The database.
    pub pool: PgPool,
    /// Proof that this process alone writes to it.
    pub guard: Arc<InstanceGuard>,
    /// The read model.
    pub catalog: Catalog,
    /// The event log.
    pub events: EventLog,
    /// Event numbers.
    pub numbers: Numbers,
    /// Where trouble with the database is told.
    pub health: Health,
    /// The number of the last batch in the database.
    pub last_batch: i64,
}

/// How the rest of the server reaches the ledger.
#[derive(Debug, Clone)]
pub struct LedgerHandles {
    /// For what clients want.
    pub intents: Intents,
    /// For what has been found out.
    pub facts: Facts,
    /// For what is true now.
    pub board: Board,
    /// Torrents whose record changed.
    pub pokes: Pokes,
}

/// The ledger.
#[derive(Debug)]
pub struct Ledger {
    parts: LedgerParts,
    intents: mpsc::Receiver<IntentRequest>,
    facts: mpsc::Receiver<FactRequest>,
    board: Board,
    pokes: Pokes,
    /// A batch whose commit was not answered: whether it happened is asked before the next one.
    unresolved: Option<Outcome>,
}

/// What a batch changes once it is durable.
#[derive(Debug)]
struct Outcome {
    batch: i64,
    changes: Vec<Change>,
    events: Vec<Envelope>,
}

/// Why a batch was not stored.
#[derive(Debug, thiserror::Error)]
enum StoreError {
    #[error("{0}")]
    Database(#[from] sqlx::Error),
    #[error("{0}")]
    Instance(#[from] InstanceError),
    #[error("a row was refused: {0}")]
    Refused(String),
}

/// What a row that the database refuses takes down with it.
#[derive(Debug, Clone, Copy)]
enum Rows {
    /// The whole transaction: one statement per row, for the batches in which nothing is refused.
    AllOrNone,
    /// Its own item: a savepoint around each.
    EachAlone,
}

enum Caller {
    Intent(oneshot::Sender<Result<IntentReply, IntentError>>, Answer),
    Fact(oneshot::Sender<Result<FactReply, NotStored>>, FactReply),
    Level(TorrentId, Box<Level>),
    Nobody,
}

struct Decided {
    decision: Decision,
    request_id: Option<String>,
    caller: Caller,
}

impl Ledger {
    /// A ledger and the handles on it.
    pub fn new(parts: LedgerParts) -> (Self, LedgerHandles) {
        let (intents, intent_requests) = Intents::new();
        let (facts, fact_requests) = Facts::new();
        let handles = LedgerHandles { intents, facts, board: Board::default(), pokes: Pokes::default() };
        let ledger = Self {
            parts,
            intents: intent_requests,
            facts: fact_requests,
            board: handles.board.clone(),
            pokes: handles.pokes.clone(),
            unresolved: None,
        };
        (ledger, handles)
    }

    /// Works until `stop` is cancelled, or nobody is left who could want something.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), std::convert::Infallible> {
        let mut rest_until = Instant::now();
        // At the end requests stop before jobs do: what a job came to is stored after the last intent.
        let (mut last_intent, mut last_fact) = (false, false);
        while !(last_intent && last_fact) {
            let (mut intents, mut facts) = (Vec::new(), Vec::new());
            let resting = tokio::time::sleep_until(rest_until);
            tokio::select! {
                biased;
                count = self.intents.recv_many(&mut intents, BATCH), if !last_intent => last_intent = count == 0,
                count = self.facts.recv_many(&mut facts, BATCH), if !last_fact => last_fact = count == 0,
                () = async { resting.await; self.board.posted().await } => {}
                () = stop.cancelled() => break,
            }
            if !intents.is_empty() || !facts.is_empty() {
                self.gather(&mut intents, &mut facts).await;
            }
            let levels =
                if Instant::now() >= rest_until { self.board.take(LEVELS) } else { Levels::default() };
            if !self.work(intents, facts, levels).await {
                rest_until = Instant::now() + REST;
            }
        }
        self.store_counters().await;
        Ok(())
    }

    /// At a clean stop what was last seen of every torrent is stored, so that the next start shows just that.
    async fn store_counters(&mut self) {
        let now = OffsetDateTime::now_utc();
        let catalog = self.parts.catalog.clone();
        let stale = catalog.ids().into_iter().filter_map(|id| catalog.get(id));
        let mut decided: Vec<Decided> = stale
            .filter_map(|view| levels::store_counters(&view, now))
            .map(|decision| Decided { decision, request_id: None, caller: Caller::Nobody })
            .collect();
        while !decided.is_empty() {
            let rest = decided.split_off(decided.len().min(LEVELS));
            if !self.settle(std::mem::replace(&mut decided, rest), now).await {
                break;
            }
        }
    }

    async fn gather(&mut self, intents: &mut Vec<IntentRequest>, facts: &mut Vec<FactRequest>) {
        let deadline = Instant::now() + GATHER;
        while intents.len() + facts.len() < BATCH {
            let room = BATCH - intents.len() - facts.len();
            tokio::select! {
                count = self.intents.recv_many(intents, room) => if count == 0 { return },
                count = self.facts.recv_many(facts, room) => if count == 0 { return },
                () = tokio::time::sleep_until(deadline) => return,
            }
        }
    }

    /// Returns whether everything that had to be durable is.
    async fn work(&mut self, intents: Vec<IntentRequest>, facts: Vec<FactRequest>, levels: Levels) -> bool {
        let now = OffsetDateTime::now_utc();
        if self.unresolved.is_some() && !self.resolve().await {
            refuse(intents, facts);
            self.put_back(levels.torrents);
            return false;
        }
        let catalog = self.parts.catalog.clone();
        let mut stage = Stage::new(&catalog);
        let mut decided = Vec::with_capacity(intents.len() + facts.len() + levels.torrents.len());
        for request in intents {
            match intents::decide(&stage, request.intent, now) {
                Ok((decision, answer)) => {
                    stage.apply(&decision);
                    let caller = Caller::Intent(request.reply, answer);
                    decided.push(Decided { decision, request_id: request.request_id, caller });
                }
                Err(refusal) => answer(request.reply, Err(refusal)),
            }
        }
        for request in facts {
            let request_id = request.fact.request_id();
            let (decision, reply) = facts::decide(&stage, request.fact, now);
            stage.apply(&decision);
            let caller = Caller::Fact(request.reply, reply);
            decided.push(Decided { decision, request_id, caller });
        }
        for (id, level) in levels.torrents {
            let decision = levels::decide(&stage, id, &level, now);
            stage.apply(&decision);
            decided.push(Decided { decision, request_id: None, caller: Caller::Level(id, Box::new(level)) });
        }
        for (id, progress) in levels.jobs {
            let decision = levels::decide_job(&stage, id, progress);
            decided.push(Decided { decision, request_id: None, caller: Caller::Nobody });
        }
        self.settle(decided, now).await
    }

    /// Makes what was decided durable and visible. Items whose own rows are refused fail alone.
    async fn settle(&mut self, mut decided: Vec<Decided>, now: OffsetDateTime) -> bool {
        if decided.is_empty() {
            return true;
        }
        if !decided.iter().any(|one| one.decision.is_durable()) {
            self.publish_volatile(decided, now);
            return true;
        }
        let stored = tokio::time::timeout(COMMIT_LIMIT, async {
            match self.store(&mut decided, now, Rows::AllOrNone).await {
                Err(StoreError::Refused(_)) => self.store(&mut decided, now, Rows::EachAlone).await,
                stored => stored,
            }
        });
        match stored.await {
            Ok(Ok(outcome)) => {
                self.parts.health.clear(Component::Database);
                self.make_visible(outcome);
                self.reply_all(decided);
                true
            }
            Ok(Err(failure)) => {
                warn!(error = %failure, "a batch could not be stored; it will be tried again");
                self.give_up(decided, &failure.to_string());
                false
            }
            Err(_elapsed) => {
                self.give_up(decided, "the database did not answer in time");
                false
            }
        }
    }

    /// Nothing is taken out of `decided` before the commit: what could not be stored is told so, or tried again.
    async fn store(
        &mut self,
        decided: &mut Vec<Decided>,
        now: OffsetDateTime,
        rows: Rows,
    ) -> Result<Outcome, StoreError> {
        let mut connection = self.parts.pool.acquire().await?;
        let needed = decided.iter().map(|one| one.decision.events.len() as u64).sum();
        self.parts.numbers.ensure(&mut connection, needed).await?;
        let batch = self.parts.last_batch + 1;
        let mut transaction = connection.begin().await?;
        self.parts.guard.check(&mut transaction).await?;
        let mut refused = Vec::new();
        let mut changes = Vec::new();
        let mut events = Vec::new();
        for (index, one) in decided.iter().enumerate() {
            let written = match rows {
                Rows::AllOrNone => execute::write_all(&mut transaction, &one.decision.writes, now).await,
                Rows::EachAlone => write_alone(&mut transaction, &one.decision.writes, now).await,
            };
            match (written, rows) {
                (Ok(()), _) => {}
                (Err(sqlx::Error::Database(refusal)), Rows::AllOrNone) => {
                    return Err(StoreError::Refused(refusal.to_string()));
                }
                (Err(sqlx::Error::Database(refusal)), Rows::EachAlone) => {
                    error!(error = %refusal, "the database refused a row that was decided on; it is dropped");
                    refused.push(index);
                    continue;
                }
                (Err(failure), _) => return Err(failure.into()),
            }
            changes.extend(changes_of(&one.decision));
            for event in &one.decision.events {
                events.extend(self.number(event, one.request_id.as_ref(), now));
            }
        }
        execute::store_events(&mut transaction, &events).await?;
        sqlx::query!("UPDATE event_log_state SET last_batch = $1", batch).execute(&mut *transaction).await?;
        self.unresolved = Some(Outcome { batch, changes, events });
        transaction.commit().await?;
        let outcome =
            self.unresolved.take().unwrap_or(Outcome { batch, changes: Vec::new(), events: Vec::new() });
        self.parts.last_batch = batch;
        for index in refused.into_iter().rev() {
            refuse_one(decided.remove(index).caller);
        }
        Ok(outcome)
    }

    /// Finds out whether a commit that was not answered happened, and makes it visible if it did.
    async fn resolve(&mut self) -> bool {
        let asked = async {
            let mut connection = self.parts.pool.acquire().await?;
            last_batch(&mut connection).await
        };
        match tokio::time::timeout(COMMIT_LIMIT, asked).await {
            Ok(Ok(stored)) => {
                if let Some(outcome) = self.unresolved.take()
                    && stored == outcome.batch
                {
                    self.parts.last_batch = stored;
                    self.make_visible(outcome);
                }
                true
            }
            Ok(Err(_)) | Err(_) => false,
        }
    }

    fn make_visible(&self, outcome: Outcome) {
        let touched: Vec<TorrentId> = outcome
            .changes
            .iter()
            .filter_map(|change| match change {
                Change::Put(record) => Some(record.id),
                Change::Gone(id) => Some(*id),
                Change::Live(..) => None,
            })
            .collect();
        self.parts.catalog.commit(outcome.changes);
        self.parts.events.publish(outcome.events);
        self.pokes.add(touched);
    }

    fn reply_all(&self, decided: Vec<Decided>) {
        for one in decided {
            match one.caller {
                Caller::Intent(reply, what) => answer(reply, what.reply(|id| self.parts.catalog.get(id))),
                Caller::Fact(reply, what) => answer(reply, Ok(what)),
                Caller::Level(..) | Caller::Nobody => {}
            }
        }
    }

    fn publish_volatile(&mut self, decided: Vec<Decided>, now: OffsetDateTime) {
        let mut events = Vec::new();
        for one in &decided {
            for event in &one.decision.events {
                events.extend(self.number(event, None, now));
            }
        }
        let changes: Vec<Change> = decided.iter().flat_map(|one| changes_of(&one.decision)).collect();
        self.parts.catalog.commit(changes);
        self.parts.events.publish(events);
        self.reply_all(decided);
    }

    fn number(
        &mut self,
        event: &Event,
        request_id: Option<&String>,
        now: OffsetDateTime,
    ) -> Option<Envelope> {
        // Only `progress` can meet an empty lease: the next batch leases anew, and supersedes it.
        let id = self.parts.numbers.take()?;
        Some(Envelope { id, at: now, request_id: request_id.cloned(), event: event.clone() })
    }

    fn give_up(&self, decided: Vec<Decided>, reason: &str) {
        self.parts.health.degrade(
            Component::Database,
            format!("nothing can be stored: {reason}; requests that need it answer 503 until it is back"),
        );
        let mut levels = HashMap::new();
        for one in decided {
            match one.caller {
                Caller::Level(id, level) => {
                    levels.insert(id, *level);
                }
                other => refuse_one(other),
            }
        }
        self.put_back(levels);
    }

    fn put_back(&self, levels: HashMap<TorrentId, Level>) {
        for (id, level) in levels {
            self.board.put_back(id, level);
        }
    }
}

async fn write_alone(
    transaction: &mut sqlx::Transaction<'_, sqlx::Postgres>,
    writes: &[Write],
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    let mut savepoint = transaction.begin().await?;
    match execute::write_all(&mut savepoint, writes, now).await {
        Ok(()) => savepoint.commit().await,
        Err(failure) => {
            savepoint.rollback().await?;
            Err(failure)
        }
    }
}

/// The number of the last batch in the database. Waits for a batch whose commit is still under way: until that has
/// ended either way, nobody can say whether it happened.
pub async fn last_batch(connection: &mut PgConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!("SELECT last_batch FROM event_log_state FOR UPDATE").fetch_one(connection).await
}

fn changes_of(decision: &Decision) -> Vec<Change> {
    let rows = decision.writes.iter().filter_map(|write| match write {
        Write::Put(record) => Some(Change::Put(Arc::clone(record))),
        Write::Delete(id) => Some(Change::Gone(*id)),
        Write::Metainfo(..)
        | Write::Pieces(..)
        | Write::JobInsert { .. }
        | Write::JobClaim { .. }
        | Write::JobFinish { .. }
        | Write::SettingsRevision(_) => None,
    });
    rows.chain(decision.live.iter().map(|(id, live)| Change::Live(*id, *live))).collect()
}

fn refuse(intents: Vec<IntentRequest>, facts: Vec<FactRequest>) {
    for request in intents {
        answer(request.reply, Err(IntentError::Unavailable));
    }
    for request in facts {
        answer(request.reply, Err(NotStored));
    }
}

fn refuse_one(caller: Caller) {
    match caller {
        Caller::Intent(reply, _) => answer(reply, Err(IntentError::Unavailable)),
        Caller::Fact(reply, _) => answer(reply, Err(NotStored)),
        Caller::Level(..) | Caller::Nobody => {}
    }
}

/// The caller may be gone; what it asked for counts all the same.
fn answer<T>(reply: oneshot::Sender<T>, what: T) {
    drop(reply.send(what));
}
