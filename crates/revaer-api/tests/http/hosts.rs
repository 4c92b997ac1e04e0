//! By which names the server is called, and by pages of which origins.

use serde_json::json;

use crate::support::{Fixture, pointers};

const UI: &str = "https://ui.example";

#[tokio::test]
async fn a_host_that_is_not_allowed_gets_nothing() {
    let (fixture, client) = Fixture::active().await;
    fixture.apply(json!({"app_profile": {"allowed_hosts": ["revaer.example"]}})).await;
    let stranger = fixture.client();
    for path in ["/health", "/health/full", "/metrics", "/docs/openapi.json", "/v1/torrents", "/nothing"] {
        // Before authentication: a page that rebinds its name learns nothing, with a key or without.
        for client in [&stranger, &client] {
            let refused = client.send("GET", path, &[("host", "evil.example")], b"").await;
            assert_eq!(pointers(&refused.problem(403, "forbidden")), ["/header/host"], "{path}");
        }
    }
    for host in ["revaer.example", "REVAER.EXAMPLE:7070", "127.0.0.1", "localhost:1", "[::1]:7070"] {
        client.send("GET", "/v1/torrents", &[("host", host)], b"").await.expect(200);
    }
    // A proxy on this host that passes the caller's host on speaks for somebody who is elsewhere.
    let proxied = [("host", "127.0.0.1"), ("x-forwarded-for", "192.0.2.1")];
    let refused = client.send("GET", "/v1/torrents", &proxied, b"").await;
    assert_eq!(pointers(&refused.problem(403, "forbidden")), ["/header/host"]);
    // Hot: an empty list lets everything through again.
    fixture.apply(json!({"app_profile": {"allowed_hosts": []}})).await;
    client.send("GET", "/v1/torrents", &[("host", "evil.example")], b"").await.expect(200);
}

#[tokio::test]
async fn without_listed_origins_there_are_no_cors_headers() {
    let (_fixture, client) = Fixture::active().await;
    let answer = client.send("GET", "/v1/torrents", &[("origin", UI)], b"").await;
    let cors = |name: &&String| name.starts_with("access-control") || *name == "vary";
    assert_eq!(answer.headers.keys().find(cors), None);
    let preflight = [("origin", UI), ("access-control-request-method", "POST")];
    client.send("OPTIONS", "/v1/torrents", &preflight, b"").await.problem(405, "method-not-allowed");
    client.send("OPTIONS", "/health", &[], b"").await.problem(405, "method-not-allowed");
}

#[tokio::test]
async fn a_listed_origin_may_call_and_read() {
    let (fixture, client) = Fixture::active().await;
    fixture.apply(json!({"app_profile": {"cors_origins": [UI, "http://localhost:3000"]}})).await;
    let answer = client.send("GET", "/v1/torrents", &[("origin", UI)], b"").await;
    assert_eq!(answer.headers["access-control-allow-origin"], UI);
    assert_eq!(answer.headers["vary"], "origin");
    for name in ["etag", "x-request-id", "x-ratelimit-limit", "location", "retry-after"] {
        assert!(answer.headers["access-control-expose-headers"].contains(name), "{name}");
    }
    assert!(!answer.headers.contains_key("access-control-allow-credentials"));
    // Errors are readable too, and so are streams.
    let refused = fixture.client().send("GET", "/v1/torrents", &[("origin", UI)], b"").await;
    let refused = refused.problem(401, "unauthorized");
    assert_eq!(refused.headers["access-control-allow-origin"], UI);
    // Another origin gets its answer, which its browser keeps from it.
    let other = client.send("GET", "/v1/torrents", &[("origin", "https://evil.example")], b"").await;
    assert_eq!(other.status, 200);
    assert_eq!(other.headers["vary"], "origin");
    assert!(!other.headers.contains_key("access-control-allow-origin"));
    assert_eq!(client.get("/v1/torrents").await.headers["vary"], "origin");
}

#[tokio::test]
async fn a_preflight_is_answered_without_a_key() {
    let (fixture, _client) = Fixture::active().await;
    fixture.apply(json!({"app_profile": {"cors_origins": [UI]}})).await;
    let client = fixture.client();
    let ask = |origin| [("origin", origin), ("access-control-request-method", "PATCH")];
    let answer = client.send("OPTIONS", "/v1/config", &ask(UI), b"").await;
    assert_eq!((answer.status, answer.text.as_str()), (204, ""));
    assert_eq!(answer.headers["access-control-allow-origin"], UI);
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
        assert!(answer.headers["access-control-allow-methods"].contains(method), "{method}");
    }
    for name in ["x-revaer-api-key", "authorization", "content-type", "if-match", "last-event-id"] {
        assert!(answer.headers["access-control-allow-headers"].contains(name), "{name}");
    }
    let refused = client.send("OPTIONS", "/health", &ask("https://evil.example"), b"").await;
    let refused = refused.problem(405, "method-not-allowed");
    assert!(!refused.headers.contains_key("access-control-allow-origin"));
    client.send("OPTIONS", "/health", &[("origin", UI)], b"").await.problem(405, "method-not-allowed");
    // A host that is not allowed is not told anything.
    fixture.apply(json!({"app_profile": {"allowed_hosts": ["revaer.example"]}})).await;
    let ask = [("origin", UI), ("access-control-request-method", "PATCH"), ("host", "evil.example")];
    client.send("OPTIONS", "/v1/config", &ask, b"").await.problem(403, "forbidden");
}
