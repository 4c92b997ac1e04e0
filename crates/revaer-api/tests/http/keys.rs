//! API keys: listed, issued, given another secret, revoked.

use std::time::Duration;

use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::support::{Fixture, client::Client, pointers};

const KEYS: &str = "/v1/auth/keys";

async fn issue(client: &Client, body: Value) -> Value {
    client.post(KEYS, &body).await.expect(201)
}

fn api_key(answer: &Value) -> &str {
    answer["api_key"].as_str().unwrap()
}

#[tokio::test]
async fn an_issued_key_opens_the_door_and_is_listed_without_its_secret() {
    let (fixture, client) = Fixture::active().await;
    let answer = client.post(KEYS, &json!({"key_id": "laptop", "label": "my laptop"})).await;
    assert_eq!(answer.headers["cache-control"], "no-store");
    let issued = answer.expect(201);
    assert_eq!(issued["key_id"], "laptop");
    assert_eq!(issued["label"], "my laptop");
    assert_eq!(issued["rate_limit"], json!({"burst": 120, "per_seconds": 1}));
    assert!(issued.get("expires_at").is_none() && issued.get("grace_until").is_none(), "{issued}");
    let secret = api_key(&issued).strip_prefix("laptop:").unwrap();
    assert_eq!(secret.len(), 43);
    fixture.client().with_key(api_key(&issued)).get("/v1/torrents").await.expect(200);
    let list = client.get(KEYS).await;
    assert!(!list.text.contains(secret) && !list.text.contains("argon2id"), "{}", list.text);
    let keys = list.expect(200)["keys"].as_array().unwrap().clone();
    let laptop = keys.iter().find(|key| key["key_id"] == "laptop").unwrap();
    assert_eq!(laptop["enabled"], true);
    assert_eq!(laptop["created_at"], issued["created_at"]);
}

#[tokio::test]
async fn a_key_without_a_name_gets_one() {
    let (_fixture, client) = Fixture::active().await;
    let one = issue(&client, json!({"label": "a"})).await;
    let other = issue(&client, json!({"label": "a", "rate_limit": null})).await;
    assert_ne!(one["key_id"], other["key_id"]);
    assert_eq!(other["rate_limit"], Value::Null);
    let full = client.get("/health/full").await.expect(200);
    assert_eq!(full["guardrails"][0]["guard"], "unlimited_key");
    assert_eq!(full["metrics"]["guardrail_violations_total"], 1);
    assert_eq!(full["degraded"], json!([]));
}

#[tokio::test]
async fn every_fault_of_a_key_is_named_and_a_name_is_given_once() {
    let (_fixture, client) = Fixture::active().await;
    let bad = json!({"key_id": "no spaces", "rate_limit": {"burst": 0}, "expires_at": "soon", "secret": "x"});
    let refused = client.post(KEYS, &bad).await.problem(422, "config-invalid");
    let mut found = pointers(&refused);
    found.sort();
    for pointer in ["/expires_at", "/key_id", "/label", "/secret"] {
        assert!(found.iter().any(|one| one == pointer), "{pointer} in {found:?}");
    }
    assert!(found.iter().any(|one| one.starts_with("/rate_limit")), "{found:?}");
    issue(&client, json!({"key_id": "twice", "label": "a"})).await;
    let refused = client.post(KEYS, &json!({"key_id": "twice", "label": "b"})).await.problem(409, "conflict");
    assert_eq!(pointers(&refused), ["/key_id"]);
    client.send("POST", KEYS, &[], b"{}").await.problem(415, "unsupported-media-type");
}

