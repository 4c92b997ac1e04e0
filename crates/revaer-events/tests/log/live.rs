//! Replay, then live: nothing lost, doubled or out of order, whatever a reader asks for and however it is polled.

use revaer_events::{Event, EventFilter, Item};
use revaer_torrent_core::{StateKind, TorrentId};
use tokio::task::JoinSet;

use crate::{
    events::{added, mixed, progress, settings, torrent},
    support::{Database, collect, durable, event, ids},
};

#[tokio::test(flavor = "multi_thread")]
async fn readers_from_anywhere_see_every_lifecycle_event_once_and_in_order() {
    let database = Database::new("anywhere").await;
    let past = database.start().await.publish(mixed(900)).await;
    let mut writer = database.start().await;
    let only_added = EventFilter { kinds: vec!["torrent_added"], ..EventFilter::default() };
    let starts: Vec<Option<u64>> = [None, Some(0)]
        .into_iter()
        .chain([0, 1, 299, 777, 899].map(|index: usize| Some(past[index].id)))
        .chain([Some(writer.log.newest())])
        .collect();

    let mut readers = JoinSet::new();
    for after in starts {
        for filter in [EventFilter::default(), only_added.clone()] {
            let mut reader = writer.log.subscribe(after, filter);
            readers.spawn(async move { (after, collect_lifecycle(&mut reader).await) });
        }
    }
    let mut all = past;
    for _ in 0..150 {
        all.extend(writer.publish(mixed(90)).await);
        tokio::task::yield_now().await;
    }
    let began_at = all[900].id - 1;
    let last = Event::TorrentAdded { torrent_id: torrent(0), name: LAST.to_owned() };
    writer.publish([last]).await;

    let all = durable(&all);
    while let Some(reader) = readers.join_next().await {
        let (after, seen) = reader.unwrap();
        let after = after.unwrap_or(began_at);
        let expected: Vec<u64> = all.iter().copied().filter(|id| *id > after).collect();
        assert_eq!(seen, expected, "a reader from {after}");
    }
    database.remove().await;
}

const LAST: &str = "the last";

/// Lifecycle events up to the torrent called [`LAST`].
async fn collect_lifecycle(reader: &mut revaer_events::Subscription) -> Vec<u64> {
    let mut seen = Vec::new();
    let mut newest = 0;
    loop {
        let event = event(reader).await;
        assert!(event.id > newest, "{} came after {newest}", event.id);
        newest = event.id;
        match &event.event {
            Event::TorrentAdded { name, .. } if name == LAST => return seen,
            Event::TorrentAdded { .. } => seen.push(event.id),
            _ => {}
        }
    }
}

#[tokio::test]
async fn progress_comes_live_but_not_from_before_a_restart() {
    let database = Database::new("progress").await;
    let past = database.start().await.publish([added(1), progress(1), added(2)]).await;
    let mut writer = database.start().await;
    let mut reader = writer.reader(0);
    let now = writer.publish([progress(1), added(3)]).await;
    writer.end().await;
    assert_eq!(collect(&mut reader).await, [past[0].id, past[2].id, now[0].id, now[1].id]);
    database.remove().await;
}

#[tokio::test]
async fn a_reader_that_is_given_up_at_any_moment_loses_nothing() {
    let database = Database::new("cancel").await;
    let mut all = database.start().await.publish(mixed(1_500)).await;
    let mut writer = database.start().await;
    let mut reader = writer.reader(0);
    let mut seen = Vec::new();
    let mut patience: u32 = 0;
    let mut given_up = 0;
    while seen.last() != Some(&u64::MAX) {
        if seen.len() == 500 && all.len() == 1_500 {
            all.extend(writer.publish([added(9), progress(9), added(9)]).await);
            writer.end().await;
        }
        // One poll at first, then ever longer, until there is an event.
        let waited_enough = async {
            for _ in 0..patience {
                tokio::task::yield_now().await;
            }
        };
        let before = seen.len();
        tokio::select! {
            biased;
            item = reader.next() => match item.unwrap() {
                Item::Event(event) if event.event == settings(crate::support::END) => seen.push(u64::MAX),
                Item::Event(event) => seen.push(event.id),
                Item::Overtaken => {}
                gap @ Item::Gap { .. } => panic!("{gap:?}"),
            },
            () = waited_enough => given_up += 1,
        }
        patience = if seen.len() > before { 0 } else { patience + patience / 4 + 1 };
    }
    seen.pop();
    let expected: Vec<u64> = durable(&all[..1_500]).into_iter().chain(ids(&all[1_500..])).collect();
    assert_eq!(seen, expected);
    assert!(given_up > 0, "it was never given up");
    database.remove().await;
}

#[tokio::test]
async fn filters_hold_in_replay_and_live() {
    let database = Database::new("filters").await;
    let changed = |number, state: &str| Event::StateChanged {
        torrent_id: torrent(number),
        state: state.to_owned(),
        message: None,
    };
    let batch = || [added(1), added(2), changed(1, "seeding"), changed(2, "seeding"), changed(1, "failed")];
    let past = database.start().await.publish(batch()).await;
    let mut writer = database.start().await;
    let id = TorrentId::from_trusted(torrent(1));
    let filter = |torrents, kinds, states| EventFilter { torrents, kinds, states };
    let cases = [
        (filter(vec![id], vec![], vec![]), vec![0, 2, 4]),
        (filter(vec![], vec!["torrent_added", "settings_changed"], vec![]), vec![0, 1]),
        (filter(vec![], vec![], vec![StateKind::Failed]), vec![0, 1, 4]),
        (filter(vec![id], vec!["state_changed", "settings_changed"], vec![StateKind::Seeding]), vec![2]),
    ];
    let mut readers: Vec<_> =
        cases.iter().map(|(filter, _)| writer.log.subscribe(Some(0), filter.clone())).collect();
    let now = writer.publish(batch()).await;
    writer.end().await;
    for (reader, (filter, expected)) in readers.iter_mut().zip(&cases) {
        let both = [&past, &now].map(|batch| expected.iter().map(|index| batch[*index].id));
        assert_eq!(collect(reader).await, both.into_iter().flatten().collect::<Vec<_>>(), "{filter:?}");
    }
    database.remove().await;
}

#[tokio::test]
async fn the_position_moves_past_what_the_filter_hides() {
    let database = Database::new("position").await;
    let mut writer = database.start().await;
    let filter = EventFilter { kinds: vec!["torrent_removed"], ..EventFilter::default() };
    let mut reader = writer.log.subscribe(None, filter);
    let hidden = writer.publish(mixed(10)).await;
    tokio::select! {
        biased;
        item = reader.next() => panic!("nothing was expected: {item:?}"),
        () = std::future::ready(()) => {}
    }
    assert_eq!(reader.position(), hidden[9].id);
    database.remove().await;
}

#[tokio::test]
async fn an_event_says_the_same_time_live_and_replayed() {
    let database = Database::new("time").await;
    let mut writer = database.start().await;
    let mut reader = writer.reader(None);
    let at = time::macros::datetime!(2026-01-02 03:04:05.123456789 UTC);
    writer.publish_at(at, [added(1)]).await;
    let live = event(&mut reader).await;
    let replayed = event(&mut database.start().await.reader(0)).await;
    assert_eq!(live, replayed);
    database.remove().await;
}
