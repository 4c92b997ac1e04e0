//! `max_active`: so many torrents run at once, the others are queued, and a change is in force without a restart.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use revaer_e2e::app::Options;
use revaer_e2e::metainfo::{Maker, Metainfo, Version};
use revaer_e2e::payload::{MIB, Payload};
use revaer_e2e::peer::Peer;
use revaer_e2e::sse::Frame;
use revaer_e2e::stage::{Server, expect_equal};
use revaer_e2e::wait;
use serde_json::{Value, json};
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_mins(2);
const SIZE: u64 = 8 * MIB;

/// Three torrents of one peer.
struct Source {
    peer: Peer,
    torrents: Vec<Metainfo>,
    folder: TempDir,
}

impl Source {
    async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let peer = Peer::start().await?;
        let mut torrents = Vec::new();
        for name in ["one.bin", "two.bin", "three.bin"] {
            let root = Payload::single(name, SIZE).write(folder.path())?;
            let torrent = Maker::new(Version::V1).make(&root)?;
            peer.seed(&torrent, folder.path()).await?;
            torrents.push(torrent);
        }
        Ok(Self { peer, torrents, folder })
    }

    /// Adds them in order; answers their ids.
    async fn add(&self, server: &Server) -> Result<Vec<String>> {
        let mut ids = Vec::new();
        for torrent in &self.torrents {
            ids.push(server.api.add_magnet(&torrent.magnet(&[self.peer.listen()])).await?);
        }
        Ok(ids)
    }
}

async fn set_max_active(server: &Server, most: Option<u32>) -> Result<()> {
    let change = json!({ "engine_profile": { "max_active": most } });
    server.api.patch("/admin/settings", &change).await?.expect(200)?;
    Ok(())
}

async fn kinds(server: &Server, ids: &[String]) -> Result<Vec<String>> {
    let torrents = server.api.torrents().await?;
    let kinds: BTreeMap<_, _> = torrents
        .iter()
        .filter_map(|torrent| Some((torrent["id"].as_str()?, torrent["state"]["kind"].as_str()?)))
        .collect();
    ids.iter()
        .map(|id| Ok((*kinds.get(id.as_str()).with_context(|| format!("{id} is not listed"))?).to_owned()))
        .collect()
}

/// Waits until just these, by index, are not queued.
async fn wait_running(server: &Server, ids: &[String], wanted: &[usize]) -> Result<()> {
    let last = std::sync::Mutex::new(Vec::new());
    let found = wait::until(format!("{wanted:?} to run alone"), LIMIT, || async {
        let kinds = kinds(server, ids).await?;
        let running: Vec<usize> =
            kinds.iter().enumerate().filter(|(_, kind)| *kind != "queued").map(|(index, _)| index).collect();
        *last.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = kinds;
        Ok((running == wanted).then_some(()))
    })
    .await;
    found.with_context(|| format!("last seen: {:?}", last.into_inner().unwrap_or_default()))
}

async fn active(server: &Server) -> Result<u64> {
    let health = server.api.get("/health/full").await?.expect(200)?;
    health["torrent"]["active"].as_u64().context("no count of active torrents")
}

fn is_complete(detail: &Value) -> bool {
    detail["completed_at"].is_string()
}

#[tokio::test]
async fn only_so_many_run_at_once_and_the_next_follows() -> Result<()> {
    let source = Source::start().await?;
    source.peer.limit_upload(MIB / 4).await?;
    let server = Server::start_with(Options::default(), &json!({})).await?;
    let ids = source.add(&server).await?;
    wait_running(&server, &ids, &[0, 1, 2]).await?;

    set_max_active(&server, Some(1)).await?;
    wait_running(&server, &ids, &[0]).await?;
    assert_eq!(active(&server).await?, 1);

    // A pause makes room, a resume takes it back: the oldest goes first.
    let action = |kind: &str| json!({ "type": kind });
    let path = format!("/v1/torrents/{}/action", ids[0]);
    server.api.post(&path, &action("pause")).await?.expect(202)?;
    wait::until("the second to run", LIMIT, || async {
        let kinds = kinds(&server, &ids).await?;
        Ok((kinds[0] == "stopped" && kinds[1] != "queued" && kinds[2] == "queued").then_some(()))
    })
    .await?;
    server.api.post(&path, &action("resume")).await?.expect(202)?;
    wait_running(&server, &ids, &[0]).await?;

    set_max_active(&server, Some(0)).await?;
    wait_running(&server, &ids, &[]).await?;
    assert_eq!(active(&server).await?, 0);

    set_max_active(&server, Some(1)).await?;
    wait_running(&server, &ids, &[0]).await?;
    set_max_active(&server, None).await?;
    wait_running(&server, &ids, &[0, 1, 2]).await
}

#[tokio::test]
async fn one_that_completes_gives_way_and_keeps_what_it_has() -> Result<()> {
    let source = Source::start().await?;
    let settings = json!({ "engine_profile": { "max_active": 1 } });
    let mut server = Server::start_with(Options::default(), &settings).await?;
    source.peer.limit_upload(4 * MIB).await?;
    let mut events = server.api.events("", None).await?;
    let ids = source.add(&server).await?;

    // One after the other, by age, and the pipeline works on those that wait.
    for id in &ids {
        events.wait_for("completed", LIMIT, |frame| frame.is("completed", id)).await?;
    }
    let order: Vec<&str> = events
        .seen()
        .iter()
        .filter(|frame| frame.data["event"]["type"] == "completed")
        .filter_map(|frame| frame.data["event"]["torrent_id"].as_str())
        .collect();
    assert_eq!(order, ids);
    for (id, torrent) in ids.iter().zip(&source.torrents) {
        let detail = server.api.wait_library(id, LIMIT).await?;
        assert!(is_complete(&detail), "{detail}");
        assert_eq!(detail["progress"]["percent_complete"].as_f64(), Some(100.0), "{}", detail["progress"]);
        expect_equal(&source.folder.path().join(&torrent.name), &server.entry(torrent))?;
    }
    // All are complete: the oldest seeds, the others wait for their turn.
    wait_running(&server, &ids, &[0]).await?;
    assert_eq!(active(&server).await?, 1);

    // A restart starts one, not all of them first.
    let is_done = |frame: &Frame| frame.kind == "fsops_completed";
    while events.seen().iter().filter(|frame| is_done(frame)).count() < ids.len() {
        events.wait_for("fsops_completed", LIMIT, is_done).await?;
    }
    let last = events.last_id().context("events have no ids")?;
    drop(events);
    assert_eq!(server.app.sigterm().await?, 0);
    server.start_again().await?;
    server.wait_loaded(1, LIMIT).await?;
    wait_running(&server, &ids, &[0]).await?;
    set_max_active(&server, None).await?;
    server.wait_loaded(3, LIMIT).await?;
    for id in &ids {
        server.api.wait_torrent(id, "to seed", LIMIT, |detail| detail["state"]["kind"] == "seeding").await?;
    }
    let marker = server.api.add_magnet(&format!("magnet:?xt=urn:btih:{:040x}", 11)).await?;
    let mut replay = server.api.events("", Some(last)).await?;
    replay.wait_for("the marker", LIMIT, |frame| frame.is("torrent_added", &marker)).await?;
    for frame in replay.seen() {
        for id in &ids {
            assert!(!frame.is("completed", id) && !frame.is("fsops_started", id), "{frame:?}");
        }
        // Those that waited were not in the session before the limit was lifted.
        assert!(frame.data["event"]["state"] != "checking", "{frame:?}");
    }
    Ok(())
}
