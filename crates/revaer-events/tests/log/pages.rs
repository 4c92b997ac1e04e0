//! How much of the durable log a reader takes into memory at once: what it still hands out after all has been dropped.

use revaer_events::{Event, EventFilter, Item, Subscription};
use revaer_torrent_core::TorrentId;

use crate::{
    events::{added, files, torrent},
    support::{Database, Writer, event},
};

/// A log of `events` from before a restart, the server after it, and its reader with this filter from the beginning.
async fn replay(database: &Database, events: Vec<Event>, filter: EventFilter) -> (Writer, Subscription) {
    for some in events.chunks(50) {
        database.start().await.publish(some.to_vec()).await;
    }
    let writer = database.start().await;
    let reader = writer.log.subscribe(Some(0), filter);
    (writer, reader)
}

/// Reads one event, drops all, and counts what comes before the gap.
async fn held(database: &Database, reader: &mut Subscription) -> usize {
    event(reader).await;
    database.prune(time::OffsetDateTime::UNIX_EPOCH, 0).await;
    let mut count = 1;
    while let Item::Event(_) = reader.next().await.unwrap() {
        count += 1;
    }
    count
}

#[tokio::test]
async fn a_page_ends_after_so_many_events() {
    let database = Database::new("many").await;
    let (_writer, mut reader) =
        replay(&database, (0..600).map(added).collect(), EventFilter::default()).await;
    assert_eq!(held(&database, &mut reader).await, 256);
    database.remove().await;
}

#[tokio::test]
async fn a_page_ends_after_so_many_bytes() {
    let database = Database::new("bytes").await;
    let heavy = (0..40).map(|number| files(number, 100 << 10)).collect();
    let (_writer, mut reader) = replay(&database, heavy, EventFilter::default()).await;
    // A quarter of a megabyte, and the event that passes it.
    assert_eq!(held(&database, &mut reader).await, 3);
    database.remove().await;
}

#[tokio::test]
async fn an_event_larger_than_a_page_comes_alone() {
    let database = Database::new("alone").await;
    let heavy = (0..3).map(|number| files(number, 1 << 20)).collect();
    let (_writer, mut reader) = replay(&database, heavy, EventFilter::default()).await;
    assert_eq!(held(&database, &mut reader).await, 1);
    database.remove().await;
}

#[tokio::test]
async fn what_the_filter_hides_takes_no_room() {
    let database = Database::new("hidden").await;
    let both = (0..200).flat_map(|number| [files(number, 20 << 10), added(number)]).collect();
    let filter = EventFilter { kinds: vec!["torrent_added"], ..EventFilter::default() };
    let (_writer, mut reader) = replay(&database, both, filter).await;
    assert_eq!(held(&database, &mut reader).await, 128);
    database.remove().await;
}

#[tokio::test]
async fn a_reader_of_one_torrent_takes_no_other_into_memory() {
    let database = Database::new("one").await;
    let heavy = (0..300).map(|number| files(number % 50, 20 << 10)).collect();
    let filter =
        EventFilter { torrents: vec![TorrentId::from_trusted(torrent(7))], ..EventFilter::default() };
    let (writer, mut reader) = replay(&database, heavy, filter).await;
    // Five of the first 256 are its own.
    assert_eq!(held(&database, &mut reader).await, 5);
    assert_eq!(reader.position(), writer.log.newest());
    database.remove().await;
}
