//! What the server says of itself.

use revaer_telemetry::Component;

use crate::support::{Fixture, magnet};

#[tokio::test]
async fn health_names_what_is_not_well() {
    let (fixture, client) = Fixture::active().await;
    let brief = client.get("/health").await.expect(200);
    assert_eq!(brief["status"], "ok");
    assert_eq!(brief["database"]["status"], "ok");
    assert_eq!(brief["degraded"], serde_json::json!([]));
    fixture.ports.health.degrade(Component::Disk, "the library is away; mount it");
    assert_eq!(client.get("/health").await.expect(200)["degraded"], serde_json::json!(["disk"]));
    let full = client.get("/health/full").await.expect(200);
    assert_eq!(full["status"], "degraded");
    assert_eq!(full["components"]["disk"]["reason"], "the library is away; mount it");
    assert!(full["components"]["database"]["latency_ms"].as_f64().unwrap() > 0.0);
    assert_eq!(full["components"].as_object().unwrap().len(), Component::ALL.len());
    assert_eq!(full["dependencies"]["libtorrent"]["version"], "2.0.8.0");
    assert_eq!(full["dependencies"]["par2"]["path"], "/usr/bin/par2");
    assert_eq!(full["dependencies"]["sevenzip"]["found"], false);
    assert_eq!(full["build"]["sha"], "abc");
    assert_eq!(full["torrent"]["by_state"]["seeding"], 0);
    assert_eq!(full["guardrails"], serde_json::json!([]));
    assert_eq!(full["overrides"], serde_json::json!([]));
    assert_eq!(
        full["engine"],
        serde_json::json!({"listen_port": 6881, "download_cap_bps": 1000, "upload_cap_bps": 0})
    );
}

#[tokio::test]
async fn a_database_that_is_away_is_said_to_be() {
    let (fixture, client) = Fixture::active().await;
    fixture.ports.pool.close().await;
    let answer = client.get("/health").await.problem(503, "service-unavailable");
    assert_eq!(answer.json["degraded"], serde_json::json!(["database"]));
    let full = client.get("/health/full").await.expect(200);
    assert_eq!(full["degraded"], serde_json::json!(["database"]));
    // What is in memory is still served.
    client.get("/v1/torrents").await.expect(200);
}

#[tokio::test]
async fn requests_are_counted_by_the_pattern_of_their_route() {
    let (_fixture, client) = Fixture::active().await;
    client.post("/v1/torrents", &serde_json::json!({"magnet": magnet(1)})).await.expect(202);
    client.get("/v1/torrents/01980000-0000-7000-8000-000000000001").await.problem(404, "not-found");
    client.get("/no/such/path").await.problem(404, "not-found");
    let text = client.get("/metrics").await.text;
    for line in [
        r#"http_requests_total{method="POST",route="/v1/torrents",code="202"} 1"#,
        r#"http_requests_total{method="GET",route="/v1/torrents/{id}",code="404"} 1"#,
        r#"http_requests_total{method="GET",route="unmatched",code="404"} 1"#,
        r#"torrents{state="queued"} 1"#,
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
}
