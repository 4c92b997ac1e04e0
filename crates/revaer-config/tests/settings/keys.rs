//! Who is let in.

use std::time::Duration;

use revaer_config::{AuthError, ConfigError, HostKey, KeyId, RateLimit};
use revaer_telemetry::Telemetry;
use serde_json::json;
use time::OffsetDateTime;

use crate::support::{Fixture, context};

#[tokio::test]
async fn a_key_is_taken_for_its_own_secret_while_it_is_enabled_and_not_expired() {
    let (fixture, api_key) = Fixture::active().await;
    let (admin, admin_secret) = api_key.split_once(':').unwrap();
    let secret = "s".repeat(40);
    let soon = OffsetDateTime::now_utc() + Duration::from_hours(1);
    let expiry = soon.format(&time::format_description::well_known::Rfc3339).unwrap();
    let snapshot = fixture
        .apply(json!({"api_keys": [
            {"op": "upsert", "key_id": "timed", "secret": secret, "expires_at": expiry},
            {"op": "upsert", "key_id": "off", "secret": secret, "enabled": false},
        ]}))
        .await
        .unwrap();
    snapshot.authenticate(admin, admin_secret).unwrap();
    snapshot.authenticate("timed", &secret).unwrap();
    assert_eq!(snapshot.authenticate_at("timed", &secret, soon), Err(AuthError::Expired));
    assert_eq!(snapshot.authenticate("off", &secret), Err(AuthError::Disabled));
    for (key_id, secret) in
        [(admin, secret.as_str()), ("off", "wrong"), ("unknown", &secret), ("", ""), ("timed", "")]
    {
        assert_eq!(snapshot.authenticate(key_id, secret), Err(AuthError::Rejected), "{key_id}");
    }
    let said = format!("{snapshot:?} {}", snapshot.to_wire());
    assert!(!said.contains(&secret) && !said.contains("argon2id") && !said.contains("secret_hash"));
}

#[tokio::test]
async fn a_new_secret_ends_the_old_one_at_once() {
    let (fixture, api_key) = Fixture::active().await;
    let (_, old) = api_key.split_once(':').unwrap();
    let new = "n".repeat(32);
    let changed = fixture
        .apply(json!({"api_keys": [{"op": "upsert", "key_id": "admin", "secret": new}]}))
        .await
        .unwrap();
    changed.authenticate("admin", &new).unwrap();
    assert_eq!(changed.authenticate("admin", old), Err(AuthError::Rejected));
    assert_eq!(changed.key("admin").unwrap().label, "bootstrap", "what is absent stays");
}

#[tokio::test]
async fn a_rotated_secret_is_taken_until_its_grace_ends() {
    let (fixture, api_key) = Fixture::active().await;
    let (_, old) = api_key.split_once(':').unwrap();
    let rotated = fixture.service.rotate_key("admin", json!({"grace_seconds": 60}), context()).await.unwrap();
    let until = rotated.grace_until.unwrap();
    let snapshot = fixture.service.snapshot();
    assert_eq!(snapshot.authenticate("admin", &rotated.secret).unwrap().expires_at, None);
    assert_eq!(
        snapshot.authenticate("admin", old).unwrap().expires_at,
        Some(until),
        "for its caller it ends"
    );
    assert_eq!(snapshot.authenticate_at("admin", old, until), Err(AuthError::Rejected));
    snapshot.authenticate_at("admin", &rotated.secret, until).unwrap();
    // After a restart, and with marks that have to be made anew.
    fixture.sql("DELETE FROM auth_api_key_macs").await.unwrap();
    let again = fixture.reopened().await;
    assert_eq!(again.snapshot().authenticate("admin", old), Err(AuthError::Unverified));
    assert_eq!(again.authenticate("admin", old).await.unwrap().expires_at, Some(until));
    again.authenticate("admin", &rotated.secret).await.unwrap();
    again.snapshot().authenticate("admin", old).unwrap();
    again.snapshot().authenticate("admin", &rotated.secret).unwrap();
    assert_eq!(again.authenticate("admin", "wrong").await, Err(AuthError::Rejected));
}

#[tokio::test]
async fn a_rotation_without_grace_ends_the_old_secret_at_once() {
    let (fixture, api_key) = Fixture::active().await;
    let (_, old) = api_key.split_once(':').unwrap();
    let rotated = fixture.service.rotate_key("admin", json!({"grace_seconds": 0}), context()).await.unwrap();
    assert_eq!(rotated.grace_until, None);
    assert_eq!(fixture.service.snapshot().authenticate("admin", old), Err(AuthError::Rejected));
    assert_eq!(fixture.service.authenticate("admin", old).await, Err(AuthError::Rejected));
}

