//! The document in the repository is the one that the server serves.

use crate::support::Fixture;

#[test]
fn the_document_in_the_repository_is_the_generated_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/api/openapi.json");
    let stored = std::fs::read_to_string(path).unwrap();
    let how = "run `cargo run -p revaer-api --example openapi > docs/api/openapi.json`";
    assert!(stored == revaer_api::openapi_json(), "{path} differs from the generated document; {how}");
}

#[tokio::test]
async fn the_document_is_served_without_a_key() {
    let fixture = Fixture::new().await;
    let answer = fixture.client().get("/docs/openapi.json").await;
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(answer.text, revaer_api::openapi_json());
}
