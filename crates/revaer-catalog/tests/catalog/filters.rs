//! Filters of a list, in any case of letters.

use revaer_catalog::{Catalog, Change, Filter, Order, TorrentRecord};
use revaer_torrent_core::StateKind;

use crate::records::{id, record};

fn catalog() -> Catalog {
    let mut film = TorrentRecord { name: "Big Buck BUNNY".to_owned(), ..record(1) };
    film.tags = texts(&["Film", "free"]);
    film.trackers = texts(&["udp://Tracker.Example:6969/announce"]);
    film.content.extensions = texts(&["mkv", "srt"]);
    film.last.kind = StateKind::Seeding;
    let mut song = TorrentRecord { name: "\u{c9}t\u{c9} \u{178}".to_owned(), ..record(2) };
    song.tags = texts(&["\u{c9}T\u{c9}"]);
    song.trackers = texts(&["http://a.example/x", "http://b.example/KEY"]);
    song.last.kind = StateKind::Stopped;
    Catalog::new(vec![film, song])
}

fn texts(values: &[&str]) -> Vec<String> {
    values.iter().map(|&value| value.to_owned()).collect()
}

fn check(filter: &Filter, expected: &[u128]) {
    let catalog = catalog();
    let expected: Vec<_> = expected.iter().copied().map(id).collect();
    let mut paged: Vec<_> =
        catalog.page(filter, Order::Newest, None, 9).torrents.iter().map(|view| view.record.id).collect();
    paged.sort_unstable();
    assert_eq!(paged, expected, "{filter:?}");
    let mut judged = catalog.ids();
    judged.retain(|one| filter.matches(&catalog.get(*one).unwrap()));
    judged.sort_unstable();
    assert_eq!(judged, expected, "{filter:?}");
}

#[test]
fn conditions_hold_in_any_case_and_all_together() {
    let by_name = |names: &[&str]| Filter { names: texts(names), ..Filter::default() };
    check(&Filter::default(), &[1, 2]);
    check(&by_name(&["bunny"]), &[1]);
    check(&by_name(&["g b"]), &[1]);
    check(&by_name(&["\u{e9}t\u{e9}", "buck"]), &[1, 2]);
    check(&by_name(&["\u{ff}"]), &[2]);
    check(&by_name(&["bunnies"]), &[]);
    let by_tag = |tags: &[&str]| Filter { tags: texts(tags), ..Filter::default() };
    check(&by_tag(&["film", "free"]), &[1]);
    check(&by_tag(&["\u{e9}t\u{e9}"]), &[2]);
    check(&by_tag(&["film", "\u{e9}t\u{e9}"]), &[]);
    check(&by_tag(&["fil"]), &[]);
    let by_tracker = |trackers: &[&str]| Filter { trackers: texts(trackers), ..Filter::default() };
    check(&by_tracker(&["tracker.example"]), &[1]);
    check(&by_tracker(&["b.example/key"]), &[2]);
    check(&by_tracker(&["example"]), &[1, 2]);
    let by_extension = |one: &[&str]| Filter { extensions: texts(one), ..Filter::default() };
    check(&by_extension(&["srt", "flac"]), &[1]);
    check(&by_extension(&["mk"]), &[]);
    let by_state = |states: &[StateKind]| Filter { states: states.to_vec(), ..Filter::default() };
    check(&by_state(&[StateKind::Stopped, StateKind::Failed]), &[2]);
    check(&Filter { names: texts(&["bunny"]), ..by_state(&[StateKind::Stopped]) }, &[]);
    check(&Filter { names: texts(&["bunny"]), ..by_tag(&["free"]) }, &[1]);
}

#[test]
fn a_new_name_is_found_and_the_old_one_is_not() {
    let catalog = catalog();
    let renamed =
        TorrentRecord { name: "Sintel".to_owned(), ..(*catalog.get(id(1)).unwrap().record).clone() };
    catalog.commit([Change::Put(renamed.into())]);
    let found = |name: &str| {
        catalog
            .page(&Filter { names: texts(&[name]), ..Filter::default() }, Order::Newest, None, 9)
            .torrents
            .len()
    };
    assert_eq!((found("sintel"), found("bunny")), (1, 0));
}

#[test]
fn filters_that_differ_have_fingerprints_that_differ() {
    let filters = [
        Filter::default(),
        Filter { names: texts(&["a"]), ..Filter::default() },
        Filter { names: texts(&["a", "b"]), ..Filter::default() },
        Filter { names: texts(&["a\", \"b"]), ..Filter::default() },
        Filter { tags: texts(&["a"]), ..Filter::default() },
        Filter { trackers: texts(&["a"]), ..Filter::default() },
        Filter { extensions: texts(&["a"]), ..Filter::default() },
        Filter { states: vec![StateKind::Failed], ..Filter::default() },
    ];
    let all: std::collections::BTreeSet<_> = filters.iter().map(Filter::fingerprint).collect();
    assert_eq!(all.len(), filters.len());
    assert!(filters[0].is_empty() && !filters[1..].iter().any(Filter::is_empty));
}
