//! Settings over HTTP.

use revaer_config::Fault;
use serde_json::json;

use crate::support::{Fixture, pointers};

#[tokio::test]
async fn settings_are_read_changed_and_carry_their_revision() {
    let (_fixture, client) = Fixture::active().await;
    let before = client.get("/admin/settings").await;
    let revision = before.json["revision"].as_i64().unwrap();
    assert_eq!(before.headers["etag"], format!("\"{revision}\""));
    let changed =
        client.patch("/admin/settings", &json!({"app_profile": {"instance_name": "den"}})).await.expect(200);
    assert_eq!(changed["revision"], revision + 1);
    assert_eq!(client.get("/v1/config").await.expect(200), changed);
    let key = &changed["api_keys"][0];
    assert!(key.get("secret").is_none() && key.get("secret_hash").is_none(), "{key}");
}

#[tokio::test]
async fn a_change_against_an_old_revision_is_a_conflict() {
    let (_fixture, client) = Fixture::active().await;
    let revision = client.get("/v1/config").await.expect(200)["revision"].as_i64().unwrap();
    let (old, new) = (format!("\"{revision}\""), format!("\"{}\"", revision + 1));
    let body = json!({"engine_profile": {"dht": false}});
    client.json("PATCH", "/v1/config", &[("if-match", &old)], &body).await.expect(200);
    let raced =
        client.json("PATCH", "/v1/config", &[("if-match", &old)], &body).await.problem(409, "conflict");
    assert_eq!(pointers(&raced), ["/header/if-match"]);
    client.json("PATCH", "/v1/config", &[("if-match", &new)], &body).await.expect(200);
    let bad = client.json("PATCH", "/v1/config", &[("if-match", "x")], &body).await;
    assert_eq!(pointers(&bad.problem(400, "bad-request")), ["/header/if-match"]);
}

#[tokio::test]
async fn every_fault_of_a_changeset_is_listed() {
    let (_fixture, client) = Fixture::active().await;
    let body = json!({"engine_profile": {"encryption": "maybe", "listen_port": 70000}, "fs_polizy": {}});
    let refused = client.patch("/admin/settings", &body).await.problem(422, "config-invalid");
    let mut found = pointers(&refused);
    found.sort();
    assert_eq!(found, ["/engine_profile/encryption", "/engine_profile/listen_port", "/fs_polizy"]);
}

#[tokio::test]
async fn the_last_key_stays() {
    let (_fixture, client) = Fixture::active().await;
    let key_id = client.key().split(':').next().unwrap();
    let body = json!({"api_keys": [{"op": "delete", "key_id": key_id}]});
    client.patch("/v1/config", &body).await.problem(409, "conflict");
    client.get("/v1/config").await.expect(200);
}

#[tokio::test]
async fn a_setting_that_a_flag_overrides_is_stored_and_said_to_be() {
    let flag = Fault::new("/app_profile/http_port", "--listen is in force: 127.0.0.1:7070");
    let (_fixture, client) = Fixture::overridden(vec![flag]).await.set_up().await;
    let notice =
        json!([{"pointer": "/app_profile/http_port", "message": "--listen is in force: 127.0.0.1:7070"}]);
    let changed = client.patch("/v1/config", &json!({"app_profile": {"http_port": 7171}})).await.expect(200);
    assert_eq!(changed["app_profile"]["http_port"], 7171);
    assert_eq!(changed["notices"], notice);
    let other = client.patch("/v1/config", &json!({"engine_profile": {"dht": false}})).await.expect(200);
    assert!(other.get("notices").is_none(), "{other}");
    let full = client.get("/health/full").await.expect(200);
    assert_eq!(full["overrides"], notice);
    assert_eq!(full["degraded"], json!([]));
}
