//! The history of the settings over HTTP.

use serde_json::json;

use crate::support::{Fixture, pointers};

const HISTORY: &str = "/admin/settings/history";
const REASON: &str = "x-revaer-reason";

#[tokio::test]
async fn the_history_says_who_changed_what_when_and_why() {
    let (_fixture, client) = Fixture::active().await;
    let revision = client.get("/v1/config").await.expect(200)["revision"].as_i64().unwrap();
    let body = json!({"engine_profile": {"max_download_bps": 5_000_000}});
    let headers = [(REASON, "night rates"), ("x-request-id", "r-7")];
    client.json("PATCH", "/v1/config", &headers, &body).await.expect(200);
    let page = client.get(&format!("{HISTORY}?after={revision}")).await.expect(200);
    let [entry] = page["history"].as_array().unwrap().as_slice() else { panic!("{page}") };
    let actor = client.key().split(':').next().unwrap();
    assert_eq!(entry["revision"], revision + 1);
    assert_eq!((&entry["actor"], &entry["reason"]), (&json!(actor), &json!("night rates")));
    assert_eq!(entry["request_id"], "r-7");
    assert!(entry["at"].as_str().unwrap().ends_with('Z'));
    let change = &entry["changes"][0];
    assert_eq!((&change["section"], &change["op"]), (&json!("engine_profile"), &json!("update")));
    assert_eq!(change["old"]["max_download_bps"], json!(null));
    assert_eq!(change["new"]["max_download_bps"], 5_000_000);
    assert!(page.get("next").is_none(), "{page}");
}

#[tokio::test]
async fn keys_and_presets_carry_their_reason_too_and_no_secret() {
    let (_fixture, client) = Fixture::active().await;
    let secret = "s".repeat(40);
    let why = |reason| [(REASON, reason)];
    let send = |method, path, reason, body| {
        let client = client.clone();
        async move { client.json(method, path, &why(reason), &body).await }
    };
    send("POST", "/v1/auth/keys", "one", json!({"key_id": "k", "label": "a"})).await.expect(201);
    let rotated = json!({"secret": secret});
    send("POST", "/v1/auth/keys/k/rotate", "two", rotated).await.expect(200);
    assert_eq!(send("DELETE", "/v1/auth/keys/k", "three", json!({})).await.status, 204);
    send("PUT", "/v1/query-presets/p", "four", json!({})).await.expect(200);
    assert_eq!(send("DELETE", "/v1/query-presets/p", "five", json!({})).await.status, 204);
    let answer = client.get(&format!("{HISTORY}?before=9223372036854775807&limit=5")).await;
    assert!(!answer.text.contains(&secret) && !answer.text.contains("$argon2id"), "{}", answer.text);
    let page = answer.expect(200);
    let reasons: Vec<_> =
        page["history"].as_array().unwrap().iter().map(|one| one["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, ["five", "four", "three", "two", "one"]);
    let keys: Vec<_> =
        page["history"].as_array().unwrap().iter().map(|one| one["changes"][0]["key"].clone()).collect();
    assert_eq!(keys, ["p", "p", "k", "k", "k"]);
}

#[tokio::test]
async fn a_reason_that_is_none_is_refused() {
    let (_fixture, client) = Fixture::active().await;
    let body = json!({"engine_profile": {"dht": false}});
    let long = "x".repeat(257);
    for reasons in [vec![(REASON, "")], vec![(REASON, &*long)], vec![(REASON, "a"), (REASON, "b")]] {
        let refused = client.json("PATCH", "/v1/config", &reasons, &body).await;
        assert_eq!(pointers(&refused.problem(400, "bad-request")), ["/header/x-revaer-reason"]);
    }
    assert_eq!(client.get("/v1/config").await.expect(200)["engine_profile"]["dht"], true);
}

#[tokio::test]
async fn pages_of_the_history_run_both_ways_and_meet() {
    let (_fixture, client) = Fixture::active().await;
    for round in 0..5 {
        let name = format!("den-{round}");
        client.patch("/v1/config", &json!({"app_profile": {"instance_name": name}})).await.expect(200);
    }
    let mut seen = [Vec::new(), Vec::new()];
    for (way, seen) in ["after=0", "before=9007199254740991"].into_iter().zip(&mut seen) {
        let mut at = way.to_owned();
        loop {
            let page = client.get(&format!("{HISTORY}?{at}&limit=2")).await.expect(200);
            let entries = page["history"].as_array().unwrap();
            seen.extend(entries.iter().map(|entry| entry["revision"].as_i64().unwrap()));
            let Some(next) = page["next"].as_i64() else { break };
            at = format!("{}={next}", way.split('=').next().unwrap());
        }
    }
    assert!(seen[0].is_sorted() && seen[0].len() >= 6, "{seen:?}");
    seen[1].reverse();
    assert_eq!(seen[0], seen[1]);
    for bad in ["after=x", "limit=0", "limit=201", "after=1&before=2", "since=1"] {
        client.get(&format!("{HISTORY}?{bad}")).await.problem(400, "bad-request");
    }
}

#[tokio::test]
async fn a_revision_of_the_history_can_be_applied_again() {
    let (_fixture, client) = Fixture::active().await;
    let before = client.get("/v1/config").await.expect(200);
    let revision = before["revision"].as_i64().unwrap();
    let change = json!({"app_profile": {"instance_name": "den"}, "engine_profile": {"max_active": 3}});
    client.patch("/v1/config", &change).await.expect(200);
    let mut then = client.get(&format!("{HISTORY}/{revision}")).await.expect(200);
    assert_eq!(then.as_object_mut().unwrap().remove("revision"), Some(json!(revision)));
    let back = client.patch("/v1/config", &then).await.expect(200);
    assert_eq!(back["revision"], revision + 2);
    assert_eq!(back["engine_profile"], before["engine_profile"]);
    assert_eq!(back["app_profile"]["instance_name"], before["app_profile"]["instance_name"]);
    for missing in ["0", "-1", "99999"] {
        let refused = client.get(&format!("{HISTORY}/{missing}")).await.problem(404, "not-found");
        assert_eq!(pointers(&refused), ["/path/revision"], "{missing}");
    }
    let refused = client.get(&format!("{HISTORY}/first")).await.problem(400, "bad-request");
    assert_eq!(pointers(&refused), ["/path/revision"]);
}