#[tokio::test]
async fn a_rotation_with_a_secret_of_the_clients_can_be_repeated() {
    let (fixture, api_key) = Fixture::active().await;
    let (_, old) = api_key.split_once(':').unwrap();
    let body = json!({"secret": "r".repeat(32)});
    let first = fixture.service.rotate_key("admin", body.clone(), context()).await.unwrap();
    let revision = fixture.revision();
    let second = fixture.service.rotate_key("admin", body, context()).await.unwrap();
    assert_eq!((first.secret, first.grace_until), (second.secret, second.grace_until));
    assert_eq!(fixture.stored_revision().await, revision);
    fixture.service.snapshot().authenticate("admin", old).expect("its grace goes on");
}

#[tokio::test]
async fn a_second_rotation_keeps_the_promise_of_the_first_unless_it_is_to_end_at_once() {
    let (fixture, api_key) = Fixture::active().await;
    let (_, first) = api_key.split_once(':').unwrap();
    let rotate = async |seconds: u64| {
        let body = json!({"grace_seconds": seconds});
        fixture.service.rotate_key("admin", body, context()).await
    };
    let second = rotate(60).await.unwrap();
    let promised = second.grace_until.unwrap();
    let third = rotate(300).await.unwrap();
    let snapshot = fixture.service.snapshot();
    assert_eq!(snapshot.authenticate("admin", first).unwrap().expires_at, Some(promised));
    snapshot.authenticate("admin", &second.secret).unwrap();
    assert_eq!(snapshot.authenticate_at("admin", first, promised), Err(AuthError::Rejected));
    // The same secret again with less grace ends those before it earlier.
    let body = json!({"secret": third.secret, "grace_seconds": 0});
    let again = fixture.service.rotate_key("admin", body, context()).await.unwrap();
    assert_eq!(again.grace_until, None);
    let snapshot = fixture.service.snapshot();
    for ended in [first, &second.secret] {
        assert_eq!(snapshot.authenticate("admin", ended), Err(AuthError::Rejected));
    }
    snapshot.authenticate("admin", &third.secret).unwrap();
    for _ in 0..4 {
        rotate(60).await.unwrap();
    }
    assert!(matches!(rotate(60).await, Err(ConfigError::Invalid { .. })), "a fifth secret of before");
    rotate(0).await.unwrap();
}

#[tokio::test]
async fn the_last_way_in_is_closed_by_no_number_of_steps() {
    let (fixture, _) = Fixture::active().await;
    let soon = OffsetDateTime::now_utc() + Duration::from_mins(5);
    let soon = soon.format(&time::format_description::well_known::Rfc3339).unwrap();
    let ending = json!({"key_id": "tmp", "label": "l", "expires_at": soon});
    fixture.service.issue_key(ending, context()).await.unwrap();
    for closing in [
        json!({"op": "upsert", "key_id": "admin", "enabled": false}),
        json!({"op": "upsert", "key_id": "admin", "expires_at": soon}),
        json!({"op": "delete", "key_id": "admin"}),
    ] {
        let refused = fixture.apply(json!({"api_keys": [closing]})).await;
        assert!(matches!(refused, Err(ConfigError::LastKey)), "{closing}");
    }
    // Where only keys with ends are left, none of them may end earlier; another one may come.
    fixture.sql("UPDATE auth_api_keys SET enabled = false WHERE key_id = 'admin'").await.unwrap();
    let service = fixture.reopened().await;
    assert!(matches!(service.revoke_key("tmp", context()).await, Err(ConfigError::LastKey)));
    service.issue_key(json!({"label": "another"}), context()).await.unwrap();
    service.revoke_key("tmp", context()).await.unwrap();
}

#[tokio::test]
async fn a_key_with_an_end_is_issued_on_the_host_though_no_other_works() {
    let (fixture, _) = Fixture::active().await;
    fixture.sql("UPDATE auth_api_keys SET enabled = false").await.unwrap();
    let expires_at = Some(OffsetDateTime::now_utc() + Duration::from_hours(1));
    let key_id = KeyId::new("way-in").unwrap();
    let wanted = HostKey { key_id: Some(key_id), label: None, expires_at, replace: false };
    let service = fixture.reopened().await;
    let issued = service.issue_key_on_host(wanted, context()).await.unwrap();
    service.snapshot().authenticate("way-in", &issued.secret).unwrap();
}

