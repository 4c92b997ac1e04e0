//! Who may be a member of the session now: the queue says whose turn it is, and whoever is let in waits until one that
//! is on its way out has left. So there are never more members than the limit, not for a moment.

use std::collections::{BTreeSet, HashSet};

use revaer_torrent_core::{Queue, TorrentId, Turn};

/// The queue, and the seats in the session.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    queue: Queue,
    /// Members, and those that are about to be.
    seated: HashSet<TorrentId>,
    /// Those that are let in and found no seat.
    standing: BTreeSet<TorrentId>,
}

impl Admission {
    /// Lets so many run from now on; answers whose turn has come or is over.
    pub(crate) fn set_limit(&mut self, limit: Option<u32>) -> Vec<TorrentId> {
        self.queue.set_limit(limit)
    }

    /// How many may run at once; `None`: all.
    pub(crate) const fn limit(&self) -> Option<u32> {
        self.queue.limit()
    }

    /// How many may run, and how many wait for their turn.
    pub(crate) fn counts(&self) -> (usize, usize) {
        self.queue.counts()
    }

    /// Notes when a torrent's turn is, if it wants to run; answers whose turn has come or is over.
    pub(crate) fn set(&mut self, id: TorrentId, turn: Option<Turn>) -> Vec<TorrentId> {
        self.queue.set(id, turn)
    }

    /// Whether its turn has come.
    pub(crate) fn admits(&self, id: TorrentId) -> bool {
        self.queue.admits(id)
    }

    /// Takes a seat for a torrent that is about to be added. Without one it is told of by [`Self::next`].
    pub(crate) fn sit(&mut self, id: TorrentId) -> bool {
        let has_seat = self.seated.contains(&id) || self.has_room();
        if has_seat {
            self.seated.insert(id);
        } else {
            self.standing.insert(id);
        }
        has_seat
    }

    /// Gives the seat back.
    pub(crate) fn leave(&mut self, id: TorrentId) {
        self.seated.remove(&id);
    }

    /// One that found no seat, while there is one. It is not told of again until it has asked again.
    pub(crate) fn next(&mut self) -> Option<TorrentId> {
        if self.has_room() { self.standing.pop_first() } else { None }
    }

    fn has_room(&self) -> bool {
        self.queue.limit().is_none_or(|limit| self.seated.len() < limit as usize)
    }
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;
    use uuid::Uuid;

    use super::*;

    fn id(number: u128) -> TorrentId {
        TorrentId::from_trusted(Uuid::from_u128(number))
    }

    #[test]
    fn whoever_is_let_in_waits_until_another_has_left() {
        let mut admission = Admission::default();
        admission.set_limit(Some(1));
        let turn = |complete| Some(Turn { held_back: false, complete, added_at: OffsetDateTime::UNIX_EPOCH });
        admission.set(id(1), turn(false));
        admission.set(id(2), turn(false));
        assert!(admission.sit(id(1)) && admission.sit(id(1)), "a seat is taken once");
        assert_eq!(admission.set(id(1), turn(true)), [id(1), id(2)]);
        assert!(admission.admits(id(2)) && !admission.sit(id(2)));
        assert_eq!(admission.next(), None);
        admission.leave(id(1));
        assert_eq!(admission.next(), Some(id(2)));
        assert_eq!(admission.next(), None, "told once");
        assert!(admission.sit(id(2)));
    }

    #[test]
    fn a_raised_limit_seats_those_that_stand() {
        let mut admission = Admission::default();
        admission.set_limit(Some(0));
        assert!(!admission.sit(id(1)) && !admission.sit(id(2)));
        admission.set_limit(None);
        assert_eq!((admission.next(), admission.next(), admission.next()), (Some(id(1)), Some(id(2)), None));
    }
}
