//! `Order`: what may overtake what. Pure.
//!
//! A round of saves waits for its volumes to be synced, seconds to minutes where they are busy. Everything else is
//! quick and has a thread of its own, so that no add waits for a round. What has to keep its place: requests about
//! one torrent, and those about the directory as a whole, which nothing overtakes and which overtake nothing.

use std::collections::{HashSet, VecDeque};

use revaer_torrent_core::TorrentId;

use super::{Request, Response};

/// The requests that are under way, and those that wait for them.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// The torrents of the round that is being stored.
    storing: Option<HashSet<TorrentId>>,
    /// How many requests about the whole directory are under way.
    whole: usize,
    held: VecDeque<Request>,
    held_ids: HashSet<TorrentId>,
    holds_whole: bool,
}

impl Order {
    /// How many requests wait.
    pub(super) fn held(&self) -> usize {
        self.held.len()
    }

    /// The request, if it may be worked on now; one that may not is kept until [`Self::ended`] gives it out.
    pub(super) fn admit(&mut self, request: Request) -> Option<Request> {
        if self.must_wait(&request) {
            self.hold(request);
            return None;
        }
        match &request {
            Request::Save(items) => self.storing = Some(items.iter().map(|item| item.id).collect()),
            Request::Open(_) | Request::SetAsideOrphans(_) | Request::MarkCleanStop => self.whole += 1,
            Request::Load(_) | Request::Delete { .. } => {}
        }
        Some(request)
    }

    /// A request has ended so: those that may be worked on now, in their order.
    pub(super) fn ended(&mut self, response: &Response) -> Vec<Request> {
        match response {
            Response::Saved(_) => self.storing = None,
            Response::Opened(_) | Response::OrphansSetAside(_) | Response::CleanStopMarked(_) => {
                self.whole = self.whole.saturating_sub(1);
            }
            // Nothing waits for these: they are worked on one after the other.
            Response::Loaded(_) | Response::Deleted(..) => return Vec::new(),
        }
        self.held_ids.clear();
        self.holds_whole = false;
        std::mem::take(&mut self.held).into_iter().filter_map(|request| self.admit(request)).collect()
    }

    fn must_wait(&self, request: &Request) -> bool {
        match request {
            Request::Load(id) | Request::Delete { id, .. } => {
                self.holds_whole
                    || self.held_ids.contains(id)
                    || self.storing.as_ref().is_some_and(|storing| storing.contains(id))
            }
            Request::Save(_) => self.storing.is_some() || self.whole > 0 || !self.held.is_empty(),
            Request::Open(_) | Request::SetAsideOrphans(_) | Request::MarkCleanStop => {
                self.storing.is_some() || !self.held.is_empty()
            }
        }
    }

    fn hold(&mut self, request: Request) {
        match &request {
            Request::Load(id) | Request::Delete { id, .. } => drop(self.held_ids.insert(*id)),
            Request::Save(items) => self.held_ids.extend(items.iter().map(|item| item.id)),
            Request::Open(_) | Request::SetAsideOrphans(_) | Request::MarkCleanStop => {
                self.holds_whole = true;
            }
        }
        self.held.push_back(request);
    }
}

#[cfg(test)]
mod tests {
    use revaer_torrent_core::InfoHashes;

    use super::*;
    use crate::resume::{Loaded, MetaRecord, SaveItem};

    fn id(number: u128) -> TorrentId {
        TorrentId::from_trusted(uuid::Uuid::from_u128(number))
    }

    fn round(number: u128) -> Request {
        let record = MetaRecord::new(None, "/downloads".into(), false, &InfoHashes::default());
        Request::Save(vec![SaveItem { id: id(number), blob: Vec::new(), record, claims_pieces: true }])
    }

    fn delete(number: u128) -> Request {
        Request::Delete { id: id(number), save_dir: "/downloads".into(), hashes: InfoHashes::default() }
    }

    fn is_admitted(order: &mut Order, request: Request) -> bool {
        order.admit(request).is_some()
    }

    #[test]
    fn a_load_overtakes_a_round_of_others_and_waits_for_its_own() {
        let mut order = Order::default();
        assert!(is_admitted(&mut order, round(1)));
        assert!(is_admitted(&mut order, Request::Load(id(2))));
        assert!(is_admitted(&mut order, delete(3)));
        assert!(!is_admitted(&mut order, delete(1)));
        assert!(!is_admitted(&mut order, Request::Load(id(1))), "what is deleted must not be read before");
        assert!(is_admitted(&mut order, Request::Load(id(4))), "those that wait hold nobody else up");
        assert!(order.ended(&Response::Loaded(Loaded::nothing(id(2)))).is_empty());
        let freed = order.ended(&Response::Saved(Vec::new()));
        assert!(matches!(freed.as_slice(), [Request::Delete { .. }, Request::Load(_)]), "{freed:?}");
        assert_eq!(order.held(), 0);
    }

    #[test]
    fn the_directory_changes_only_between_rounds_and_nothing_overtakes_the_change() {
        let mut order = Order::default();
        assert!(is_admitted(&mut order, Request::Open("/first".into())));
        assert!(is_admitted(&mut order, Request::Load(id(9))), "it follows on the same thread");
        assert!(!is_admitted(&mut order, round(1)), "its files would be taken for leftovers");
        assert_eq!(order.ended(&Response::Opened(Ok(0))).len(), 1);
        assert!(!is_admitted(&mut order, Request::Open("/second".into())));
        assert!(!is_admitted(&mut order, Request::Load(id(2))));
        assert!(!is_admitted(&mut order, round(3)));
        let freed = order.ended(&Response::Saved(Vec::new()));
        assert!(matches!(freed.as_slice(), [Request::Open(_), Request::Load(_)]), "{freed:?}");
        let freed = order.ended(&Response::Opened(Ok(0)));
        assert!(matches!(freed.as_slice(), [Request::Save(_)]), "{freed:?}");
    }
}
