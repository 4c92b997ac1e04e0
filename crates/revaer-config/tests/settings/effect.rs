//! From a commit to its effect: subscribers, their word, and what it is measured by.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use revaer_config::{AddressKeeper, ConfigError, Fence, Fencing, Reservation, Reserving, Revision};
use serde_json::json;

use crate::support::{Fixture, context};

#[tokio::test]
async fn the_latency_is_that_of_the_last_subscriber() {
    let (fixture, _) = Fixture::active().await;
    let tasks = fixture.watched();
    let (mut quick, mut slow) = (fixture.service.subscribe("quick"), fixture.service.subscribe("slow"));
    for subscriber in [&mut quick, &mut slow] {
        let present = subscriber.changed().await.unwrap();
        subscriber.applied(present.revision);
    }
    let figures = || fixture.telemetry.metrics.config_figures();
    let before = figures().apply_latency_ms;
    fixture.sql("UPDATE settings_engine_profile SET max_upload_bps = 9").await.unwrap();
    let changed = quick.changed().await.unwrap();
    assert_eq!(changed.engine.max_upload_bps, Some(9));
    assert!(figures().watch_latency_ms > 0.0);
    quick.applied(changed.revision);
    assert_eq!(figures().apply_latency_ms.to_bits(), before.to_bits(), "one of two");
    let changed = slow.changed().await.unwrap();
    slow.applied(changed.revision);
    assert_ne!(figures().apply_latency_ms.to_bits(), before.to_bits());
    assert!(figures().apply_latency_ms >= figures().watch_latency_ms);
    drop(tasks);
}

#[tokio::test]
async fn subscribers_read_whole_snapshots_and_not_deltas() {
    let (fixture, _) = Fixture::active().await;
    let tasks = fixture.watched();
    let mut subscriber = fixture.service.subscribe("reader");
    // Two sections change together, by turns from here and by plain SQL, faster than anybody reads.
    let (last, pool, service) = (60_u32, fixture.pool.clone(), fixture.service.clone());
    let mut writer = tokio::task::JoinSet::new();
    writer.spawn(async move {
        for number in 1..=last {
            if number % 2 == 0 {
                let body = json!({"engine_profile": {"max_active": number},
                    "fs_policy": {"job_age_limit_seconds": number}});
                service.apply(body, context()).await.unwrap();
            } else {
                let statements = format!(
                    "BEGIN; UPDATE settings_fs_policy SET job_age_limit_seconds = {number};
                    UPDATE settings_engine_profile SET max_active = {number}; COMMIT;"
                );
                sqlx::raw_sql(sqlx::AssertSqlSafe(statements)).execute(&pool).await.unwrap();
            }
        }
    });
    let mut seen = subscriber.changed().await.unwrap();
    while seen.engine.max_active != Some(last) {
        let next = subscriber.changed().await.unwrap();
        assert!(next.revision > seen.revision);
        assert_eq!(next.engine.max_active.map(u64::from), Some(next.fs.job_age_limit_seconds));
        // Everything else is there too.
        assert_eq!((&next.app, next.api_keys.len()), (&seen.app, 1));
        seen = next;
    }
    writer.join_all().await;
    drop(tasks);
}

#[tokio::test]
async fn a_transaction_that_stays_open_does_not_look_late() {
    let (fixture, _) = Fixture::active().await;
    let mut transaction = fixture.pool.begin().await.unwrap();
    sqlx::query("UPDATE settings_engine_profile SET max_upload_bps = 9")
        .execute(&mut *transaction)
        .await
        .unwrap();
    sqlx::query("SELECT pg_sleep(1.5)").execute(&mut *transaction).await.unwrap();
    transaction.commit().await.unwrap();
    let age: f64 = sqlx::query_scalar(
        "SELECT extract(epoch FROM clock_timestamp() - changed_at)::float8 FROM settings_revision",
    )
    .fetch_one(&fixture.pool)
    .await
    .unwrap();
    assert!(age < 1.4, "{age} s");
}

#[tokio::test]
async fn who_has_not_put_a_revision_in_force_is_named() {
    let (fixture, _) = Fixture::active().await;
    let tasks = fixture.watched();
    let mut engine = fixture.service.subscribe("engine");
    engine.applied(fixture.service.snapshot().revision);
    let changed = fixture.apply(json!({"engine_profile": {"dht": false}})).await.unwrap();
    let mut degraded = fixture.telemetry.health.subscribe();
    degraded.wait_for(|names| names.contains(&"config_watcher")).await.unwrap();
    let said = format!("{:?}", fixture.telemetry.health.snapshot());
    assert!(said.contains("engine has not taken it over"), "{said}");
    assert_eq!(fixture.telemetry.metrics.config_figures().slow, 1);
    engine.changed().await.unwrap();
    engine.applied(changed.revision);
    let quick = fixture.apply(json!({"engine_profile": {"dht": true}})).await.unwrap();
    engine.applied(quick.revision);
    degraded.wait_for(Vec::is_empty).await.unwrap();
    drop(tasks);
}

