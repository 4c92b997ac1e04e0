//! Setup, once, from this host.

use serde_json::{Value, json};

use crate::support::{Fixture, client::Client, pointers};

const START: &str = "/admin/setup/start";
const COMPLETE: &str = "/admin/setup/complete";
const TOKEN: &str = "x-revaer-setup-token";

async fn token(client: &Client) -> String {
    let started = client.post(START, &json!({})).await.expect(200);
    assert!(started["expires_at"].as_str().unwrap().ends_with('Z'));
    started["token"].as_str().unwrap().to_owned()
}

async fn complete(client: &Client, token: &str, body: &Value) -> crate::support::client::Answer {
    client.json("POST", COMPLETE, &[(TOKEN, token)], body).await
}

#[tokio::test]
async fn a_token_makes_a_usable_server_once() {
    let fixture = Fixture::new().await;
    let client = fixture.client();
    assert_eq!(client.get("/health").await.expect(200)["mode"], "setup");
    let token = token(&client).await;
    let done = complete(&client, &token, &json!({"app_profile": {"instance_name": "den"}})).await.expect(200);
    assert_eq!(done["app_profile"]["instance_name"], "den");
    assert_eq!(done["app_profile"]["mode"], "active");
    let client = client.with_key(done["api_key"].as_str().unwrap());
    client.get("/v1/torrents").await.expect(200);
    assert_eq!(client.get("/health").await.expect(200)["mode"], "active");
    complete(&client, &token, &json!({})).await.problem(409, "conflict");
    client.post(START, &json!({})).await.problem(409, "conflict");
}

#[tokio::test]
async fn before_setup_everything_else_waits_for_it() {
    let fixture = Fixture::new().await;
    let client = fixture.client();
    for path in
        ["/v1/torrents", "/v1/config", "/v1/events", "/admin/settings", "/v1/nothing", "/admin/nothing"]
    {
        client.get(path).await.problem(409, "setup-required");
    }
    client.post("/v1/torrents", &json!({})).await.problem(409, "setup-required");
    for path in ["/health", "/health/full", "/.well-known/revaer.json", "/docs/openapi.json", "/metrics"] {
        assert_eq!(client.get(path).await.status, 200, "{path}");
    }
    client.get("/nothing").await.problem(404, "not-found");
}

#[tokio::test]
async fn a_refused_token_is_told_apart_and_says_how_to_get_another() {
    let fixture = Fixture::new().await;
    let client = fixture.client();
    let refused = client.post(COMPLETE, &json!({})).await.problem(401, "unauthorized");
    assert_eq!(pointers(&refused), [format!("/header/{TOKEN}")]);
    assert!(refused.json["detail"].as_str().unwrap().contains("setup start"), "{}", refused.text);
    complete(&client, "nonsense", &json!({})).await.problem(401, "unauthorized");
    let first = token(&client).await;
    let second = token(&client).await;
    let superseded = complete(&client, &first, &json!({})).await.problem(401, "unauthorized");
    assert!(superseded.json["detail"].as_str().unwrap().contains("superseded"), "{}", superseded.text);
    let twice = [(TOKEN, second.as_str()), (TOKEN, first.as_str())];
    let refused = client.json("POST", COMPLETE, &twice, &json!({})).await.problem(400, "bad-request");
    assert_eq!(pointers(&refused), [format!("/header/{TOKEN}")]);
    complete(&client, &second, &json!({})).await.expect(200);
}

#[tokio::test]
async fn every_fault_of_the_first_settings_is_listed_and_the_token_stays_good() {
    let fixture = Fixture::new().await;
    let client = fixture.client();
    let token = token(&client).await;
    let body = json!({"app_profile": {"http_port": 0, "colour": "red"}, "engine_profile": {"dht": "yes"}});
    let refused = complete(&client, &token, &body).await.problem(422, "config-invalid");
    let mut found = pointers(&refused);
    found.sort();
    assert_eq!(found, ["/app_profile/colour", "/app_profile/http_port", "/engine_profile/dht"]);
    complete(&client, &token, &json!({})).await.expect(200);
}

#[tokio::test]
async fn only_the_operator_on_this_host_may_set_up() {
    let fixture = Fixture::new().await;
    let client = fixture.client();
    let json = ("content-type", "application/json");
    let host = fixture.server.local_addr().to_string();
    let mut refused = 0;
    for (headers, status) in [
        (vec![json], 200),
        (vec![json, ("origin", &*format!("http://{host}"))], 200),
        (vec![json, ("host", "localhost:7070")], 200),
        (vec![json, ("host", "revaer.example")], 403),
        (vec![json, ("x-forwarded-for", "127.0.0.1")], 403),
        (vec![json, ("forwarded", "for=127.0.0.1")], 403),
        (vec![json, ("x-real-ip", "127.0.0.1")], 403),
        (vec![json, ("origin", "http://evil.example")], 403),
        (vec![json, ("origin", "null")], 403),
        (vec![], 403),
        (vec![("content-type", "text/plain")], 403),
        (vec![("content-type", "application/x-www-form-urlencoded")], 403),
    ] {
        let answer = client.send("POST", START, &headers, b"{}").await;
        assert_eq!(answer.status, status, "{headers:?}: {}", answer.text);
        if status == 403 {
            answer.problem(403, "forbidden");
            refused += 1;
        }
    }
    // Each refusal is counted, and told by the guard for a minute after the last one.
    let full = client.get("/health/full").await.expect(200);
    assert_eq!(full["metrics"]["guardrail_violations_total"], refused);
    assert_eq!(full["degraded"], json!(["loopback_guard"]));
    let reason = full["components"]["loopback_guard"]["reason"].as_str().unwrap();
    assert!(reason.contains("127.0.0.1") && reason.contains("content-type"), "{reason}");
    let line = format!("config_guardrail_violations_total{{guard=\"loopback\"}} {refused}");
    assert!(client.get("/metrics").await.text.contains(&line));
}

#[tokio::test]
async fn what_a_token_is_asked_with_is_checked() {
    let fixture = Fixture::new().await;
    let client = fixture.client();
    client.post(START, &json!({"ttl_seconds": 60, "issued_by": "me"})).await.expect(200);
    client.send("POST", START, &[("content-type", "application/json")], b"").await.expect(200);
    client
        .send("POST", START, &[("content-type", "application/json")], b"{")
        .await
        .problem(400, "bad-request");
    let refused = client.post(START, &json!({"ttl_seconds": 0})).await.problem(422, "validation-failed");
    assert_eq!(pointers(&refused), ["/ttl_seconds"]);
    assert!(!refused.text.contains("settings"), "{}", refused.text);
    let refused =
        client.post(START, &json!({"ttl": 1, "issued_by": 2})).await.problem(422, "validation-failed");
    assert_eq!(pointers(&refused), ["/ttl", "/issued_by"]);
}
