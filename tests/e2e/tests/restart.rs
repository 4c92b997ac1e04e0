//! SIGTERM drains and exits 0; the next start knows everything and checks nothing again.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use revaer_e2e::metainfo::{Maker, Version};
use revaer_e2e::payload::{MIB, Payload};
use revaer_e2e::stage::{Seed, Server};

const LIMIT: Duration = Duration::from_mins(2);

#[tokio::test]
async fn a_finished_torrent_seeds_again_without_a_check() -> Result<()> {
    let seed = Seed::start(&Payload::sample("finished", 16 * MIB), &Maker::new(Version::Hybrid)).await?;
    let mut server = Server::start().await?;
    let mut events = server.api.events("", None).await?;
    let id = server.api.add_magnet(&seed.magnet()).await?;
    server.expect_entry(&id, &seed, LIMIT).await?;
    events.wait_for("fsops_completed", LIMIT, |frame| frame.is("fsops_completed", &id)).await?;
    server.api.wait_torrent(&id, "to seed", LIMIT, |detail| detail["state"]["kind"] == "seeding").await?;
    let last = events.last_id().context("events have no ids")?;
    drop(events);
    drop(seed.stop());

    let start = Instant::now();
    assert_eq!(server.app.sigterm().await?, 0);
    assert!(start.elapsed() < Duration::from_secs(30));
    server.app.expect_no_orphans().await?;
    server.start_again().await?;

    let mut kinds = Vec::new();
    let kinds_seen = std::sync::Mutex::new(&mut kinds);
    server
        .api
        .wait_torrent(&id, "to seed again", LIMIT, |detail| {
            let kind = detail["state"]["kind"].as_str().unwrap_or_default().to_owned();
            kinds_seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(kind.clone());
            kind == "seeding"
        })
        .await?;
    assert!(!kinds.iter().any(|kind| kind == "checking" || kind == "downloading"), "{kinds:?}");

    // What happened since, from the durable log: ids go on, and no check, no second completion is among it.
    let other = Payload::single("marker.bin", MIB);
    let marker = Seed::start(&other, &Maker::new(Version::V1)).await?;
    let mut replay = server.api.events("", Some(last)).await?;
    let marker_id = server.api.add_magnet(&marker.magnet()).await?;
    replay.wait_for("the marker", LIMIT, |frame| frame.is("torrent_added", &marker_id)).await?;
    for frame in replay.seen() {
        assert!(frame.id.is_some_and(|id| id > last), "{frame:?}");
        assert!(!frame.is("completed", &id) && !frame.is("fsops_started", &id), "{frame:?}");
        assert!(!(frame.is("state_changed", &id) && frame.data["event"]["state"] == "checking"), "{frame:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_half_finished_torrent_goes_on_where_it_was() -> Result<()> {
    let size = 96 * MIB;
    let seed = Seed::start(&Payload::sample("half", size), &Maker::new(Version::V1)).await?;
    seed.peer.limit_upload(16 * MIB).await?;
    let mut server = Server::start().await?;
    let id = server.api.add_magnet(&seed.magnet()).await?;
    let downloaded =
        |detail: &serde_json::Value| detail["progress"]["bytes_downloaded"].as_u64().unwrap_or_default();
    let before =
        server.api.wait_torrent(&id, "a third", LIMIT, |detail| downloaded(detail) > size / 3).await?;

    assert_eq!(server.app.sigterm().await?, 0);
    server.start_again().await?;
    let after = server
        .api
        .wait_torrent(&id, "to go on", LIMIT, |detail| {
            assert_ne!(detail["state"]["kind"], "checking", "{}", detail["progress"]);
            detail["state"]["kind"] == "downloading"
        })
        .await?;
    let (before, after) = (downloaded(&before), downloaded(&after));
    assert!(after >= before, "{before} bytes before the stop, {after} after the start");

    server.expect_entry(&id, &seed, LIMIT).await?;
    let uploaded = seed.peer.torrent(&seed.torrent).await?.map_or(0, |torrent| torrent.uploaded);
    // Blocks that were on their way at the stop are sent again; whole pieces are not.
    assert!(
        uploaded < seed.torrent.size + 16 * MIB,
        "the peer sent {uploaded} bytes for {}",
        seed.torrent.size
    );
    Ok(())
}
