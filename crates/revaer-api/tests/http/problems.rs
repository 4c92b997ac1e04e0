//! Every error is a problem document, whoever makes it.

use serde_json::json;

use crate::support::Fixture;

#[tokio::test]
async fn unknown_paths_and_wrong_methods_are_problems() {
    let (_fixture, client) = Fixture::active().await;
    let missing = client.get("/v1/nothing").await.problem(404, "not-found");
    assert_eq!(missing.json["instance"], "/v1/nothing");
    let wrong = client.delete("/v1/torrents").await.problem(405, "method-not-allowed");
    assert!(wrong.headers["allow"].contains("GET") && wrong.headers["allow"].contains("POST"));
    client.send("BREW", "/health", &[], b"").await.problem(405, "method-not-allowed");
}

#[tokio::test]
async fn the_request_id_is_the_clients_or_a_fresh_one() {
    let (fixture, client) = Fixture::active().await;
    let answer = client.send("GET", "/v1/nothing", &[("x-request-id", "mine-1")], b"").await;
    assert_eq!(answer.headers["x-request-id"], "mine-1");
    let answer = client.send("GET", "/v1/nothing", &[("x-request-id", "not mine")], b"").await;
    assert_ne!(answer.headers["x-request-id"], "not mine");
    let body = json!({"magnet": crate::support::magnet(3)});
    client.json("POST", "/v1/torrents", &[("x-request-id", "mine-2")], &body).await.expect(202);
    assert_eq!(*fixture.ledger.asked.lock().unwrap(), [Some("mine-2".to_owned())]);
}

#[tokio::test]
async fn bodies_that_cannot_be_taken_are_told_apart() {
    let (_fixture, client) = Fixture::active().await;
    let json = ("content-type", "application/json");
    let post = |headers: Vec<(&'static str, &'static str)>, body: &'static str| {
        let client = client.clone();
        async move { client.send("POST", "/v1/torrents", &headers, body.as_bytes()).await }
    };
    post(vec![json], "{").await.problem(400, "bad-request");
    post(vec![json], "").await.problem(400, "bad-request");
    post(vec![json], "[]").await.problem(422, "validation-failed");
    post(vec![("content-type", "text/plain")], "{}").await.problem(415, "unsupported-media-type");
    post(vec![], "{}").await.problem(415, "unsupported-media-type");
    post(vec![("content-type", "multipart/form-data")], "").await.problem(400, "bad-request");
    let large = format!("{{\"x\":\"{}\"}}", "x".repeat(1024 * 1024));
    client.send("PATCH", "/v1/config", &[json], large.as_bytes()).await.problem(413, "payload-too-large");
    let huge = "x".repeat(12 * 1024 * 1024 + 1);
    client.send("POST", "/v1/torrents", &[json], huge.as_bytes()).await.problem(413, "payload-too-large");
}

#[tokio::test]
async fn a_long_uri_is_a_problem() {
    let (_fixture, client) = Fixture::active().await;
    let path = format!("/v1/torrents?name={}", "x".repeat(8 * 1024));
    client.get(&path).await.problem(414, "uri-too-long");
}

#[tokio::test]
async fn without_a_ledger_nothing_is_promised() {
    let (fixture, client) = Fixture::active().await;
    fixture.ledger.away.cancel();
    let body = json!({"magnet": crate::support::magnet(1)});
    let away = client.post("/v1/torrents", &body).await.problem(503, "service-unavailable");
    assert_eq!((away.headers["retry-after"].as_str(), &away.json["retry_after_seconds"]), ("5", &json!(5)));
    client.get("/v1/torrents").await.expect(200);
}

#[tokio::test]
async fn a_handler_that_panics_fails_alone() {
    let (_fixture, client) = Fixture::active().await;
    let answer = client.form("/v1/torrents", &[("torrent", "application/x-bittorrent", b"panic")]).await;
    let answer = answer.problem(500, "internal");
    assert!(!answer.text.contains("on purpose"), "{}", answer.text);
    client.get("/v1/torrents").await.expect(200);
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_answered_in_time() {
    let (_fixture, client) = Fixture::active().await;
    // From here on, time passes whenever everybody waits.
    tokio::time::pause();
    let answer = client.form("/v1/torrents", &[("torrent", "application/x-bittorrent", b"never")]).await;
    answer.problem(408, "request-timeout");
}

#[tokio::test]
async fn head_is_get_without_a_body() {
    let (_fixture, client) = Fixture::active().await;
    let answer = client.send("HEAD", "/v1/torrents", &[], b"").await;
    assert_eq!((answer.status, answer.text.as_str()), (200, ""));
    let answer = client.send("HEAD", "/nothing", &[], b"").await;
    assert_eq!((answer.status, answer.text.as_str()), (404, ""));
    assert_eq!(answer.headers["content-type"], "application/problem+json");
}

#[tokio::test]
async fn an_unknown_parameter_is_refused_everywhere() {
    let (_fixture, client) = Fixture::active().await;
    for path in [
        "/health",
        "/health/full",
        "/metrics",
        "/.well-known/revaer.json",
        "/docs/openapi.json",
        "/v1/config",
        "/v1/torrents",
        "/v1/events",
    ] {
        let refused = client.get(&format!("{path}?colour=red")).await.problem(400, "bad-request");
        assert_eq!(crate::support::pointers(&refused), ["/query/colour"], "{path}");
    }
}
