//! Pages: nothing repeated, nothing missed, whatever comes and goes while a client reads on.

use std::collections::BTreeSet;

use proptest::{collection::vec, prelude::*};
use revaer_catalog::{Catalog, Change, Filter, Order, TorrentRecord};
use revaer_torrent_core::StateKind;

use crate::records::{at, id, record, removed};

/// Few seconds for many torrents, so that the order often hangs on the id.
fn any_place() -> impl Strategy<Value = (u8, i64)> {
    (any::<u8>(), 0..6_i64)
}

fn any_order() -> impl Strategy<Value = Order> {
    prop_oneof![Just(Order::Newest), Just(Order::Oldest)]
}

fn placed((number, second): (u8, i64)) -> TorrentRecord {
    TorrentRecord { added_at: at(second), ..record(number) }
}

#[derive(Debug, Clone)]
enum Step {
    Add((u8, i64)),
    Bury(u8),
    Forget(u8),
    Rename(u8),
    NextPage(usize),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        any_place().prop_map(Step::Add),
        any::<u8>().prop_map(Step::Bury),
        any::<u8>().prop_map(Step::Forget),
        any::<u8>().prop_map(Step::Rename),
        (1..9_usize).prop_map(Step::NextPage),
    ]
}

/// What a step that is no page changes in a catalogue.
fn change(step: &Step, catalog: &Catalog) -> Option<Change> {
    let seen = |number: u8| catalog.get(id(number.into())).map(|view| (*view.record).clone());
    match *step {
        // A torrent's place never changes: one that is there is left alone.
        Step::Add(place) => {
            catalog.get_any(id(place.0.into())).is_none().then(|| Change::Put(placed(place).into()))
        }
        Step::Bury(number) => seen(number).map(|one| Change::Put(removed(one).into())),
        Step::Rename(number) => {
            seen(number).map(|one| Change::Put(TorrentRecord { name: "other".to_owned(), ..one }.into()))
        }
        Step::Forget(number) => Some(Change::Gone(id(number.into()))),
        Step::NextPage(_) => None,
    }
}

proptest! {
    #[test]
    fn a_client_that_reads_on_sees_once_what_was_there_all_along(
        first in vec(any_place(), 0..60),
        steps in vec(any_step(), 0..60),
        order in any_order(),
    ) {
        let catalog = Catalog::default();
        catalog.commit(first.into_iter().map(|place| Change::Put(placed(place).into())));
        let mut there_all_along: BTreeSet<_> = catalog.ids().into_iter().collect();
        let (mut seen, mut after) = (Vec::new(), None);
        for step in steps.into_iter().chain(std::iter::repeat(Step::NextPage(7))) {
            if let Step::Bury(number) | Step::Forget(number) = step {
                there_all_along.remove(&id(number.into()));
            }
            let Step::NextPage(limit) = step else {
                catalog.commit(change(&step, &catalog));
                continue;
            };
            let page = catalog.page(&Filter::default(), order, after, limit);
            prop_assert!(page.torrents.len() <= limit);
            seen.extend(page.torrents.iter().map(|view| (view.record.added_at, view.record.id)));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        if order == Order::Oldest {
            seen.reverse();
        }
        prop_assert!(seen.is_sorted_by(|newer, older| newer > older), "repeated or out of order: {seen:?}");
        let seen: BTreeSet<_> = seen.into_iter().map(|(_, id)| id).collect();
        prop_assert!(there_all_along.is_subset(&seen), "missed: {:?}", there_all_along.difference(&seen));
    }

    #[test]
    fn pages_of_any_size_add_up_to_the_list(
        places in vec((any_place(), any::<bool>()), 0..60),
        limit in 1..20_usize,
        order in any_order(),
    ) {
        let catalog = Catalog::default();
        catalog.commit(places.iter().map(|(place, is_wanted)| {
            let mut one = placed(*place);
            one.last.kind = if *is_wanted { StateKind::Seeding } else { StateKind::Stopped };
            Change::Put(one.into())
        }));
        let filter = Filter { states: vec![StateKind::Seeding], ..Filter::default() };
        let whole = catalog.page(&filter, order, None, usize::MAX);
        prop_assert_eq!(whole.next, None);
        let places: Vec<_> =
            whole.torrents.iter().map(|view| (view.record.added_at, view.record.id)).collect();
        let is_ordered = places.is_sorted_by(|one, next| match order {
            Order::Newest => one > next,
            Order::Oldest => one < next,
        });
        prop_assert!(is_ordered, "{:?}: {:?}", order, places);
        let expected: Vec<_> = whole.torrents.iter().map(|view| view.record.id).collect();
        let (mut seen, mut after, mut pages) = (Vec::new(), None, 0);
        loop {
            let page = catalog.page(&filter, order, after, limit);
            seen.extend(page.torrents.iter().map(|view| view.record.id));
            pages += 1;
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        prop_assert_eq!(pages, expected.len().div_ceil(limit).max(1), "no page is empty for nothing");
        prop_assert_eq!(seen, expected);
    }
}

#[test]
fn a_cursor_of_a_torrent_that_is_gone_still_holds_its_place() {
    let catalog = Catalog::new((1..=5).map(record).collect());
    let page = catalog.page(&Filter::default(), Order::Newest, None, 2);
    catalog.commit([Change::Gone(id(4)), Change::Gone(id(3))]);
    let rest = catalog.page(&Filter::default(), Order::Newest, page.next, 9);
    assert_eq!(rest.torrents.iter().map(|view| view.record.id).collect::<Vec<_>>(), [id(2), id(1)]);
    assert_eq!(rest.next, None);
}

#[test]
fn torrents_of_one_microsecond_are_ordered_by_id() {
    let catalog = Catalog::new([7, 3, 9].map(|number| placed((number, 1))).into());
    let page = catalog.page(&Filter::default(), Order::Newest, None, 9);
    assert_eq!(page.torrents.iter().map(|view| view.record.id).collect::<Vec<_>>(), [id(9), id(7), id(3)]);
}
