//! A torrent file by multipart, in each of its three kinds, its peer found through a tracker.

use std::time::Duration;

use anyhow::Result;
use revaer_e2e::metainfo::{Maker, Version};
use revaer_e2e::payload::{MIB, Payload};
use revaer_e2e::peer::Peer;
use revaer_e2e::stage::{Seed, Server, expect_equal};
use revaer_e2e::tracker::Tracker;
use serde_json::Value;

const LIMIT: Duration = Duration::from_mins(2);

async fn arrives_and_is_seeded(version: Version, payload: Payload) -> Result<()> {
    let tracker = Tracker::start().await?;
    let maker = Maker::new(version).announce(&tracker.announce_url());
    let seed = Seed::start(&payload, &maker).await?;
    let server = Server::start().await?;

    let id = server.api.add_metainfo(&seed.torrent.bytes).await?;
    server.expect_entry(&id, &seed, LIMIT).await?;

    let detail = server.api.torrent(&id).await?;
    let hash = |kind: &str| detail["info_hash"].get(kind).and_then(Value::as_str).map(str::to_owned);
    assert_eq!((hash("v1"), hash("v2")), (seed.torrent.v1.clone(), seed.torrent.v2.clone()));
    assert_eq!(detail["progress"]["bytes_total"], seed.torrent.size);
    assert_eq!(detail["progress"]["bytes_downloaded"], seed.torrent.size);

    let source = seed.stop();
    let leecher = Peer::start().await?;
    leecher.leech(&source.torrent, &[server.app.engine()]).await?;
    leecher.wait_complete(&source.torrent, LIMIT).await?;
    expect_equal(&source.root, &leecher.downloads().join(&source.torrent.name))
}

#[tokio::test]
async fn v1_arrives_and_is_seeded() -> Result<()> {
    arrives_and_is_seeded(Version::V1, Payload::sample("v1 sample", 4 * MIB)).await
}

#[tokio::test]
async fn v2_arrives_and_is_seeded() -> Result<()> {
    arrives_and_is_seeded(Version::V2, Payload::sample("v2 sample", 4 * MIB)).await
}

#[tokio::test]
async fn hybrid_arrives_and_is_seeded() -> Result<()> {
    arrives_and_is_seeded(Version::Hybrid, Payload::sample("hybrid sample", 4 * MIB)).await
}

#[tokio::test]
async fn a_single_file_arrives_and_is_seeded() -> Result<()> {
    arrives_and_is_seeded(Version::Hybrid, Payload::single("single – file.mkv", 2 * MIB + 3)).await
}