#[tokio::test]
async fn a_changeset_that_changes_nothing_is_told_all_the_same() {
    let (fixture, _) = Fixture::active().await;
    let mut unchanged = fixture.service.unchanged();
    let applied = fixture.service.apply(json!({"engine_profile": {"dht": true}}), context()).await.unwrap();
    assert!(applied.sections.is_empty());
    let told = unchanged.recv().await.unwrap();
    assert_eq!((told.revision, told.sections.len()), (applied.snapshot.revision, 0));
    assert_eq!(told.request_id.as_deref(), Some("request-1"));
}

#[derive(Default)]
struct Scripted {
    told: Arc<Mutex<Vec<String>>>,
}

impl AddressKeeper for Scripted {
    fn reserve(&self, address: SocketAddr) -> Reserving<'_> {
        self.told.lock().unwrap().push(address.to_string());
        let taken = ScriptedReservation { told: Arc::clone(&self.told), kept: false };
        Box::pin(async move {
            match address.port() {
                81 => Err("it is taken".to_owned()),
                _ => Ok(Box::new(taken) as Box<dyn Reservation>),
            }
        })
    }
}

struct ScriptedReservation {
    told: Arc<Mutex<Vec<String>>>,
    kept: bool,
}

impl Reservation for ScriptedReservation {
    fn keep(mut self: Box<Self>, revision: Revision) {
        self.told.lock().unwrap().push(format!("kept by {revision}"));
        self.kept = true;
    }
}

impl Drop for ScriptedReservation {
    fn drop(&mut self) {
        if !self.kept {
            self.told.lock().unwrap().push("given back".to_owned());
        }
    }
}

#[tokio::test]
async fn an_address_that_cannot_be_listened_on_is_refused() {
    let (fixture, _) = Fixture::active().await;
    let keeper = Arc::new(Scripted::default());
    fixture.service.set_address_keeper(keeper.clone());
    let asked = || std::mem::take(&mut *keeper.told.lock().unwrap());
    let refused = fixture.apply(json!({"app_profile": {"http_port": 81}})).await;
    let Err(ConfigError::Invalid { faults }) = refused else { panic!("taken") };
    assert_eq!(
        (faults[0].pointer.as_str(), faults[0].message.as_str()),
        ("/app_profile/http_port", "it is taken")
    );
    assert_eq!(asked(), ["127.0.0.1:81", "given back"]);
    let moved = fixture.apply(json!({"app_profile": {"http_port": 82, "bind_addr": "::1"}})).await.unwrap();
    assert_eq!(asked(), ["[::1]:82".to_owned(), format!("kept by {}", moved.revision)]);
    fixture.apply(json!({"app_profile": {"http_port": 82}})).await.unwrap();
    assert!(asked().is_empty(), "nothing moves");
    // A change that fails after the reservation gives it back.
    let context = revaer_config::ChangeContext { if_match: Some(1), ..context() };
    let stale = fixture.service.apply(json!({"app_profile": {"http_port": 83}}), context).await;
    assert!(matches!(stale, Err(ConfigError::Conflict { .. })));
    assert_eq!(asked(), ["[::1]:83", "given back"]);
}

struct TakenOver;

impl Fence for TakenOver {
    fn check<'a>(&'a self, _connection: &'a mut sqlx::PgConnection) -> Fencing<'a> {
        Box::pin(async { Err("another has taken over".to_owned()) })
    }
}

#[tokio::test]
async fn who_was_taken_over_changes_no_settings() {
    let (fixture, _) = Fixture::active().await;
    let before = fixture.stored_revision().await;
    fixture.service.set_fence(Arc::new(TakenOver));
    let refused = fixture.apply(json!({"engine_profile": {"dht": false}})).await;
    assert!(matches!(refused, Err(ConfigError::Fenced { .. })));
    assert!(matches!(
        fixture.service.issue_key(json!({"label": "l"}), context()).await,
        Err(ConfigError::Fenced { .. })
    ));
    assert_eq!(fixture.stored_revision().await, before);
}
