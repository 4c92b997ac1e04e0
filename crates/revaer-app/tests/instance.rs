//! The instance lock on a real database: one holder, take-over, loss and return.

#![expect(clippy::unwrap_used, reason = "a test")]

mod common;

use common::database::TestDatabase;
use revaer_app::instance::{InstanceError, InstanceLock, Standing};
use revaer_telemetry::Health;
use sqlx::Connection;

const MIGRATION: &str = include_str!("../../../migrations/0005_create_instance_epoch.sql");

async fn take(database: &TestDatabase) -> Result<InstanceLock, InstanceError> {
    InstanceLock::take(&database.options).await
}

/// Cuts the connection of the holder, as a restart of the database does.
async fn cut(database: &TestDatabase) {
    sqlx::raw_sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE application_name LIKE 'revaer % on %' AND datname = current_database()",
    )
    .execute(&mut database.connect().await)
    .await
    .unwrap();
}

#[tokio::test]
async fn a_second_instance_is_told_who_holds_the_database() {
    let (database, health) = (TestDatabase::new(MIGRATION).await, Health::new());
    let guard = take(&database).await.unwrap().claim(&health).await.unwrap();
    let error = take(&database).await.unwrap_err();
    assert!(matches!(error, InstanceError::Held { .. }));
    assert!(error.to_string().contains(&format!("revaer {} on ", std::process::id())), "{error}");

    guard.release().await;
    let again = take(&database).await.unwrap().claim(&health).await.unwrap();
    again.check(&mut database.connect().await).await.unwrap();
    again.release().await;
    database.remove().await;
}

#[tokio::test]
async fn a_lost_lock_is_taken_again_and_nothing_is_written_meanwhile() {
    let (database, health) = (TestDatabase::new(MIGRATION).await, Health::new());
    let guard = take(&database).await.unwrap().claim(&health).await.unwrap();
    let mut standing = guard.watch();
    let mut degraded = health.subscribe();
    // Somebody else has the lock for a moment, without being an instance: it raises no epoch.
    cut(&database).await;
    let mut squatter = database.connect().await;
    sqlx::raw_sql("SELECT pg_advisory_lock(x'7265766165720001'::bigint)")
        .execute(&mut squatter)
        .await
        .unwrap();
    standing.wait_for(|now| *now == Standing::Lost).await.unwrap();
    degraded.wait_for(|names| names.contains(&"database")).await.unwrap();
    assert!(matches!(guard.check(&mut database.connect().await).await, Err(InstanceError::Lost)));
    squatter.close().await.unwrap();
    standing.wait_for(|now| *now == Standing::Held).await.unwrap();
    guard.check(&mut database.connect().await).await.unwrap();
    degraded.wait_for(Vec::is_empty).await.unwrap();
    guard.release().await;
    database.remove().await;
}

#[tokio::test]
async fn an_instance_that_was_taken_over_writes_no_more() {
    let (database, health) = (TestDatabase::new(MIGRATION).await, Health::new());
    let old = take(&database).await.unwrap().claim(&health).await.unwrap();
    let mut conn = database.connect().await;
    let mut transaction = conn.begin().await.unwrap();
    old.check(&mut transaction).await.unwrap();

    cut(&database).await;
    let lock = take(&database).await.unwrap();
    // The take-over waits for the transaction that has passed the check.
    let (new, ()) = tokio::join!(lock.claim(&health), async {
        sqlx::query("CREATE TABLE written (one int)").execute(&mut *transaction).await.unwrap();
        transaction.commit().await.unwrap();
    });
    let new = new.unwrap();
    let mut transaction = conn.begin().await.unwrap();
    assert!(matches!(old.check(&mut transaction).await, Err(InstanceError::Superseded { .. })));
    transaction.rollback().await.unwrap();
    assert!(old.superseded().await.starts_with("revaer "));
    new.check(&mut conn).await.unwrap();
    new.release().await;
    database.remove().await;
}
