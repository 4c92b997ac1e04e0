//! Filters of lists under a name.

use revaer_config::{ConfigError, PresetSort};
use serde_json::json;
use sqlx::AssertSqlSafe;

use crate::support::{Fixture, context};

#[tokio::test]
async fn a_preset_is_stored_once_changed_and_deleted() {
    let (fixture, _) = Fixture::active().await;
    let service = &fixture.service;
    let before = fixture.revision();
    let body = json!({"filter": {"state": "Seeding,stopped", "tags": ["tv", "4k"]}, "sort": "added_at:asc"});
    let stored = service.preset_put("done", body.clone(), context()).await.unwrap();
    assert_eq!(
        (stored.filter.state, stored.sort),
        (vec!["seeding".into(), "stopped".into()], Some(PresetSort::Oldest))
    );
    service.preset_put("done", body, context()).await.unwrap();
    assert_eq!(fixture.stored_revision().await, before + 1, "the same again is no change");
    service.preset_put("done", json!({}), context()).await.unwrap();
    assert!(service.snapshot().preset("done").unwrap().filter.state.is_empty());
    assert_eq!(fixture.reopened().await.snapshot().presets, service.snapshot().presets);
    let stale = revaer_config::ChangeContext { if_match: Some(before), ..context() };
    let refused = service.preset_delete("done", stale).await;
    assert!(matches!(refused, Err(ConfigError::Conflict { .. })));
    service.preset_delete("done", context()).await.unwrap();
    assert!(service.snapshot().preset("done").is_none());
    assert!(matches!(service.preset_delete("done", context()).await, Err(ConfigError::NotFound { .. })));
    let refused = service.preset_put("a b", json!({"filter": {"state": ["asleep"]}}), context()).await;
    let Err(ConfigError::Invalid { faults }) = refused else { panic!("taken") };
    assert_eq!(faults.len(), 2);
}

#[tokio::test]
async fn the_database_refuses_a_preset_that_no_list_takes() {
    let (fixture, _) = Fixture::active().await;
    for (filter, sort) in [
        (r#"{"state": ["asleep"]}"#, "NULL"),
        (r#"{"state": "seeding"}"#, "NULL"),
        (r#"{"other": []}"#, "NULL"),
        (r#"{"tags": [1]}"#, "NULL"),
        (r#"{"tags": [""]}"#, "NULL"),
        ("[]", "NULL"),
        ("{}", "'name:asc'"),
    ] {
        let statement =
            format!("INSERT INTO query_presets (name, filter, sort) VALUES ('x', '{filter}', {sort})");
        assert!(fixture.sql(&statement).await.is_err(), "{statement}");
    }
    let tasks = fixture.watched();
    let by_hand =
        r#"INSERT INTO query_presets (name, filter) VALUES ('x', '{"state": ["seeding"], "name": ["a,b"]}')"#;
    fixture.sql(by_hand).await.unwrap();
    fixture.wait_for(|snapshot| snapshot.preset("x").is_some()).await;
    let dropped = "ALTER TABLE query_presets DROP CONSTRAINT query_presets_filter_check;
        UPDATE query_presets SET filter = '{\"state\": 5}'";
    fixture.sql(dropped).await.unwrap();
    let mut degraded = fixture.telemetry.health.subscribe();
    degraded.wait_for(|names| names.contains(&"config_watcher")).await.unwrap();
    assert!(fixture.service.snapshot().preset("x").is_some(), "the last good one is in force");
    assert!(fixture.reopened().await.snapshot().preset("x").is_some(), "after a restart too");
    let count: i64 = sqlx::query_scalar(AssertSqlSafe("SELECT count(*) FROM query_presets"))
        .fetch_one(&fixture.pool)
        .await
        .unwrap();
    assert_eq!(count, 1);
    drop(tasks);
}
