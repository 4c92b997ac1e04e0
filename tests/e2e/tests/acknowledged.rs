//! What was answered is durable: a `kill -9` in the middle of a burst of requests takes back none of them.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use futures_util::future::join_all;
use revaer_e2e::stage::{Server, loops};
use serde_json::json;

/// Clients that send one request after the other until the server is gone.
const CLIENTS: u32 = 8;
/// Answers after which the server is killed.
const ENOUGH: usize = 60;

/// A link that nobody has seeds for.
fn link(round: u32, client: u32, number: u32) -> String {
    format!("magnet:?xt=urn:btih:{round:08x}{client:08x}{number:024x}")
}

async fn killed_after(server: &mut Server, answered: &AtomicUsize) -> Result<()> {
    while answered.load(Ordering::Relaxed) < ENOUGH {
        tokio::task::yield_now().await;
    }
    server.app.kill9().await
}

#[tokio::test]
async fn every_answered_add_and_removal_survives_kill_9() -> Result<()> {
    let mut server = Server::start().await?;
    let mut gone = HashSet::new();
    for round in 0..loops(2) {
        let api = server.api.clone();
        let answered = AtomicUsize::new(0);
        let adds = join_all((0..CLIENTS).map(|client| {
            let (api, answered) = (&api, &answered);
            async move {
                let mut added = HashMap::new();
                for number in 0.. {
                    let magnet = link(round, client, number);
                    // Half of them have been taken up by the engine when the end comes.
                    let body = json!({ "magnet": magnet, "paused": number % 2 == 0 });
                    let Ok(answer) = api.post("/v1/torrents", &body).await else { break };
                    let Ok(summary) = answer.expect(202) else { break };
                    let id = summary["id"].as_str().unwrap_or_default().to_owned();
                    let hash = summary["info_hash"]["v1"].as_str().unwrap_or_default().to_owned();
                    added.insert(id, hash);
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                added
            }
        }));
        let (added, killed) = tokio::join!(adds, killed_after(&mut server, &answered));
        killed?;
        let added: HashMap<String, String> = added.into_iter().flatten().collect();
        assert!(added.len() >= ENOUGH, "only {} were answered", added.len());
        server.start_again().await?;
        let listed = listed(&server).await?;
        for (id, hash) in &added {
            assert_eq!(listed.get(id), Some(hash), "{id} was answered 202 and is not listed");
        }
        let hashes: HashSet<&String> = listed.values().collect();
        assert_eq!(hashes.len(), listed.len(), "a content is listed twice");
        assert!(listed.keys().all(|id| !gone.contains(id)), "a removed torrent has come back");

        let api = server.api.clone();
        let answered = AtomicUsize::new(0);
        let mut ids: Vec<Vec<String>> = vec![Vec::new(); CLIENTS as usize];
        for (index, id) in added.into_keys().enumerate() {
            ids[index % CLIENTS as usize].push(id);
        }
        let removals = join_all(ids.into_iter().map(|ids| {
            let (api, answered) = (&api, &answered);
            async move {
                let mut removed = Vec::new();
                for id in ids {
                    let Ok(answer) = api.delete(&format!("/v1/torrents/{id}?delete_data=true")).await else {
                        break;
                    };
                    if answer.expect(204).is_err() {
                        break;
                    }
                    removed.push(id);
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                removed
            }
        }));
        let (removed, killed) = tokio::join!(removals, killed_after(&mut server, &answered));
        killed?;
        gone.extend(removed.into_iter().flatten());
        server.start_again().await?;
        let listed = self::listed(&server).await?;
        assert!(listed.keys().all(|id| !gone.contains(id)), "a torrent whose removal was answered is there");
    }
    assert_eq!(server.app.sigterm().await?, 0);
    server.app.expect_no_orphans().await
}

/// Every torrent with its hash.
async fn listed(server: &Server) -> Result<HashMap<String, String>> {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let torrents = server.api.torrents().await?;
    let count = torrents.len();
    let listed: HashMap<String, String> =
        torrents.iter().map(|one| (text(&one["id"]), text(&one["info_hash"]["v1"]))).collect();
    assert_eq!(listed.len(), count, "a torrent is listed twice");
    Ok(listed)
}
