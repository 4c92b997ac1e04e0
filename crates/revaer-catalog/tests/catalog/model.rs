//! The read model against a plain list: after any sequence of changes it says what a look at everything would.

use std::{collections::BTreeMap, sync::Arc};

use proptest::{collection::vec, option, prelude::*, sample::select};
use revaer_catalog::{
    Catalog, Change, Counts, Filter, FsopsStatus, FsopsSummary, JobCounts, Live, Order, TorrentRecord,
};
use revaer_torrent_core::{InfoHashV1, InfoHashV2, InfoHashes, StateKind, TorrentId};

use crate::records::{any_live, any_state, content, id, record, removed};

#[derive(Debug, Clone)]
enum Step {
    Put {
        number: u8,
        hashes: InfoHashes,
        place: Option<u8>,
        marks: [bool; 3],
        kind: StateKind,
        job: Option<FsopsStatus>,
    },
    Live(u8, Live),
    Gone(u8),
}

fn any_step() -> impl Strategy<Value = Step> {
    // Few of each, so that what one gives up another takes.
    let hashes = (option::of(0..6_u8), option::of(0..6_u8)).prop_map(|(v1, v2)| InfoHashes {
        v1: v1.map(|one| InfoHashV1::new([one; 20])),
        v2: v2.map(|two| InfoHashV2::new([two; 32])),
    });
    let mark = || prop::bool::weighted(0.2);
    let marks = (mark(), mark(), mark()).prop_map(|(one, two, three)| [one, two, three]);
    let job = option::of(select(FsopsStatus::ALL.as_slice()));
    let put = (0..8_u8, hashes, option::of(0..6_u8), marks, any_state(), job);
    prop_oneof![
        3 => put.prop_map(|(number, hashes, place, marks, kind, job)| {
            Step::Put { number, hashes, place, marks, kind, job }
        }),
        2 => (0..8_u8, any_live()).prop_map(|(number, live)| Step::Live(number, live)),
        1 => (0..8_u8).prop_map(Step::Gone),
    ]
}

/// The plain list.
#[derive(Debug, Default)]
struct Plain(BTreeMap<TorrentId, (Arc<TorrentRecord>, Live)>);

impl Plain {
    fn seen(&self) -> impl DoubleEndedIterator<Item = &(Arc<TorrentRecord>, Live)> {
        self.0.values().filter(|(record, _)| !record.is_tombstone())
    }

    /// What the database's unique indexes would let in.
    fn admits(&self, one: &TorrentRecord) -> bool {
        let hash = |other: &TorrentRecord| {
            one.owns_hashes() && other.owns_hashes() && other.info_hashes.overlaps(&one.info_hashes)
        };
        let path = |other: &TorrentRecord| {
            one.placement.content.is_some() && one.placement.content == other.placement.content
        };
        !self.0.values().any(|(other, _)| other.id != one.id && (hash(other) || path(other)))
    }

    fn change(&self, step: &Step) -> Option<Change> {
        match *step {
            Step::Put { number, hashes, place, marks: [is_removed, gave_way, was_complete], kind, job } => {
                let mut one = TorrentRecord { info_hashes: hashes, ..record(number) };
                one.placement.content = place.map(|name| content("/downloads", &name.to_string()));
                one.last.kind = kind;
                one.same_as = gave_way.then(|| id(99));
                one.completed_at = was_complete.then_some(one.added_at);
                one.fsops = job.map(|status| FsopsSummary::of(status, None));
                let one = if is_removed { removed(one) } else { one };
                self.admits(&one).then(|| Change::Put(Arc::new(one)))
            }
            Step::Live(number, live) => Some(Change::Live(id(number.into()), live)),
            Step::Gone(number) => Some(Change::Gone(id(number.into()))),
        }
    }

    fn apply(&mut self, change: &Change) {
        match change {
            Change::Put(record) => {
                let fresh = Live::from_record(record);
                let live =
                    self.0.get(&record.id).map_or(fresh, |(_, live)| Live { kind: fresh.kind, ..*live });
                self.0.insert(record.id, (Arc::clone(record), live));
            }
            Change::Live(id, live) => {
                if let Some(entry) = self.0.get_mut(id) {
                    entry.1 = *live;
                }
            }
            Change::Gone(id) => {
                self.0.remove(id);
            }
        }
    }

