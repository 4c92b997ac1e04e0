//! Who gets in, and what becomes of a key that is over its rate.

use serde_json::json;

use crate::support::{Fixture, pointers};

#[tokio::test]
async fn a_key_opens_what_needs_one() {
    let (fixture, client) = Fixture::active().await;
    let stranger = fixture.client();
    for path in ["/v1/torrents", "/admin/torrents", "/admin/settings", "/v1/config"] {
        client.get(path).await.expect(200);
        let refused = stranger.get(path).await.problem(401, "unauthorized");
        assert_eq!(pointers(&refused), ["/header/x-revaer-api-key"], "{path}");
        assert!(refused.headers["www-authenticate"].starts_with("Bearer"));
    }
    stranger.get("/v1/events").await.problem(401, "unauthorized");
    let bearer = format!("Bearer {}", client.key());
    stranger.send("GET", "/v1/torrents", &[("authorization", &bearer)], b"").await.expect(200);
}

#[tokio::test]
async fn a_wrong_key_is_not_told_from_an_unknown_one() {
    let (fixture, client) = Fixture::active().await;
    let key_id = client.key().split(':').next().unwrap();
    let mut details = Vec::new();
    for key in [format!("{key_id}:{}", "x".repeat(43)), format!("nobody:{}", "x".repeat(43))] {
        let refused = fixture.client().with_key(&key).get("/v1/torrents").await;
        details.push(refused.problem(401, "unauthorized").json["detail"].clone());
    }
    assert_eq!(details[0], details[1]);
    fixture.client().with_key("no-colon").get("/v1/torrents").await.problem(401, "unauthorized");
    // Never in the query.
    let path = format!("/v1/torrents?api_key={}", client.key());
    fixture.client().get(&path).await.problem(401, "unauthorized");
}

#[tokio::test]
async fn a_second_key_is_refused_and_not_passed_over() {
    let (_fixture, client) = Fixture::active().await;
    let refused = client.send("GET", "/v1/torrents", &[("x-revaer-api-key", "b:s")], b"").await;
    assert_eq!(pointers(&refused.problem(400, "bad-request")), ["/header/x-revaer-api-key"]);
}

#[tokio::test]
async fn what_can_be_observed_is_protected_where_that_is_set() {
    let (fixture, client) = Fixture::active().await;
    let paths = ["/metrics", "/health/full", "/.well-known/revaer.json"];
    for path in paths {
        assert_eq!(fixture.client().get(path).await.status, 200, "{path}");
    }
    fixture.apply(json!({"app_profile": {"features": {"protect_observability": true}}})).await;
    for path in paths {
        fixture.client().get(path).await.problem(401, "unauthorized");
        assert_eq!(client.get(path).await.status, 200, "{path}");
    }
    fixture.client().get("/health").await.expect(200);
}

#[tokio::test]
async fn a_key_over_its_rate_is_told_when_to_come_back() {
    let (fixture, client) = Fixture::active().await;
    let secret = "s".repeat(40);
    let key = json!({"op": "upsert", "key_id": "slow", "secret": secret,
                     "rate_limit": {"burst": 2, "per_seconds": 3600}});
    fixture.apply(json!({"api_keys": [key]})).await;
    let slow = fixture.client().with_key(&format!("slow:{secret}"));
    let first = slow.get("/v1/torrents").await;
    assert_eq!(first.headers["x-ratelimit-limit"], "2");
    assert_eq!(first.headers["x-ratelimit-remaining"], "1");
    // Errors count and carry the headers too.
    assert_eq!(
        slow.get("/v1/torrents/x").await.problem(400, "bad-request").headers["x-ratelimit-remaining"],
        "0"
    );
    let refused = slow.get("/v1/torrents").await.problem(429, "rate-limited");
    assert_eq!(refused.json["limit"], 2);
    assert_eq!(refused.json["remaining"], 0);
    let seconds = refused.json["retry_after_seconds"].as_u64().unwrap();
    assert!((1790..=1800).contains(&seconds), "{seconds}");
    assert_eq!(refused.headers["retry-after"], seconds.to_string());
    assert_eq!(refused.headers["x-ratelimit-remaining"], "0");
    // Others are not held back.
    client.get("/v1/torrents").await.expect(200);
    let full = fixture.client().get("/health/full").await.expect(200);
    assert_eq!(full["metrics"]["rate_limit_throttled_total"], 1);
    assert_eq!(full["degraded"], json!(["api_rate_limit_guard"]));
}