#[tokio::test]
async fn a_rotated_secret_is_taken_for_its_grace() {
    let (fixture, client) = Fixture::active().await;
    let old = issue(&client, json!({"key_id": "laptop", "label": "a"})).await;
    let path = format!("{KEYS}/laptop/rotate");
    // Everything about a rotation is optional, its body too.
    let answer = client.send("POST", &path, &[], b"").await;
    assert_eq!(answer.headers["cache-control"], "no-store");
    let new = answer.expect(200);
    assert_eq!(new["created_at"], old["created_at"]);
    let until = OffsetDateTime::parse(new["grace_until"].as_str().unwrap(), &Rfc3339).unwrap();
    let left = until - OffsetDateTime::now_utc();
    assert!(left > Duration::from_mins(4) && left <= Duration::from_secs(301), "{left}");
    for key in [&old, &new] {
        fixture.client().with_key(api_key(key)).get("/v1/torrents").await.expect(200);
    }
    let newest = client.post(&path, &json!({"grace_seconds": 0})).await.expect(200);
    assert!(newest.get("grace_until").is_none(), "{newest}");
    for key in [&old, &new] {
        fixture.client().with_key(api_key(key)).get("/v1/torrents").await.problem(401, "unauthorized");
    }
    fixture.client().with_key(api_key(&newest)).get("/v1/torrents").await.expect(200);
}

#[tokio::test]
async fn a_rotation_with_a_secret_can_be_repeated() {
    let (fixture, client) = Fixture::active().await;
    let old = issue(&client, json!({"key_id": "laptop", "label": "a"})).await;
    let body = json!({"secret": "n".repeat(40), "grace_seconds": 600});
    let path = format!("{KEYS}/laptop/rotate");
    let first = client.post(&path, &body).await.expect(200);
    let revision = client.get("/v1/config").await.expect(200)["revision"].clone();
    let second = client.post(&path, &body).await.expect(200);
    assert_eq!(first, second);
    assert_eq!(client.get("/v1/config").await.expect(200)["revision"], revision);
    for key in [&old, &first] {
        fixture.client().with_key(api_key(key)).get("/v1/torrents").await.expect(200);
    }
    let bad = json!({"secret": "short", "grace_seconds": -1, "label": "b"});
    let refused = client.post(&path, &bad).await.problem(422, "config-invalid");
    let mut found = pointers(&refused);
    found.sort();
    assert_eq!(found, ["/grace_seconds", "/label", "/secret"]);
}

#[tokio::test]
async fn a_revoked_key_is_refused_by_the_very_next_request() {
    let (fixture, client) = Fixture::active().await;
    for round in 0..8 {
        let key = issue(&client, json!({"key_id": format!("k{round}"), "label": "a"})).await;
        let guest = fixture.client().with_key(api_key(&key));
        guest.get("/v1/torrents").await.expect(200);
        assert_eq!(client.delete(&format!("{KEYS}/k{round}")).await.status, 204);
        guest.get("/v1/torrents").await.problem(401, "unauthorized");
    }
}

#[tokio::test]
async fn the_last_key_cannot_be_revoked_and_an_unknown_one_is_not_found() {
    let (_fixture, client) = Fixture::active().await;
    let own = client.key().split(':').next().unwrap();
    client.delete(&format!("{KEYS}/{own}")).await.problem(409, "conflict");
    for (method, path) in [("DELETE", "/nobody"), ("POST", "/nobody/rotate"), ("DELETE", "/a%20b")] {
        let refused = client.send(method, &format!("{KEYS}{path}"), &[], b"").await;
        assert_eq!(pointers(&refused.problem(404, "not-found")), ["/path/key_id"], "{path}");
    }
    client.get("/v1/torrents").await.expect(200);
}

#[tokio::test]
async fn keys_need_a_key_and_take_no_query() {
    let (fixture, client) = Fixture::active().await;
    fixture.client().get(KEYS).await.problem(401, "unauthorized");
    fixture.client().post(KEYS, &json!({"label": "a"})).await.problem(401, "unauthorized");
    client.get(&format!("{KEYS}?all=1")).await.problem(400, "bad-request");
}

#[tokio::test]
async fn keys_that_are_immutable_are_refused_by_the_section_that_would_change() {
    let (fixture, client) = Fixture::active().await;
    client.post(KEYS, &json!({"key_id": "old", "label": "old"})).await.expect(201);
    fixture.apply(json!({"app_profile": {"immutable_keys": ["api_keys"]}})).await;
    let of_old = format!("{KEYS}/old");
    for refused in [
        client.post(KEYS, &json!({"key_id": "new", "label": "new"})).await,
        client.post(&format!("{of_old}/rotate"), &json!({})).await,
        client.delete(&of_old).await,
    ] {
        assert_eq!(pointers(&refused.problem(422, "config-invalid")), ["/api_keys"]);
    }
}