#[tokio::test]
async fn keys_are_issued_and_revoked_one_at_a_time() {
    let (fixture, _) = Fixture::active().await;
    let service = &fixture.service;
    let issued = service.issue_key(json!({"label": "sonarr"}), context()).await.unwrap();
    let name = issued.info.key_id.to_string();
    assert!(name.starts_with("key-"), "{name}");
    assert_eq!(issued.info.rate_limit, Some(RateLimit::DEFAULT));
    assert!(issued.secret.len() >= 43, "256 random bits");
    service.snapshot().authenticate(&name, &issued.secret).unwrap();
    let unlimited = json!({"key_id": "free", "label": "l", "rate_limit": null});
    assert_eq!(service.issue_key(unlimited, context()).await.unwrap().info.rate_limit, None);
    let taken = service.issue_key(json!({"key_id": "free", "label": "l"}), context()).await;
    assert!(matches!(taken, Err(ConfigError::Exists { .. })));
    let bad =
        json!({"label": "", "rate_limit": {"burst": 0, "per_seconds": 1}, "expires_at": "soon", "more": 1});
    let Err(ConfigError::Invalid { faults }) = service.issue_key(bad, context()).await else {
        panic!("taken")
    };
    let mut pointers: Vec<_> = faults.iter().map(|fault| fault.pointer.as_str()).collect();
    pointers.sort_unstable();
    assert_eq!(pointers, ["/expires_at", "/label", "/more", "/rate_limit"]);
    let past = json!({"label": "l", "expires_at": "2020-01-01T00:00:00Z"});
    assert!(matches!(service.issue_key(past, context()).await, Err(ConfigError::Invalid { .. })));
    let Err(ConfigError::Invalid { faults }) = service.issue_key(json!({}), context()).await else {
        panic!("a key without a label")
    };
    assert_eq!(faults[0].pointer, "/label");

    service.revoke_key(&name, context()).await.unwrap();
    assert_eq!(service.snapshot().authenticate(&name, &issued.secret), Err(AuthError::Rejected));
    assert!(matches!(service.revoke_key(&name, context()).await, Err(ConfigError::NotFound { .. })));
    assert!(matches!(
        service.rotate_key("none", json!({}), context()).await,
        Err(ConfigError::NotFound { .. })
    ));
    service.revoke_key("free", context()).await.unwrap();
    assert!(matches!(service.revoke_key("admin", context()).await, Err(ConfigError::LastKey)));
}

#[tokio::test]
async fn whoever_is_on_the_host_gets_a_key_whatever_the_settings_say() {
    let (fixture, _) = Fixture::active().await;
    fixture.apply(json!({"app_profile": {"immutable_keys": ["api_keys"]}})).await.unwrap();
    let refused = fixture.service.issue_key(json!({"label": "l"}), context()).await;
    assert!(matches!(refused, Err(ConfigError::Invalid { .. })));
    let wanted = |replace| HostKey { key_id: KeyId::new("admin"), label: None, expires_at: None, replace };
    let host = &fixture.service;
    assert!(matches!(
        host.issue_key_on_host(wanted(false), context()).await,
        Err(ConfigError::Exists { .. })
    ));
    fixture.sql("UPDATE auth_api_keys SET enabled = false, expires_at = now()").await.unwrap();
    let issued = fixture.reopened().await.issue_key_on_host(wanted(true), context()).await.unwrap();
    let reopened = fixture.reopened().await;
    reopened.snapshot().authenticate("admin", &issued.secret).unwrap();
}

#[tokio::test]
async fn an_unlimited_key_is_a_guard_rail_and_degrades_only_where_that_is_wanted() {
    let (fixture, _) = Fixture::active().await;
    let telemetry = fixture.telemetry.clone();
    assert_eq!((telemetry.metrics.guardrail_violations(), telemetry.guardrails.entries().len()), (0, 0));
    let unlimited = json!({"key_id": "free", "label": "l", "rate_limit": null});
    fixture.service.issue_key(unlimited, context()).await.unwrap();
    fixture
        .apply(json!({"engine_profile": {"max_download_bps": 0, "max_upload_bps": 625_000_001}}))
        .await
        .unwrap();
    assert_eq!(telemetry.metrics.guardrail_violations(), 3);
    assert_eq!(telemetry.guardrails.entries().len(), 3);
    assert!(telemetry.health.degraded().is_empty());
    let warn = |wanted: bool| json!({"app_profile": {"features": {"warn_unlimited_rates": wanted}}});
    fixture.apply(warn(true)).await.unwrap();
    assert_eq!(telemetry.health.degraded(), ["api_keys", "engine_rate_guard"]);
    fixture.apply(warn(false)).await.unwrap();
    assert!(telemetry.health.degraded().is_empty());
    // A restart knows what stands and counts nothing again.
    let fresh = Telemetry::new();
    let again = fixture.reopened_with(&fresh).await;
    assert_eq!((fresh.metrics.guardrail_violations(), fresh.guardrails.entries().len()), (0, 3));
    let limits = json!({"engine_profile": {"max_download_bps": 1000, "max_upload_bps": 625_000_000},
        "api_keys": [{"op": "delete", "key_id": "free"}]});
    again.apply(limits, context()).await.unwrap();
    assert!(fresh.guardrails.entries().is_empty());
}
