//! A reader that is slower than the ring: it finds in the durable log what it missed, and loses `progress` only.

use revaer_events::{Event, Item};

use crate::{
    events::{added, mixed, progress, torrent},
    support::{Database, collect, durable, event, ids},
};

/// More than the ring holds.
const MANY: u128 = 10_000;

#[tokio::test]
async fn an_overtaken_reader_loses_progress_only() {
    let database = Database::new("overtaken").await;
    let mut writer = database.start().await;
    let mut reader = writer.reader(None);
    let first = writer.publish([added(1), added(2)]).await;
    assert_eq!(event(&mut reader).await.id, first[0].id);
    let mut flood = Vec::new();
    for _ in 0..10 {
        flood.extend(writer.publish(mixed(MANY / 10)).await);
    }
    let end = writer.end().await;
    let seen = collect(&mut reader).await;

    // The ring holds the newest 8,192 with the end; what is older comes from the database.
    let in_ring = flood.iter().position(|one| one.id + 8_192 > end.id).unwrap();
    let stored = durable(&flood[..in_ring]);
    let expected: Vec<u64> = [first[1].id].into_iter().chain(stored).chain(ids(&flood[in_ring..])).collect();
    assert_eq!(seen, expected);
    database.remove().await;
}

#[tokio::test]
async fn a_reader_that_is_overtaken_again_and_again_gets_every_lifecycle_event() {
    let database = Database::new("again").await;
    let mut writer = database.start().await;
    let mut reader = writer.reader(None);
    let mut expected = Vec::new();
    let mut seen = Vec::new();
    for _ in 0..5 {
        expected.extend(durable(&writer.publish(mixed(MANY)).await));
        for _ in 0..700 {
            let event = event(&mut reader).await;
            seen.extend(event.event.is_durable().then_some(event.id));
        }
    }
    let mut rest = writer.log.subscribe(Some(reader.position()), revaer_events::EventFilter::default());
    writer.end().await;
    let after = collect(&mut reader).await;
    assert_eq!(collect(&mut rest).await, after, "a reader that resumes where another one stands");
    let stored: std::collections::BTreeSet<u64> = expected.iter().copied().collect();
    seen.extend(after.into_iter().filter(|id| stored.contains(id)));
    assert_eq!(seen, expected);
    database.remove().await;
}

#[tokio::test]
async fn a_reader_overtaken_by_few_heavy_events_gets_every_one() {
    let database = Database::new("heavy").await;
    let mut writer = database.start().await;
    let mut reader = writer.reader(None);
    let mut all = Vec::new();
    for number in 0..20 {
        // Two megabytes in each: the ring holds some of them only, far fewer than its number of events.
        let heavy = Event::TorrentAdded { torrent_id: torrent(number), name: "n".repeat(2 << 20) };
        all.extend(writer.publish([heavy, progress(number)]).await);
    }
    writer.end().await;
    let seen = collect(&mut reader).await;
    assert!(seen.len() < all.len(), "progress from before the ring's begin was kept");
    let in_ring =
        all.len() - seen.iter().rev().zip(ids(&all).iter().rev()).take_while(|(a, b)| a == b).count();
    let expected: Vec<u64> = durable(&all[..in_ring]).into_iter().chain(ids(&all[in_ring..])).collect();
    assert_eq!(seen, expected);
    database.remove().await;
}

#[tokio::test]
async fn a_reader_is_told_once_that_it_is_overtaken_and_one_that_replays_is_not() {
    let database = Database::new("told").await;
    let mut writer = database.start().await;
    let (mut live, mut replaying) = (writer.reader(None), writer.reader(writer.log.newest()));
    let first = writer.publish(mixed(MANY)).await;
    assert_eq!(live.next().await.unwrap(), Item::Overtaken);
    // It goes on where it was; the other one has not come up to the present yet, so nothing has overtaken it.
    for reader in [&mut live, &mut replaying] {
        let Item::Event(event) = reader.next().await.unwrap() else { panic!("told again") };
        assert_eq!(event.id, durable(&first)[0]);
    }
    writer.end().await;
    assert_eq!(collect(&mut live).await, collect(&mut replaying).await);
    writer.publish(mixed(MANY)).await;
    for reader in [&mut live, &mut replaying] {
        assert_eq!(reader.next().await.unwrap(), Item::Overtaken, "both had come up to the present");
    }
    database.remove().await;
}
