//! The database is away: readers of the ring do not notice, the others are told and keep their place.

use crate::{
    events::{added, mixed},
    support::{Database, collect, event, ids},
};

#[tokio::test]
async fn a_replay_goes_on_where_it_was_when_the_database_is_back() {
    let database = Database::new("away").await;
    let all = database.start().await.publish((0..600).map(added)).await;
    let mut writer = database.start().await;
    let mut reader = writer.reader(0);
    let mut seen = vec![event(&mut reader).await.id];
    database.allow_connections(false).await;
    // The page that was read is handed out; then the position stays, however often it is asked.
    while let Ok(item) = reader.next().await {
        let revaer_events::Item::Event(event) = item else { panic!("{item:?}") };
        seen.push(event.id);
    }
    let position = reader.position();
    assert_eq!(Some(&position), seen.last());
    reader.next().await.unwrap_err();
    assert_eq!(reader.position(), position);
    let mut late = writer.reader(all[99].id);
    late.next().await.unwrap_err();
    let mut future = writer.reader(u64::MAX);
    future.next().await.unwrap_err();

    database.allow_connections(true).await;
    writer.end().await;
    seen.extend(collect(&mut reader).await);
    assert_eq!(seen, ids(&all));
    assert_eq!(collect(&mut late).await, ids(&all[100..]));
    assert!(matches!(future.next().await.unwrap(), revaer_events::Item::Gap { .. }));
    database.remove().await;
}

#[tokio::test]
async fn readers_of_the_ring_do_not_need_the_database() {
    let database = Database::new("ring_only").await;
    let mut writer = database.start().await;
    let all = writer.publish(mixed(50)).await;
    writer.end().await;
    database.allow_connections(false).await;
    let mut reader = writer.reader(all[9].id);
    assert_eq!(collect(&mut reader).await, ids(&all[10..]));
    database.allow_connections(true).await;
    database.remove().await;
}
