//! What retention drops, and how readers are told.

use revaer_events::Item;
use time::{Duration, OffsetDateTime};

use crate::{
    events::{added, mixed},
    support::{Database, collect, event, ids},
};

const LONG_AGO: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;
const EVERYTHING: u64 = u64::MAX >> 1;

async fn pruned_through(database: &Database) -> u64 {
    let through: i64 = sqlx::query_scalar("SELECT pruned_through FROM event_log_state")
        .fetch_one(&database.pool)
        .await
        .unwrap();
    u64::try_from(through).unwrap()
}

#[tokio::test]
async fn pruning_by_number_keeps_the_newest_a_bounded_piece_at_a_time() {
    let database = Database::new("bounded").await;
    let all = database.start().await.publish((0..12_000).map(added)).await;
    for dropped in [5_000, 5_000, 1_900, 0, 0] {
        assert_eq!(database.prune(LONG_AGO, 100).await, dropped);
    }
    assert_eq!(pruned_through(&database).await, all[11_899].id);
    let mut writer = database.start().await;
    let mut reader = writer.reader(all[11_899].id);
    writer.end().await;
    assert_eq!(collect(&mut reader).await, ids(&all[11_900..]));
    database.remove().await;
}

#[tokio::test]
async fn pruning_by_age_drops_the_beginning_with_what_had_a_fast_clock() {
    let database = Database::new("age").await;
    let mut writer = database.start().await;
    let now = OffsetDateTime::now_utc();
    let old = now - Duration::days(40);
    let mut all = writer.publish_at(old, (0..10).map(added)).await;
    all.extend(writer.publish_at(now + Duration::days(9_000), [added(10)]).await);
    all.extend(writer.publish_at(old, [added(11)]).await);
    all.extend(writer.publish_at(now, (12..20).map(added)).await);
    assert_eq!(database.prune(now - Duration::days(30), EVERYTHING).await, 12);
    assert_eq!(pruned_through(&database).await, all[11].id);
    assert_eq!(database.prune(now - Duration::days(30), EVERYTHING).await, 0);
    assert_eq!(pruned_through(&database).await, all[11].id);
    database.remove().await;
}

#[tokio::test]
async fn a_reader_from_before_retention_is_told_so_and_goes_on_live() {
    let database = Database::new("gap").await;
    let all = database.start().await.publish((0..100).map(added)).await;
    assert_eq!(database.prune(LONG_AGO, 10).await, 90);
    let mut writer = database.start().await;
    let newest = writer.log.newest();
    let oldest = all[89].id;
    for requested in [0, all[0].id, oldest - 1] {
        let mut reader = writer.reader(requested);
        assert_eq!(reader.next().await.unwrap(), Item::Gap { requested, oldest, newest });
        assert_eq!(reader.position(), newest);
    }
    let mut late = writer.reader(0);
    late.next().await.unwrap();
    let mut in_time = writer.reader(oldest);
    let now = writer.publish([added(1)]).await;
    writer.end().await;
    assert_eq!(collect(&mut late).await, ids(&now));
    assert_eq!(collect(&mut in_time).await, ids(all[90..].iter().chain(&now)));
    database.remove().await;
}

#[tokio::test]
async fn a_reader_from_the_future_is_told_so_and_goes_on_live() {
    let database = Database::new("future").await;
    let mut writer = database.start().await;
    writer.publish([added(1)]).await;
    let newest = writer.log.newest();
    for requested in [newest + 1, 1 << 60, u64::MAX] {
        let mut reader = writer.reader(requested);
        assert_eq!(reader.next().await.unwrap(), Item::Gap { requested, oldest: 0, newest });
    }
    let mut reader = writer.reader(u64::MAX);
    reader.next().await.unwrap();
    let now = writer.publish([added(2)]).await;
    assert_eq!(event(&mut reader).await.id, now[0].id);
    database.remove().await;
}

#[tokio::test]
async fn what_retention_drops_before_a_reader_came_to_it_is_a_gap_not_a_silence() {
    let database = Database::new("meanwhile").await;
    let all = database.start().await.publish((0..1_000).map(added)).await;
    let mut writer = database.start().await;
    let newest = writer.log.newest();
    let mut reader = writer.reader(0);
    assert_eq!(event(&mut reader).await.id, all[0].id);
    assert_eq!(database.prune(LONG_AGO, 50).await, 950);
    let mut last = all[0].id;
    let gap = loop {
        match reader.next().await.unwrap() {
            Item::Event(event) => last = event.id,
            Item::Overtaken => {}
            gap @ Item::Gap { .. } => break gap,
        }
    };
    assert_eq!(gap, Item::Gap { requested: last, oldest: all[949].id, newest });
    let now = writer.publish([added(1)]).await;
    writer.end().await;
    assert_eq!(collect(&mut reader).await, ids(&now));
    database.remove().await;
}

#[tokio::test]
async fn what_is_still_in_memory_is_no_gap() {
    let database = Database::new("memory").await;
    let mut writer = database.start().await;
    let all = writer.publish(mixed(99)).await;
    assert_eq!(database.prune(LONG_AGO, 0).await, 33);
    let mut reader = writer.reader(all[0].id);
    writer.end().await;
    assert_eq!(collect(&mut reader).await, ids(&all[1..]));
    database.remove().await;
}
