//! The harness holds by itself: its torrents are understood, and its peers find one another.

use std::time::Duration;

use anyhow::{Context, Result};
use revaer_e2e::db::Database;
use revaer_e2e::metainfo::{Maker, Version};
use revaer_e2e::payload::{MIB, Payload};
use revaer_e2e::peer::Peer;
use revaer_e2e::procfs;
use revaer_e2e::stage::{Seed, expect_equal};
use revaer_e2e::tracker::Tracker;

const TRANSFER: Duration = Duration::from_mins(1);

async fn transfers_by_tracker(version: Version) -> Result<()> {
    let tracker = Tracker::start().await?;
    let maker = Maker::new(version).announce(&tracker.announce_url());
    let seed = Seed::start(&Payload::sample("sample", 3 * MIB), &maker).await?;
    let leecher = Peer::start().await?;
    leecher.leech(&seed.torrent, &[]).await?;
    leecher
        .wait_complete(&seed.torrent, TRANSFER)
        .await
        .with_context(|| format!("tracker: {:?}", tracker.peers()))?;
    expect_equal(&seed.root, &leecher.downloads().join("sample"))
}

#[tokio::test]
async fn v1_is_made_and_found_by_tracker() -> Result<()> {
    transfers_by_tracker(Version::V1).await
}

#[tokio::test]
async fn v2_is_made_and_found_by_tracker() -> Result<()> {
    transfers_by_tracker(Version::V2).await
}

#[tokio::test]
async fn hybrid_is_made_and_found_by_tracker() -> Result<()> {
    transfers_by_tracker(Version::Hybrid).await
}

#[tokio::test]
async fn a_single_file_goes_from_peer_to_peer_by_magnet() -> Result<()> {
    for version in [Version::V1, Version::V2, Version::Hybrid] {
        let seed = Seed::start(&Payload::single("one file.bin", MIB + 5), &Maker::new(version)).await?;
        let leecher = Peer::start().await?;
        leecher.leech_magnet(&seed.magnet()).await?;
        leecher.wait_complete(&seed.torrent, TRANSFER).await.with_context(|| format!("{version:?}"))?;
        expect_equal(&seed.root, &leecher.downloads().join("one file.bin"))?;
    }
    Ok(())
}

#[tokio::test]
async fn an_upload_cap_binds_local_peers() -> Result<()> {
    let seed = Seed::start(&Payload::single("big.bin", 24 * MIB), &Maker::new(Version::V1)).await?;
    seed.peer.limit_upload(4 * MIB).await?;
    let leecher = Peer::start().await?;
    let start = std::time::Instant::now();
    leecher.leech(&seed.torrent, &[seed.peer.listen()]).await?;
    leecher.wait_complete(&seed.torrent, TRANSFER).await?;
    assert!(start.elapsed() > Duration::from_secs(4), "24 MiB came in {:?}", start.elapsed());
    Ok(())
}

#[tokio::test]
async fn a_database_is_fresh() -> Result<()> {
    assert!(Database::create().await?.row_counts().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn processes_of_a_folder_are_found_until_they_end() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut child = std::process::Command::new("cat")
        .current_dir(folder.path())
        .stdin(std::process::Stdio::piped())
        .spawn()?;
    assert_eq!(procfs::processes_of(folder.path())?.len(), 1);
    drop(child.stdin.take());
    child.wait()?;
    procfs::expect_none(folder.path(), TRANSFER).await
}
