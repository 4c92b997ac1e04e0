//! Changes by plain SQL: audited, counted, checked, and in force without a restart.

use crate::support::{Fixture, context};
use revaer_config::{AuthError, ConfigError, LogLevel};
use serde_json::json;
use sqlx::AssertSqlSafe;

#[tokio::test]
async fn one_transaction_over_all_tables_is_one_revision_that_reaches_the_watcher() {
    let (fixture, _) = Fixture::active().await;
    let tasks = fixture.watched();
    let before = fixture.revision();
    fixture
        .sql(
            "BEGIN;
            UPDATE settings_app_profile SET telemetry_log_level = 'warn';
            UPDATE settings_engine_profile SET dht = false;
            SAVEPOINT a; UPDATE settings_fs_policy SET flatten = true; ROLLBACK TO a;
            UPDATE settings_fs_policy SET flatten = flatten;
            UPDATE settings_fs_policy SET checksum = true;
            UPDATE auth_api_keys SET label = 'renamed';
            INSERT INTO settings_secret (name, sealing_key, sealed) VALUES ('a', 'k', decode(repeat('00', 40), 'hex'));
            INSERT INTO query_presets (name) VALUES ('new');
            COMMIT;",
        )
        .await
        .unwrap();
    fixture.wait_for(|snapshot| snapshot.revision.get() == before + 1).await;
    let snapshot = fixture.service.snapshot();
    assert_eq!(snapshot.app.telemetry.log_level, LogLevel::Warn);
    assert!(!snapshot.engine.dht && snapshot.fs.checksum && !snapshot.fs.flatten);
    assert_eq!(snapshot.secrets, ["a"]);
    let changes = fixture.service.changes_since(revaer_config::Revision(before)).await.unwrap();
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].sections.len(), 6);
    assert_ne!(changes[0].actor, "test", "a plain change is the role's");
    assert!(tasks.shutdown(std::time::Duration::from_secs(10)).await);
}

#[tokio::test]
async fn the_watcher_outlives_its_connections() {
    let (fixture, _) = Fixture::active().await;
    let tasks = fixture.watched();
    for port in [7001_i64, 7002, 7003] {
        fixture
            .sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid()",
            )
            .await
            .unwrap();
        let change = format!("UPDATE settings_app_profile SET http_port = {port}");
        // The pool may hand out a connection that was just cut.
        while fixture.sql(&change).await.is_err() {}
        fixture.wait_for(|snapshot| i64::from(snapshot.app.http_port) == port).await;
    }
    assert!(tasks.shutdown(std::time::Duration::from_secs(10)).await);
}

#[tokio::test]
async fn an_outage_is_reported_and_a_change_made_meanwhile_is_applied() {
    let (fixture, api_key) = Fixture::active().await;
    let tasks = fixture.watched();
    let mut degraded = fixture.telemetry.health.subscribe();
    fixture.set_reachable(false).await;
    degraded.wait_for(|names| names.contains(&"config_watcher")).await.unwrap();
    let (key_id, secret) = api_key.split_once(':').unwrap();
    fixture.service.snapshot().authenticate(key_id, secret).expect("requests are decided in memory");
    assert!(fixture.apply(json!({"engine_profile": {"dht": false}})).await.is_err());
    assert!(fixture.service.snapshot().engine.dht);

    fixture.set_reachable(true).await;
    while fixture.sql("UPDATE settings_app_profile SET http_port = 7099").await.is_err() {}
    fixture.wait_for(|snapshot| snapshot.app.http_port == 7099).await;
    degraded.wait_for(|names| !names.contains(&"config_watcher")).await.unwrap();
    assert!(tasks.shutdown(std::time::Duration::from_secs(10)).await);
}

