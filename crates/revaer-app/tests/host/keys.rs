//! Keys: issued on the host, the secret key behind them, and those that are refused.

use std::{fs, time::Instant};

use serde_json::Value;

use crate::{
    common::wait_for,
    place::{Place, both},
};

#[tokio::test]
async fn issue_key_gives_a_key_to_whoever_is_on_the_host() {
    both(async |place| {
        let server = place.program.serve().await;
        assert!(place.program.refused(&["issue-key"]).contains("complete its setup"));
        server.set_up();
        let issued = place.program.ok(&["issue-key", "--key-id", "host", "--label", "for me"]);
        let key = issued.trim().to_owned();
        let secret = key.strip_prefix("host:").unwrap();
        assert_eq!(secret.len(), 43, "256 random bits");
        let is_good = async |key: &str, wanted: u16| {
            wait_for("the running server has seen the key", async || {
                (server.request("GET", "/v1/torrents", Some(key), "").0 == wanted).then_some(())
            })
            .await;
        };
        is_good(&key, 200).await;
        let again = &["issue-key", "--key-id", "host", "--replace"];
        assert!(place.program.refused(&again[..3]).contains("--replace"));
        let second = place.program.ok(again);
        is_good(second.trim(), 200).await;
        is_good(&key, 401).await;
        let history = place.text("SELECT actor || ' ' || coalesce(new::text, '') FROM settings_history ORDER BY id DESC LIMIT 1").await;
        assert!(history.starts_with("revaer-app issue-key") && !history.contains(secret), "{history}");
        server.stop().await;
        // With nobody there to tell.
        let third = place.program.ok(&["issue-key", "--expires-at", "2999-01-01T00:00:00Z"]);
        let server = place.program.serve().await;
        assert_eq!(server.request("GET", "/v1/torrents", Some(third.trim()), "").0, 200);
        server.stop().await;
        place.remove().await;
    })
    .await;
}

#[tokio::test]
async fn rotate_secret_key_is_for_a_stopped_server_and_keeps_keys() {
    both(async |place| {
        let server = place.program.serve().await;
        let key = server.set_up();
        assert!(place.program.refused(&["rotate-secret-key"]).contains("in use"));
        server.stop().await;
        let file = place.program.data_dir.join("secret.key");
        let before = fs::read(&file).unwrap();
        place.program.ok(&["rotate-secret-key"]);
        assert_ne!(fs::read(&file).unwrap(), before);
        let server = place.program.serve().await;
        assert_eq!(server.request("GET", "/v1/torrents", Some(&key), "").0, 200);
        let (_, health) = server.request("GET", "/health/full", Some(&key), "");
        assert!(health.contains("\"degraded\":[]"), "{health}");
        server.stop().await;
        place.remove().await;
    })
    .await;
}

#[tokio::test]
async fn keys_that_are_refused_are_told_in_the_log_at_most_once_a_second() {
    let place = Place::embedded();
    let server = place.program.serve().await;
    let known = server.set_up().split(':').next().unwrap().to_owned();
    let begun = Instant::now();
    for key in ["in-the-wrong-place:x".to_owned(), format!("{known}:wrong")].iter().cycle().take(40) {
        assert_eq!(server.request("GET", "/v1/torrents", Some(key), "").0, 401);
    }
    let log = place.program.data_dir.with_extension("log");
    let lines = wait_for("all of them are told", async || {
        let text = fs::read_to_string(&log).unwrap();
        let of_keys = text.lines().filter(|line| line.contains("auth.rejected"));
        let lines: Vec<Value> = of_keys.filter_map(|line| serde_json::from_str(line).ok()).collect();
        let told: u64 = lines.iter().map(|line| line["fields"]["count"].as_u64().unwrap()).sum();
        (told == 40).then_some(lines)
    })
    .await;
    assert!(lines.len() as u64 <= begun.elapsed().as_secs() + 1, "{lines:?}");
    assert_eq!(lines[0]["fields"]["reason"], "rejected");
    assert_eq!(lines[0]["fields"].get("key_id"), None, "there is no such key");
    let last = &lines[lines.len() - 1]["fields"];
    assert_eq!(last["key_id"], known.as_str());
    assert!(last["peer"].as_str().unwrap().starts_with("127.0.0.1:"), "{last}");
    assert!(!fs::read_to_string(&log).unwrap().contains("in-the-wrong-place"));
    server.stop().await;
}
