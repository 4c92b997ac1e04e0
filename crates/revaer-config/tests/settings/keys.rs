//! Who is let in.

use std::time::Duration;

use revaer_config::AuthError;
use serde_json::json;
use time::OffsetDateTime;

use crate::support::Fixture;

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