#[tokio::test]
async fn what_would_leave_no_history_is_refused() {
    let (fixture, _) = Fixture::active().await;
    let before = fixture.stored_revision().await;
    for statement in [
        "DELETE FROM settings_app_profile",
        "TRUNCATE settings_engine_profile",
        "TRUNCATE auth_api_keys CASCADE",
        "DELETE FROM settings_revision",
        "UPDATE settings_revision SET revision = 0",
        "UPDATE settings_history SET actor = 'nobody'",
        "INSERT INTO settings_fs_policy (library_root) VALUES ('/b')",
        "UPDATE settings_app_profile SET id = gen_random_uuid()",
    ] {
        assert!(fixture.sql(statement).await.is_err(), "{statement}");
    }
    assert_eq!(fixture.stored_revision().await, before);
}

#[tokio::test]
async fn clients_that_touch_tables_in_opposite_order_do_not_deadlock() {
    let (fixture, _) = Fixture::active().await;
    let before = fixture.stored_revision().await;
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..10_i64 {
        let pool = fixture.pool.clone();
        clients.spawn(async move {
            for round in 0..10_i64 {
                let seconds = 1 + client * 10 + round;
                let engine = format!("UPDATE settings_engine_profile SET resume_save_seconds = {seconds};");
                let fs = format!("UPDATE settings_fs_policy SET job_age_limit_seconds = {seconds};");
                let (first, second) = if client % 2 == 0 { (engine, fs) } else { (fs, engine) };
                let statements = format!("BEGIN; {first} {second} COMMIT;");
                sqlx::raw_sql(AssertSqlSafe(statements)).execute(&pool).await.unwrap();
            }
        });
    }
    clients.join_all().await;
    assert_eq!(fixture.stored_revision().await, before + 100);
}

#[tokio::test]
async fn a_transaction_that_holds_the_settings_is_named() {
    let (fixture, _) = Fixture::active().await;
    let mut holder = fixture.pool.begin().await.unwrap();
    sqlx::query("SELECT revision FROM settings_revision FOR UPDATE").fetch_one(&mut *holder).await.unwrap();
    let pid: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut *holder).await.unwrap();
    let outcome = fixture.service.apply(json!({"engine_profile": {"dht": false}}), context()).await;
    match outcome {
        Err(ConfigError::Locked { blocker }) => assert_eq!(blocker, Some(pid)),
        other => panic!("{:?}", other.map(|applied| applied.sections)),
    }
}

#[tokio::test]
async fn who_waits_behind_a_transaction_is_told_in_time_and_writes_nothing_later() {
    let (fixture, _) = Fixture::active().await;
    let mut transaction = fixture.pool.begin().await.unwrap();
    sqlx::query("UPDATE settings_engine_profile SET dht = false").execute(&mut *transaction).await.unwrap();
    let before = fixture.stored_revision().await;
    let change = |port: u16| fixture.apply(json!({"app_profile": {"http_port": port}}));
    let began = std::time::Instant::now();
    let answers = tokio::join!(change(1), change(2), change(3), change(4), change(5));
    assert!(began.elapsed() < std::time::Duration::from_secs(20));
    for answer in [answers.0, answers.1, answers.2, answers.3, answers.4] {
        assert!(matches!(answer, Err(ConfigError::Locked { .. })), "{answer:?}");
    }
    transaction.rollback().await.unwrap();
    assert_eq!(fixture.stored_revision().await, before);
    change(6).await.unwrap();
}

#[tokio::test]
async fn a_jump_of_the_revision_is_refused() {
    let (fixture, _) = Fixture::active().await;
    assert!(fixture.sql("UPDATE settings_revision SET revision = 9223372036854775807").await.is_err());
    assert!(fixture.sql("UPDATE settings_revision SET revision = revision - 1").await.is_err());
    fixture.apply(json!({"app_profile": {"http_port": 7071}})).await.unwrap();
}

