//! What changed, when, by whom and why; and the documents as they were.

use revaer_config::{ChangeContext, HistoryQuery};
use serde_json::{Value, json};

use crate::support::{Fixture, context};

async fn page(fixture: &Fixture, after: i64, before: Option<i64>, limit: u32) -> Value {
    let page = fixture.service.history(HistoryQuery { after, before, limit }).await.unwrap();
    serde_json::to_value(page).unwrap()
}

#[tokio::test]
async fn the_history_says_what_changed_by_whom_and_why() {
    let (fixture, _) = Fixture::active().await;
    let start = fixture.revision();
    let by = ChangeContext { reason: Some("quiet nights".to_owned()), ..context() };
    let change = json!({"engine_profile": {"max_upload_bps": 5}, "app_profile": {"telemetry": {"log_level": "warn"}},
        "secrets": [{"op": "set", "name": "token", "value": "hunter2hunter2"}]});
    fixture.service.apply(change, by).await.unwrap();
    fixture.service.rotate_key("admin", json!({}), context()).await.unwrap();
    fixture.sql("UPDATE settings_fs_policy SET flatten = true").await.unwrap();

    let all = page(&fixture, start, None, 50).await;
    let entries = all["history"].as_array().unwrap();
    assert_eq!(entries.len(), 3, "{all:#}");
    assert_eq!(all.get("next"), None);
    let first = &entries[0];
    assert_eq!(first["revision"], start + 1);
    assert_eq!((&first["actor"], &first["request_id"]), (&json!("test"), &json!("request-1")));
    assert_eq!(first["reason"], "quiet nights");
    assert!(first["at"].is_string());
    let engine =
        first["changes"].as_array().unwrap().iter().find(|one| one["section"] == "engine_profile").unwrap();
    assert_eq!(
        (&engine["old"], &engine["new"]),
        (&json!({"max_upload_bps": null}), &json!({"max_upload_bps": 5}))
    );
    assert!(!all.to_string().contains("hunter2"));
    let rotated = entries[1]["changes"].as_array().unwrap().iter().find(|one| one["op"] == "update").unwrap();
    assert_eq!(
        (&rotated["key"], &rotated["new"]["secret_hash"]),
        (&json!("admin"), &json!("*** (replaced)"))
    );
    assert!(!all.to_string().contains("argon2id"), "{all:#}");
    assert_eq!(entries[2]["changes"][0]["new"], json!({"flatten": true}));
    assert_ne!(entries[2]["actor"], "test");
}

#[tokio::test]
async fn the_history_is_read_in_pages_either_way() {
    let (fixture, _) = Fixture::active().await;
    let start = fixture.revision();
    for port in 8000..8005 {
        fixture.apply(json!({"app_profile": {"http_port": port}})).await.unwrap();
    }
    let revisions = |page: &Value| -> Vec<i64> {
        page["history"].as_array().unwrap().iter().map(|entry| entry["revision"].as_i64().unwrap()).collect()
    };
    let first = page(&fixture, start, None, 2).await;
    assert_eq!((revisions(&first), &first["next"]), (vec![start + 1, start + 2], &json!(start + 2)));
    let second = page(&fixture, start + 2, None, 3).await;
    assert_eq!((revisions(&second), second.get("next")), (vec![start + 3, start + 4, start + 5], None));
    let newest = page(&fixture, 0, Some(i64::MAX), 2).await;
    assert_eq!((revisions(&newest), &newest["next"]), (vec![start + 5, start + 4], &json!(start + 4)));
    let older = page(&fixture, 0, Some(start + 4), 2).await;
    assert_eq!(revisions(&older), [start + 3, start + 2]);
    assert_eq!(page(&fixture, start + 5, None, 2).await, json!({"history": []}));
}

#[tokio::test]
async fn a_revision_of_the_history_can_be_applied_again() {
    let (fixture, _) = Fixture::active().await;
    let good = fixture.apply(json!({"engine_profile": {"max_upload_bps": 7}})).await.unwrap();
    fixture
        .apply(
            json!({"engine_profile": {"max_upload_bps": null, "dht": false}, "fs_policy": {"flatten": true}}),
        )
        .await
        .unwrap();
    let mut documents = fixture.service.documents_at(good.revision.get()).await.unwrap().unwrap();
    let members = documents.as_object_mut().unwrap();
    assert_eq!(members.remove("revision"), Some(json!(good.revision)));
    let again = fixture.apply(documents).await.unwrap();
    assert_eq!(again.revision.get(), good.revision.get() + 2);
    assert_eq!((&again.engine, &again.fs), (&good.engine, &good.fs));
    assert_eq!(fixture.service.documents_at(again.revision.get() + 1).await.unwrap(), None);
    assert_eq!(fixture.service.documents_at(0).await.unwrap(), None);
}
