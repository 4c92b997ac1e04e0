//! Another secret key.

use std::fs;

use revaer_config::ConfigError;
use serde_json::json;

use crate::support::{Fixture, context};

#[tokio::test]
async fn a_rotated_secret_key_opens_what_the_old_one_sealed() {
    let (fixture, api_key) = Fixture::active().await;
    let (key_id, secret) = api_key.split_once(':').unwrap();
    let set = json!({"secrets": [{"op": "set", "name": "a", "value": "value of a"}]});
    fixture.apply(set.clone()).await.unwrap();
    let before = fs::read(fixture.path("secret.key")).unwrap();
    let offline = fixture.reopened().await;
    assert_eq!(offline.rotate_secret_key(context()).await.unwrap(), 1);
    assert_ne!(fs::read(fixture.path("secret.key")).unwrap(), before);
    assert!(!fixture.path("secret.key.next").exists());
    let restarted = fixture.reopened().await;
    assert!(fixture.telemetry.health.degraded().is_empty(), "the probe opens");
    // The same value again is no change, so it was opened.
    let applied = restarted.apply(set, context()).await.unwrap();
    assert!(applied.sections.is_empty());
    restarted.authenticate(key_id, secret).await.unwrap();
    restarted.snapshot().authenticate(key_id, secret).expect("marked under the new key");
}

#[tokio::test]
async fn a_rotation_that_was_cut_off_is_finished_or_forgotten() {
    let (fixture, _) = Fixture::active().await;
    let (file, next) = (fixture.path("secret.key"), fixture.path("secret.key.next"));
    let old = fs::read(&file).unwrap();
    // Before its commit: a key that nothing is sealed under lies beside.
    fixture.reopened().await.rotate_secret_key(context()).await.unwrap();
    let new = fs::read(&file).unwrap();
    fs::copy(&file, &next).unwrap();
    fs::write(&file, &old).unwrap();
    // After its commit, before the file took its place.
    drop(fixture.reopened().await);
    assert!(fixture.telemetry.health.degraded().is_empty());
    assert_eq!(fs::read(&file).unwrap(), new, "it is finished");
    assert!(!next.exists());
    fs::write(&next, &old).unwrap();
    drop(fixture.reopened().await);
    assert_eq!(fs::read(&file).unwrap(), new, "it is forgotten");
    assert!(!next.exists());
}

#[tokio::test]
async fn a_secret_that_does_not_open_stops_the_rotation() {
    let (fixture, _) = Fixture::active().await;
    fixture.apply(json!({"secrets": [{"op": "set", "name": "a", "value": "v"}]})).await.unwrap();
    fixture.sql("UPDATE settings_secret SET sealed = set_byte(sealed, 30, 1 + get_byte(sealed, 30) % 255) WHERE name = 'a'").await.unwrap();
    let before = fs::read(fixture.path("secret.key")).unwrap();
    let refused = fixture.reopened().await.rotate_secret_key(context()).await;
    assert!(matches!(refused, Err(ConfigError::Sealed { name }) if name == "a"));
    assert_eq!(fs::read(fixture.path("secret.key")).unwrap(), before);
}

#[tokio::test]
async fn a_secret_that_was_sealed_under_another_key_is_said_at_the_start() {
    let (fixture, _) = Fixture::active().await;
    fixture.apply(json!({"secrets": [{"op": "set", "name": "a", "value": "v"}]})).await.unwrap();
    fixture.sql("UPDATE settings_secret SET sealing_key = 'another' WHERE name = 'a'").await.unwrap();
    drop(fixture.reopened().await);
    assert_eq!(fixture.telemetry.health.degraded(), ["api_keys"]);
}