#[tokio::test]
async fn a_row_that_breaks_a_rule_does_not_take_effect() {
    let (fixture, _) = Fixture::active().await;
    let tasks = fixture.watched();
    let good = fixture.revision();
    // Only without its constraints can such a row be written.
    fixture
        .sql(
            "ALTER TABLE settings_app_profile DROP CONSTRAINT settings_app_profile_http_port_check;
            UPDATE settings_app_profile SET http_port = 70000",
        )
        .await
        .unwrap();
    let mut degraded = fixture.telemetry.health.subscribe();
    degraded.wait_for(|names| names.contains(&"config_watcher")).await.unwrap();
    assert_eq!((fixture.revision(), fixture.service.snapshot().app.http_port), (good, 7070));
    let restarted = fixture.reopened().await;
    assert_eq!(restarted.snapshot().app.http_port, 7070, "the last good row of the history");
    restarted.spawn_watcher(&tasks);
    assert_eq!(fixture.telemetry.health.degraded(), ["config_watcher"]);
    fixture.sql("UPDATE settings_app_profile SET http_port = 8080").await.unwrap();
    fixture.wait_for(|snapshot| snapshot.app.http_port == 8080).await;
    let mut watch = restarted.watch();
    watch.wait_for(|snapshot| snapshot.app.http_port == 8080).await.unwrap();
    degraded.wait_for(|names| !names.contains(&"config_watcher")).await.unwrap();
    drop(tasks);
}

#[tokio::test]
async fn a_broken_row_holds_up_no_other_change_and_is_mended_by_one() {
    let (fixture, _) = Fixture::active().await;
    let tasks = fixture.watched();
    fixture
        .sql(
            "ALTER TABLE settings_app_profile DROP CONSTRAINT settings_app_profile_http_port_check;
            UPDATE settings_app_profile SET http_port = 70000",
        )
        .await
        .unwrap();
    let mut degraded = fixture.telemetry.health.subscribe();
    degraded.wait_for(|names| names.contains(&"config_watcher")).await.unwrap();

    let stored = fixture.stored_revision().await;
    fixture.service.issue_key(json!({"label": "way in"}), context()).await.unwrap();
    let conditional = revaer_config::ChangeContext { if_match: Some(stored + 1), ..context() };
    let change = json!({"engine_profile": {"dht": false}});
    let applied = fixture.service.apply(change, conditional).await.unwrap();
    assert!(!applied.snapshot.engine.dht && applied.snapshot.app.http_port == 7070);
    assert_eq!(fixture.telemetry.health.degraded(), ["config_watcher"]);

    // The very value that is in force all the time.
    let mended = fixture.apply(json!({"app_profile": {"http_port": 7070}})).await.unwrap();
    assert_eq!(mended.revision.get(), stored + 3);
    degraded.wait_for(|names| !names.contains(&"config_watcher")).await.unwrap();
    drop(tasks);
}

#[tokio::test]
async fn a_key_written_by_sql_is_verified_once_and_then_fast() {
    let (fixture, api_key) = Fixture::active().await;
    let tasks = fixture.watched();
    let secret = api_key.split_once(':').unwrap().1.to_owned();
    let revision = fixture.revision();
    fixture
        .sql(
            "INSERT INTO auth_api_keys (key_id, label, secret_hash)
            SELECT 'copy', 'by hand', secret_hash FROM auth_api_keys WHERE key_id = 'admin'",
        )
        .await
        .unwrap();
    fixture.wait_for(|snapshot| snapshot.revision.get() == revision + 1).await;
    assert_eq!(fixture.service.snapshot().authenticate("copy", &secret), Err(AuthError::Unverified));
    assert_eq!(fixture.service.authenticate("copy", "wrong").await, Err(AuthError::Rejected));
    fixture.service.authenticate("copy", &secret).await.unwrap();
    fixture.service.snapshot().authenticate("copy", &secret).expect("the mark is there");
    assert_eq!(fixture.stored_revision().await, revision + 1, "a mark is no setting");
    drop(tasks);
}
