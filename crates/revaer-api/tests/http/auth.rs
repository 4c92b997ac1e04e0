//! Who gets in, and what becomes of a key that is over its rate.

use std::time::Duration;

use serde_json::json;
use time::OffsetDateTime;

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
    assert_eq!(full["metrics"]["guardrail_violations_total"], 1);
    // Every call counts; the guard rail is touched once until all is well again.
    slow.get("/v1/torrents").await.problem(429, "rate-limited");
    let text = fixture.client().get("/metrics").await.text;
    for line in
        ["api_rate_limit_throttled_total 2", r#"config_guardrail_violations_total{guard="api_rate_limit"} 1"#]
    {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
}

#[tokio::test]
async fn every_answer_to_a_limited_key_says_what_it_has_left() {
    let (fixture, client) = Fixture::active().await;
    let key = json!({"key_id": "slow", "label": "a", "rate_limit": {"burst": 9, "per_seconds": 3600}});
    let issued = client.post("/v1/auth/keys", &key).await.expect(201);
    let slow = fixture.client().with_key(issued["api_key"].as_str().unwrap());
    let mut answers = vec![
        slow.get("/v1/torrents").await,
        slow.get("/v1/torrents?limit=0").await,
        slow.get("/v1/torrents/01980000-0000-7000-8000-000000000001").await,
        slow.delete("/v1/torrents").await,
        slow.get("/v1/nothing").await,
        slow.patch("/v1/config", &json!({"app_profile": {"http_port": 0}})).await,
        slow.post("/v1/auth/keys", &json!({"key_id": "slow", "label": "b"})).await,
        slow.send("POST", "/v1/torrents", &[], b"{}").await,
        slow.events("", None).await.head,
        slow.get("/v1/torrents").await,
    ];
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [200, 400, 404, 405, 404, 422, 409, 415, 200, 429]);
    answers.push(slow.get("/v1/torrents").await);
    for (answer, left) in answers.iter().zip([8, 7, 6, 5, 4, 3, 2, 1, 0, 0, 0]) {
        assert_eq!(answer.headers["x-ratelimit-limit"], "9");
        assert_eq!(answer.headers["x-ratelimit-remaining"], left.to_string());
        let reset: u64 = answer.headers["x-ratelimit-reset"].parse().unwrap();
        assert!((1..=3600).contains(&reset), "{reset}");
        assert_eq!(answer.headers.contains_key("retry-after"), answer.status == 429);
    }
    // A key without a limit is told nothing, and neither is whoever has none.
    client
        .patch("/v1/config", &json!({"api_keys": [{"op": "upsert", "key_id": "slow", "rate_limit": null}]}))
        .await;
    for answer in [slow.get("/v1/torrents").await, fixture.client().get("/v1/torrents").await] {
        assert!(!answer.headers.keys().any(|name| name.starts_with("x-ratelimit")), "{:?}", answer.headers);
    }
}

#[tokio::test]
async fn a_key_stops_being_taken_when_it_expires() {
    let (fixture, client) = Fixture::active().await;
    let expiry = OffsetDateTime::now_utc() + Duration::from_millis(1500);
    let text = expiry.format(&time::format_description::well_known::Rfc3339).unwrap();
    let key = json!({"key_id": "guest", "label": "a", "rate_limit": null, "expires_at": text});
    let issued = client.post("/v1/auth/keys", &key).await.expect(201);
    let guest = fixture.client().with_key(issued["api_key"].as_str().unwrap());
    guest.get("/v1/torrents").await.expect(200);
    let refused = loop {
        let began = OffsetDateTime::now_utc();
        let answer = guest.get("/v1/torrents").await;
        if answer.status != 200 {
            break answer;
        }
        assert!(began < expiry, "it was taken after its end");
    };
    assert!(OffsetDateTime::now_utc() >= expiry, "it was refused before its end");
    let refused = refused.problem(401, "unauthorized");
    assert!(refused.json["detail"].as_str().unwrap().contains("expired"), "{}", refused.text);
}

#[tokio::test]
async fn every_refused_key_is_counted_by_its_reason() {
    let (fixture, client) = Fixture::active().await;
    let (secret, past) = ("s".repeat(40), "2020-01-01T00:00:00Z");
    let keys = json!([
        {"op": "upsert", "key_id": "off", "secret": secret, "enabled": false},
        {"op": "upsert", "key_id": "over", "secret": secret, "expires_at": past},
    ]);
    fixture.apply(json!({"api_keys": keys})).await;
    let count = async |reason: &str| {
        let text = client.get("/metrics").await.text;
        let line = format!("api_auth_failures_total{{reason=\"{reason}\"}} ");
        text.lines().find_map(|one| one.strip_prefix(&line)).map_or(0, |count| count.parse().unwrap())
    };
    for (reason, key) in [
        ("malformed", Some("no-colon".to_owned())),
        ("rejected", Some(format!("nobody:{secret}"))),
        ("rejected", Some(format!("off:{}", "x".repeat(40)))),
        ("disabled", Some(format!("off:{secret}"))),
        ("expired", Some(format!("over:{secret}"))),
        ("missing", None),
    ] {
        let caller = key.map_or(fixture.client(), |key| fixture.client().with_key(&key));
        let before = count(reason).await;
        caller.get("/v1/torrents").await.problem(401, "unauthorized");
        assert_eq!(count(reason).await, before + 1, "{reason}");
        // Where there is nothing, nobody needs a key; but a wrong one is an attempt.
        caller.get("/v1/nothing").await.problem(404, "not-found");
        let attempts = if reason == "missing" { 1 } else { 2 };
        assert_eq!(count(reason).await, before + attempts, "{reason}");
    }
}
