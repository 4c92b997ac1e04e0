//! A magnet alone: metadata from the peer, download, library entry, and seeding on to a third client.

use std::time::Duration;

use anyhow::{Context, Result};
use revaer_e2e::metainfo::{Maker, Version};
use revaer_e2e::payload::{MIB, Payload};
use revaer_e2e::peer::Peer;
use revaer_e2e::stage::{Seed, Server, expect_equal};

const LIMIT: Duration = Duration::from_mins(2);

#[tokio::test]
async fn a_magnet_becomes_a_library_entry_and_is_seeded_on() -> Result<()> {
    let seed = Seed::start(&Payload::sample("Größe & more", 24 * MIB), &Maker::new(Version::V1)).await?;
    // Slow enough that progress is seen before the end.
    seed.peer.limit_upload(12 * MIB).await?;
    let server = Server::start().await?;
    let mut events = server.api.events("", None).await?;

    let id = server.api.add_magnet(&seed.magnet()).await?;
    events.wait_for("fsops_completed", LIMIT, |frame| frame.is("fsops_completed", &id)).await?;

    let steps =
        ["torrent_added", "files_discovered", "progress", "completed", "fsops_started", "fsops_completed"];
    let positions = steps
        .iter()
        .map(|kind| {
            let seen = events.seen().iter().position(|frame| frame.is(kind, &id));
            seen.with_context(|| format!("no {kind} among {:?}", events.kinds()))
        })
        .collect::<Result<Vec<_>>>()?;
    assert!(positions.is_sorted(), "{steps:?} came as {:?}", events.kinds());
    for kind in ["completed", "fsops_started", "fsops_completed"] {
        let count = events.seen().iter().filter(|frame| frame.is(kind, &id)).count();
        assert_eq!(count, 1, "{kind} came {count} times: {:?}", events.kinds());
    }
    seed.expect_equal(&server.entry(&seed.torrent))?;
    assert_eq!(server.library_names()?, [seed.torrent.name.as_str()]);
    assert!(server.leftovers()?.is_empty());
    let detail = server.api.torrent(&id).await?;
    assert_eq!(detail["library_path"], server.entry(&seed.torrent).display().to_string());
    assert_eq!(detail["info_hash"]["v1"].as_str(), seed.torrent.v1.as_deref());

    // With the seeder gone, only Revaer can be the source.
    let source = seed.stop();
    server.api.wait_torrent(&id, "to seed", LIMIT, |detail| detail["state"]["kind"] == "seeding").await?;
    let leecher = Peer::start().await?;
    leecher.leech_magnet(&source.torrent.magnet(&[server.app.engine()])).await?;
    leecher.wait_complete(&source.torrent, LIMIT).await?;
    expect_equal(&source.root, &leecher.downloads().join(&source.torrent.name))
}

#[tokio::test]
async fn what_is_no_magnet_is_refused_with_a_reason() -> Result<()> {
    let server = Server::start().await?;
    for magnet in
        ["", "magnet:", "magnet:?dn=x", "magnet:?xt=urn:btih:xyz", "http://127.0.0.1/a.torrent", "urn:btih"]
    {
        let answer = server.api.post("/v1/torrents", &serde_json::json!({ "magnet": magnet })).await?;
        let body = answer.expect(422).with_context(|| format!("magnet {magnet:?}"))?;
        assert!(body["detail"].is_string() || body["invalid_params"].is_array(), "no reason: {body}");
    }
    assert!(server.api.torrents().await?.is_empty());
    Ok(())
}
