//! Event numbers: they only grow, whatever ends a process or happens to the database.

use revaer_events::Numbers;
use sqlx::{Connection, PgConnection};

use crate::{
    events::added,
    support::{Database, durable},
};

const BLOCK: u64 = 65_536;

async fn take(numbers: &mut Numbers, connection: &mut PgConnection, count: u64) -> Vec<u64> {
    numbers.ensure(connection, count).await.unwrap();
    (0..count).map(|_| numbers.take().unwrap()).collect()
}

fn assert_growing(ids: &[u64]) {
    assert!(ids.is_sorted_by(|one, next| one < next), "numbers repeat or fall");
}

#[tokio::test]
async fn numbers_grow_over_restarts() {
    let database = Database::new("restarts").await;
    let mut all = Vec::new();
    for _ in 0..5 {
        let mut writer = database.start().await;
        assert!(all.last().is_none_or(|newest| *newest <= writer.log.newest()));
        all.extend(durable(&writer.publish((0..3).map(added)).await));
    }
    assert_growing(&all);
    assert_eq!(all[0], 1);
    assert_eq!(all[3], BLOCK + 1);
    database.remove().await;
}

#[tokio::test]
async fn a_lease_is_used_up_then_refuses_then_is_renewed() {
    let database = Database::new("blocks").await;
    let mut connection = database.pool.acquire().await.unwrap();
    let mut numbers = Numbers::lease(&mut connection).await.unwrap();
    let mut all = take(&mut numbers, &mut connection, BLOCK).await;
    assert_eq!(numbers.take(), None);
    assert_eq!(numbers.newest(), BLOCK);
    all.extend(take(&mut numbers, &mut connection, 1).await);
    all.extend(take(&mut numbers, &mut connection, 3 * BLOCK).await);
    assert_growing(&all);
    assert_eq!(all.last(), Some(&(4 * BLOCK + 1)));
    drop(connection);
    database.remove().await;
}

#[tokio::test]
async fn a_restore_that_raised_the_lease_leaves_a_hole() {
    let database = Database::new("raised").await;
    let mut connection = database.pool.acquire().await.unwrap();
    let mut numbers = Numbers::lease(&mut connection).await.unwrap();
    let mut all = take(&mut numbers, &mut connection, BLOCK - 1).await;
    let raise = "UPDATE event_log_state SET leased_through = leased_through + 4294967296";
    sqlx::query(raise).execute(&mut *connection).await.unwrap();
    all.extend(take(&mut numbers, &mut connection, 3).await);
    assert_growing(&all);
    assert!(all.last().unwrap() > &(1 << 32));
    drop(connection);
    database.remove().await;
}

#[tokio::test]
async fn numbers_do_not_repeat_when_an_older_database_comes_back_or_a_lease_is_rolled_back() {
    let database = Database::new("older").await;
    let mut connection = database.pool.acquire().await.unwrap();
    let mut numbers = Numbers::lease(&mut connection).await.unwrap();
    let mut all = take(&mut numbers, &mut connection, 2 * BLOCK).await;
    sqlx::query("UPDATE event_log_state SET leased_through = 10").execute(&mut *connection).await.unwrap();
    all.extend(take(&mut numbers, &mut connection, BLOCK).await);

    let mut transaction = connection.begin().await.unwrap();
    all.extend(take(&mut numbers, &mut transaction, BLOCK).await);
    transaction.rollback().await.unwrap();
    all.extend(take(&mut numbers, &mut connection, 3 * BLOCK).await);
    assert_growing(&all);

    let mut restarted = Numbers::lease(&mut connection).await.unwrap();
    assert!(restarted.take().unwrap() > *all.last().unwrap());
    drop(connection);
    database.remove().await;
}

#[tokio::test]
async fn numbers_that_javascript_cannot_hold_are_refused() {
    let database = Database::new("largest").await;
    let mut connection = database.pool.acquire().await.unwrap();
    let nearly = "UPDATE event_log_state SET leased_through = 9007199254740992 - 65536";
    sqlx::query(nearly).execute(&mut *connection).await.unwrap();
    let refused = Numbers::lease(&mut connection).await.unwrap_err();
    assert!(refused.as_database_error().is_some_and(sqlx::error::DatabaseError::is_check_violation));
    drop(connection);
    database.remove().await;
}
