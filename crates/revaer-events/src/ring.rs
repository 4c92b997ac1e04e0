//! The newest events in memory. Owned by the log; whoever has fallen behind it reads the durable log.
//!
//! Bounded by number and by bytes, whichever comes first: one `files_discovered` may weigh a megabyte.

use std::{collections::VecDeque, sync::Arc};

use crate::Envelope;

/// How many events are kept: at a thousand a second, eight seconds of slowness cost a reader nothing.
const MOST_EVENTS: usize = 8_192;
/// How much memory they may take. The newest event is kept whatever it weighs.
const MOST_BYTES: usize = 32 << 20;

#[derive(Debug)]
pub(crate) struct Ring {
    held: VecDeque<Held>,
    bytes: usize,
    /// Everything up to this number is in the database only.
    evicted_through: u64,
}

#[derive(Debug)]
struct Held {
    event: Arc<Envelope>,
    weight: usize,
}

impl Ring {
    /// An empty ring; everything up to `newest` is in the database only.
    pub(crate) fn new(newest: u64) -> Self {
        Self { held: VecDeque::with_capacity(MOST_EVENTS), bytes: 0, evicted_through: newest }
    }

    pub(crate) const fn evicted_through(&self) -> u64 {
        self.evicted_through
    }

    /// Takes the newest event, and drops from the beginning what there is no room for.
    pub(crate) fn push(&mut self, event: Envelope) {
        let weight = event.weight();
        while self.held.len() == MOST_EVENTS || self.bytes + weight > MOST_BYTES {
            let Some(oldest) = self.held.pop_front() else { break };
            self.bytes -= oldest.weight;
            self.evicted_through = oldest.event.id;
        }
        self.bytes += weight;
        self.held.push_back(Held { event: Arc::new(event), weight });
    }

    /// Events after `after`, oldest first. The numbers rise, so the start is found by bisection.
    pub(crate) fn after(&self, after: u64) -> impl Iterator<Item = &Arc<Envelope>> {
        let start = self.held.partition_point(|one| one.event.id <= after);
        self.held.range(start..).map(|one| &one.event)
    }
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;
    use uuid::Uuid;

    use super::*;
    use crate::{Event, EventFile};

    /// The files of a torrent whose paths take `bytes` in all.
    fn files(id: u64, bytes: usize) -> Envelope {
        let file = EventFile { path: "p".repeat(1_000), size_bytes: 1 };
        let event =
            Event::FilesDiscovered { torrent_id: Uuid::nil(), files: vec![file; bytes / 1_000].into() };
        Envelope { id, at: OffsetDateTime::UNIX_EPOCH, request_id: None, event }
    }

    fn ids(ring: &Ring) -> Vec<u64> {
        ring.after(0).map(|one| one.id).collect()
    }

    #[test]
    fn heavy_events_leave_before_there_are_many() {
        let mut ring = Ring::new(0);
        for id in 1..=100 {
            ring.push(files(id, 10 << 20));
            assert!(ring.bytes <= MOST_BYTES, "{} bytes", ring.bytes);
            assert_eq!(ring.evicted_through(), id.saturating_sub(3));
        }
        assert_eq!(ids(&ring), [98, 99, 100]);
    }

    #[test]
    fn the_newest_is_kept_whatever_it_weighs() {
        let mut ring = Ring::new(5);
        ring.push(files(6, 1_000));
        ring.push(files(7, MOST_BYTES * 2));
        assert_eq!((ids(&ring), ring.evicted_through()), (vec![7], 6));
        ring.push(files(9, 1_000));
        assert_eq!((ids(&ring), ring.evicted_through()), (vec![9], 7));
    }

    #[test]
    fn light_events_are_bounded_by_number() {
        let mut ring = Ring::new(0);
        for id in 1..=10_000 {
            ring.push(files(id, 0));
        }
        assert_eq!((ids(&ring).len(), ring.evicted_through()), (MOST_EVENTS, 10_000 - 8_192));
        let weight = ring.held.iter().map(|one| one.weight).sum::<usize>();
        assert_eq!(weight, ring.bytes);
    }
}