    fn counts(&self) -> Counts {
        let of = |kind| self.seen().filter(|(_, live)| live.kind == kind).count() as u64;
        Counts {
            by_state: StateKind::ALL.into_iter().map(|kind| (kind, of(kind))).collect(),
            loaded: self.seen().filter(|(_, live)| live.loaded).count() as u64,
        }
    }

    fn jobs(&self) -> JobCounts {
        let mut jobs = JobCounts::default();
        for (record, _) in self.seen() {
            let Some(job) = &record.fsops else { continue };
            *jobs.by_status.entry(job.status).or_default() += 1;
            if !job.status.is_over() {
                let made_at = record.completed_at.into_iter().chain(jobs.oldest_open);
                jobs.oldest_open = made_at.min();
            }
        }
        jobs
    }
}

fn check(catalog: &Catalog, plain: &Plain) -> Result<(), TestCaseError> {
    prop_assert_eq!(catalog.counts(), plain.counts());
    let mut jobs = catalog.jobs();
    jobs.by_status.retain(|_, count| *count > 0);
    prop_assert_eq!(jobs, plain.jobs());
    let page = catalog.page(&Filter::default(), Order::Newest, None, usize::MAX);
    let listed: Vec<_> = page.torrents.iter().map(|view| (Arc::clone(&view.record), view.live)).collect();
    prop_assert_eq!(listed, plain.seen().rev().cloned().collect::<Vec<_>>());
    for number in 0..8 {
        let found = catalog.get_any(id(number)).map(|view| (view.record, view.live));
        prop_assert_eq!(found.as_ref(), plain.0.get(&id(number)));
        let is_seen = found.is_some_and(|(record, _)| !record.is_tombstone());
        prop_assert_eq!(catalog.get(id(number)).is_some(), is_seen);
    }
    for number in 0..6 {
        let v1 = InfoHashes { v1: Some(InfoHashV1::new([number; 20])), v2: None };
        let v2 = InfoHashes { v1: None, v2: Some(InfoHashV2::new([number; 32])) };
        for hashes in [v1, v2] {
            let of = |record: &TorrentRecord| record.owns_hashes() && record.info_hashes.overlaps(&hashes);
            let owner = plain.seen().find(|(record, _)| of(record));
            prop_assert_eq!(catalog.by_info_hash(&hashes), owner.map(|(record, _)| record.id));
        }
        let place = content("/downloads", &number.to_string());
        let owner = plain.0.values().find(|(record, _)| record.placement.content.as_ref() == Some(&place));
        let found = catalog.path_owner(&place.root());
        prop_assert_eq!(found, owner.map(|(record, _)| record.id));
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_changes_leave_what_a_recount_finds(steps in vec(any_step(), 0..80), batch in 1..10_usize) {
        let (catalog, mut plain) = (Catalog::default(), Plain::default());
        for steps in steps.chunks(batch) {
            let mut changes = Vec::new();
            for step in steps {
                if let Some(change) = plain.change(step) {
                    plain.apply(&change);
                    changes.push(change);
                }
            }
            catalog.commit(changes);
            check(&catalog, &plain)?;
        }
        // A restart reads the same records; only what is not stored begins anew.
        let restarted = Catalog::new(plain.0.values().map(|(record, _)| (**record).clone()).collect());
        for (record, live) in plain.0.values_mut() {
            *live = Live::from_record(record);
        }
        check(&restarted, &plain)?;
    }
}

#[test]
fn what_changes_hands_within_a_commit_stays_with_its_new_torrent() {
    let mut first = record(1);
    first.placement.content = Some(content("/downloads", "name"));
    let second = TorrentRecord { id: id(2), ..first.clone() };
    let mut moved = removed(first.clone());
    moved.placement.content = None;
    for is_taken_first in [false, true] {
        let catalog = Catalog::new(vec![first.clone()]);
        let mut changes = [Change::Put(moved.clone().into()), Change::Put(second.clone().into())];
        if is_taken_first {
            changes.reverse();
        }
        catalog.commit(changes);
        assert_eq!(catalog.by_info_hash(&first.info_hashes), Some(id(2)));
        assert_eq!(catalog.path_owner("/downloads/name".as_ref()), Some(id(2)));
    }
}
