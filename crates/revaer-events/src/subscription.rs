//! A reader: a position in the log. Behind the ring it reads pages of the durable log, then the ring.
//!
//! Nothing is buffered for a reader, so nothing is lost between replay and live, and nothing grows while it is slow:
//! what it loses by slowness is `progress`, which the durable log never had.

use std::{collections::VecDeque, sync::Arc};

use tokio::sync::watch;

use crate::{
    Envelope, EventFilter, EventLog,
    ring::Ring,
    sql::{self, PageSize},
};

/// What is read at once. Payloads unpack to a few times what is stored; one that is larger than all comes alone.
const PAGE: PageSize = PageSize { events: 256, bytes: 256 << 10 };

/// What a reader is given.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// The next event that passes its filter.
    Event(Arc<Envelope>),
    /// What it asked for is no longer there, or lies in the future: it has to list again. Live follows.
    Gap {
        /// The position it asked for.
        requested: u64,
        /// The oldest position that can be asked for.
        oldest: u64,
        /// The newest number: its position from here on.
        newest: u64,
    },
    /// It had come up to the present, and the ring has gone past it since: it loses `progress` from here on, and only
    /// that. Asked again, it goes on from the durable log.
    Overtaken,
}

/// The durable log cannot be read now; the reader's position is kept, so it can go on later.
#[derive(Debug, thiserror::Error)]
#[error("the event log cannot be read from the database; the reader keeps its position and can ask again")]
pub struct SubscriptionError(#[source] sqlx::Error);

/// A reader's position.
#[derive(Debug)]
pub struct Subscription {
    log: EventLog,
    head: watch::Receiver<u64>,
    filter: EventFilter,
    position: u64,
    /// It has come up to the ring: from there on it only falls behind by being slow.
    live: bool,
    /// Asked for by the client, and not yet seen not to lie in the future.
    unjudged: bool,
    /// A page of the durable log that is being handed out.
    page: VecDeque<Envelope>,
    /// Behind the page: nothing up to here that is not in it passes the filter.
    page_through: u64,
}

impl Subscription {
    pub(crate) fn new(
        log: EventLog,
        head: watch::Receiver<u64>,
        after: Option<u64>,
        filter: EventFilter,
    ) -> Self {
        let position = after.unwrap_or_else(|| *head.borrow());
        let (live, unjudged, page) = (after.is_none(), after.is_some(), VecDeque::new());
        Self { log, head, filter, position, live, unjudged, page, page_through: 0 }
    }

    /// Everything up to here has been handed out or does not pass the filter: a keep-alive may say so.
    pub const fn position(&self) -> u64 {
        self.position
    }

    /// The next item; waits for it. Safe to drop and call again: the position moves only when an item is returned.
    pub async fn next(&mut self) -> Result<Item, SubscriptionError> {
        if self.unjudged {
            if self.position > self.log.newest() {
                return self.leap_from_the_future().await;
            }
            self.unjudged = false;
        }
        loop {
            if let Some(event) = self.page.pop_front() {
                self.position = event.id;
                if self.filter.matches(&event.event) {
                    return Ok(Item::Event(Arc::new(event)));
                }
                continue;
            }
            self.position = self.position.max(self.page_through);
            let is_behind = self.log.with_ring(Ring::evicted_through) > self.position;
            if std::mem::replace(&mut self.live, !is_behind) && is_behind {
                return Ok(Item::Overtaken);
            }
            if is_behind {
                if let Some(gap) = self.read_page().await? {
                    return Ok(gap);
                }
                continue;
            }
            if let Some(event) = self.next_in_ring() {
                return Ok(Item::Event(event));
            }
            let position = self.position;
            // The sender lives as long as the log that this reader holds.
            if self.head.wait_for(|newest| *newest > position).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    async fn leap_from_the_future(&mut self) -> Result<Item, SubscriptionError> {
        let pruned = async {
            let mut connection = self.log.pool().acquire().await?;
            sql::pruned_through(&mut connection).await
        };
        let oldest = pruned.await.map_err(SubscriptionError)?;
        self.unjudged = false;
        Ok(self.leap(oldest))
    }

    /// Fills the page with what lies before the ring's begin: the rest is read from the ring, where `progress` is too.
    ///
    /// Retention is asked after the events: what it had not dropped then was there when they were read.
    async fn read_page(&mut self) -> Result<Option<Item>, SubscriptionError> {
        let end = self.log.with_ring(Ring::evicted_through);
        let read = async {
            let mut connection = self.log.pool().acquire().await?;
            let page = sql::events_between(&mut connection, self.position, end, &self.filter, PAGE).await?;
            Ok((page, sql::pruned_through(&mut connection).await?))
        };
        let (page, pruned) = read.await.map_err(SubscriptionError)?;
        if pruned > self.position {
            return Ok(Some(self.leap(pruned)));
        }
        self.page_through = page.through;
        self.page = page.events.into();
        Ok(None)
    }

    /// Goes on at the newest number, and says so.
    fn leap(&mut self, oldest: u64) -> Item {
        let requested = std::mem::replace(&mut self.position, self.log.newest());
        Item::Gap { requested, oldest, newest: self.position }
    }

    fn next_in_ring(&mut self) -> Option<Arc<Envelope>> {
        let (filter, position) = (&self.filter, self.position);
        let (found, seen) = self.log.with_ring(|ring| {
            let mut seen = position;
            if ring.evicted_through() > position {
                // It has been overtaken since it looked: the durable log has what it misses.
                return (None, seen);
            }
            let found = ring.after(position).find(|one| {
                seen = one.id;
                filter.matches(&one.event)
            });
            (found.cloned(), seen)
        });
        self.position = seen;
        found
    }
}
