//! The log: the ring, shared by all readers, and the head that wakes them.

use std::sync::{Arc, PoisonError, RwLock};

use revaer_telemetry::Metrics;
use sqlx::PgPool;
use time::{Duration, OffsetDateTime};
use tokio::sync::watch;

use crate::{Envelope, EventFilter, Subscription, ring::Ring};

#[derive(Debug)]
struct Shared {
    ring: RwLock<Ring>,
    head: watch::Sender<u64>,
    pool: PgPool,
    metrics: Metrics,
}

/// The event log as readers and the ledger see it. Clones share it.
#[derive(Debug, Clone)]
pub struct EventLog {
    shared: Arc<Shared>,
}

impl EventLog {
    /// A log whose past, up to `newest`, is in the database.
    pub fn new(pool: PgPool, newest: u64, metrics: Metrics) -> Self {
        let (head, _) = watch::channel(newest);
        Self { shared: Arc::new(Shared { ring: RwLock::new(Ring::new(newest)), head, pool, metrics }) }
    }

    /// The newest number.
    pub fn newest(&self) -> u64 {
        *self.shared.head.borrow()
    }

    /// Makes events visible, in the order of their numbers. Only the ledger calls this, after its commit.
    pub fn publish(&self, events: Vec<Envelope>) {
        let Some(newest) = events.last().map(|one| one.id) else { return };
        let mut ring = self.shared.ring.write().unwrap_or_else(PoisonError::into_inner);
        for mut event in events {
            event.at = to_microseconds(event.at);
            self.shared.metrics.event_emitted(event.event.kind());
            ring.push(event);
        }
        // Under the lock: nobody may have read an event that the head says lies in the future.
        self.shared.head.send_replace(newest);
    }

    /// A reader of what comes after `after`; `None`: of what comes from now on.
    pub fn subscribe(&self, after: Option<u64>, filter: EventFilter) -> Subscription {
        Subscription::new(self.clone(), self.shared.head.subscribe(), after, filter)
    }

    pub(crate) fn pool(&self) -> &PgPool {
        &self.shared.pool
    }

    pub(crate) fn with_ring<T>(&self, look: impl FnOnce(&Ring) -> T) -> T {
        look(&self.shared.ring.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// As the database keeps it: an event says the same time live and replayed.
fn to_microseconds(at: OffsetDateTime) -> OffsetDateTime {
    at - Duration::nanoseconds((at.nanosecond() % 1_000).into())
}
