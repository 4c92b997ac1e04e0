//! Query presets: stored, shown, deleted, and used by the list.

use serde_json::{Value, json};

use crate::support::{Fixture, pointers};

const PRESETS: &str = "/v1/query-presets";

#[tokio::test]
async fn a_preset_is_stored_shown_replaced_and_deleted() {
    let (_fixture, client) = Fixture::active().await;
    assert_eq!(client.get(PRESETS).await.expect(200), json!({"presets": []}));
    let path = format!("{PRESETS}/films");
    let body = json!({"filter": {"state": "Seeding, stopped", "tags": ["film"]}, "sort": "added_at:asc"});
    let stored = client.json("PUT", &path, &[], &body).await.expect(200);
    assert_eq!(stored["name"], "films");
    assert_eq!(stored["filter"], json!({"state": ["seeding", "stopped"], "tags": ["film"]}));
    assert_eq!(stored["sort"], "added_at:asc");
    assert!(stored["updated_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(client.get(&path).await.expect(200), stored);
    assert_eq!(client.get(PRESETS).await.expect(200)["presets"], json!([stored]));
    let replaced = client.json("PUT", &path, &[], &json!({})).await.expect(200);
    assert_eq!((&replaced["filter"], &replaced["sort"]), (&json!({}), &Value::Null));
    assert_eq!(client.delete(&path).await.status, 204);
    for method in ["GET", "DELETE"] {
        let refused = client.send(method, &path, &[], b"").await.problem(404, "not-found");
        assert_eq!(pointers(&refused), ["/path/name"]);
    }
}

#[tokio::test]
async fn every_fault_of_a_preset_is_named() {
    let (_fixture, client) = Fixture::active().await;
    let body = json!({"filter": {"state": "asleep", "colour": "red", "tags": [1]}, "sort": "name"});
    let refused = client.json("PUT", &format!("{PRESETS}/a"), &[], &body).await;
    let mut found = pointers(&refused.problem(422, "config-invalid"));
    found.sort();
    assert_eq!(found, ["/filter/colour", "/filter/state/0", "/filter/tags/0", "/sort"]);
    for (name, body, expected) in [
        ("a%20b", json!({}), vec!["/path/name"]),
        (&*"x".repeat(65), json!({"sort": "name"}), vec!["/path/name", "/sort"]),
    ] {
        let refused = client.json("PUT", &format!("{PRESETS}/{name}"), &[], &body).await;
        assert_eq!(pointers(&refused.problem(400, "bad-request")), expected, "{name}");
    }
}

#[tokio::test]
async fn there_are_256_presets_at_most() {
    let (fixture, client) = Fixture::active().await;
    sqlx::query("INSERT INTO query_presets (name) SELECT 'p' || n FROM generate_series(1, 256) n")
        .execute(&fixture.ports.pool)
        .await
        .unwrap();
    let refused = client.json("PUT", &format!("{PRESETS}/one-more"), &[], &json!({})).await;
    let refused = refused.problem(422, "config-invalid");
    assert_eq!(pointers(&refused), [""]);
    client.json("PUT", &format!("{PRESETS}/p7"), &[], &json!({"sort": "added_at:asc"})).await.expect(200);
}
