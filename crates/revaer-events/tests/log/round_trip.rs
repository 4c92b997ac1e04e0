//! What is stored is what comes back.

use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use revaer_events::{Event, EventFile};

use crate::{
    events::{any_event, torrent},
    support::{Database, event},
};

#[tokio::test]
async fn every_event_comes_back_from_the_database_as_it_was() {
    let database = Database::new("round_trip").await;
    let mut runner = TestRunner::deterministic();
    let mut events: Vec<Event> =
        (0..1_000).map(|_| any_event().new_tree(&mut runner).unwrap().current()).collect();
    let kinds: std::collections::BTreeSet<_> = events.iter().map(Event::kind).collect();
    assert_eq!(kinds.len(), Event::KINDS.len(), "some kind was not tried");
    database.start().await.publish(events.clone()).await;

    events.retain(Event::is_durable);
    let mut reader = database.start().await.reader(0);
    for expected in events {
        assert_eq!(event(&mut reader).await.event, expected);
    }
    database.remove().await;
}

#[tokio::test]
async fn a_text_that_postgres_cannot_hold_does_not_keep_a_batch_from_being_stored() {
    let database = Database::new("nul").await;
    let path = "\0\\u0000\\\0".to_owned();
    let files = [EventFile { path, size_bytes: 1 }].into();
    let hostile = Event::FilesDiscovered { torrent_id: torrent(1), files };
    database.start().await.publish([hostile]).await;
    let stored = event(&mut database.start().await.reader(0)).await.event;
    let Event::FilesDiscovered { files, .. } = stored else { panic!("{stored:?}") };
    assert_eq!(files[0].path, "\u{fffd}\\u0000\\\u{fffd}");
    database.remove().await;
}

proptest! {
    #[test]
    fn the_stored_form_names_the_kind_and_reads_back(event in any_event()) {
        let stored = serde_json::to_value(&event).unwrap();
        prop_assert_eq!(&stored["type"], event.kind());
        prop_assert!(Event::KINDS.contains(&event.kind()));
        prop_assert_eq!(serde_json::from_value::<Event>(stored).unwrap(), event);
    }
}
