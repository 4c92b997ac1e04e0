//! Removing a torrent, with and without its data: never a library entry, never anything that is not its own.

use std::time::Duration;

use anyhow::Result;
use revaer_e2e::metainfo::{Maker, Version};
use revaer_e2e::payload::{MIB, Payload};
use revaer_e2e::stage::{Seed, Server};
use revaer_e2e::wait;
use serde_json::json;

const LIMIT: Duration = Duration::from_mins(2);

#[tokio::test]
async fn only_the_own_data_goes_and_only_when_asked() -> Result<()> {
    let kept = Seed::start(&Payload::sample("kept", 2 * MIB), &Maker::new(Version::V1)).await?;
    let gone = Seed::start(&Payload::sample("gone", 2 * MIB), &Maker::new(Version::V1)).await?;
    let server = Server::start().await?;
    let mut events = server.api.events("", None).await?;
    let kept_id = server.api.add_magnet(&kept.magnet()).await?;
    let gone_id = server.api.add_magnet(&gone.magnet()).await?;
    server.expect_entry(&kept_id, &kept, LIMIT).await?;
    server.expect_entry(&gone_id, &gone, LIMIT).await?;
    let downloads = server.app.downloads();
    let foreign = downloads.join("gone/disc 1/not of the torrent.txt");
    std::fs::write(&foreign, "mine")?;

    let path = format!("/v1/torrents/{gone_id}?delete_data=true");
    server.api.delete(&path).await?.expect(204)?;
    server.api.get(&format!("/v1/torrents/{gone_id}")).await?.expect_problem(404, "not-found")?;
    let removed =
        events.wait_for("torrent_removed", LIMIT, |frame| frame.is("torrent_removed", &gone_id)).await?;
    assert_eq!(removed.data["event"]["data_deleted"], true);

    assert_eq!(std::fs::read_to_string(&foreign)?, "mine");
    let left = revaer_e2e::tree::read(&downloads.join("gone"))?;
    assert_eq!(left.into_keys().collect::<Vec<_>>(), ["disc 1/not of the torrent.txt"]);
    gone.expect_equal(&server.entry(&gone.torrent))?;
    kept.expect_equal(&downloads.join("kept"))?;
    kept.expect_equal(&server.entry(&kept.torrent))?;

    let action = format!("/v1/torrents/{kept_id}/action");
    server.api.post(&action, &json!({ "type": "remove", "delete_data": false })).await?.expect(204)?;
    let removed =
        events.wait_for("torrent_removed", LIMIT, |frame| frame.is("torrent_removed", &kept_id)).await?;
    assert_eq!(removed.data["event"]["data_deleted"], false);
    kept.expect_equal(&downloads.join("kept"))?;
    kept.expect_equal(&server.entry(&kept.torrent))?;
    assert!(server.api.torrents().await?.is_empty());
    server.api.post(&action, &json!({ "type": "pause" })).await?.expect_problem(404, "not-found")?;
    Ok(())
}

#[tokio::test]
async fn a_torrent_removed_in_mid_download_leaves_nothing_and_may_come_again() -> Result<()> {
    let seed = Seed::start(&Payload::sample("again", 32 * MIB), &Maker::new(Version::V1)).await?;
    seed.peer.limit_upload(8 * MIB).await?;
    let mut server = Server::start().await?;
    let id = server.api.add_magnet(&seed.magnet()).await?;
    server
        .api
        .wait_torrent(&id, "some bytes", LIMIT, |detail| {
            detail["progress"]["bytes_downloaded"].as_u64() > Some(MIB)
        })
        .await?;

    server.api.delete(&format!("/v1/torrents/{id}?delete_data=true")).await?.expect(204)?;
    // The same content at once: the old torrent's deletion must not reach it.
    let again = server.api.add_magnet(&seed.magnet()).await?;
    assert_ne!(again, id);
    seed.peer.limit_upload(0).await?;
    server.expect_entry(&again, &seed, LIMIT).await?;

    server.api.delete(&format!("/v1/torrents/{again}?delete_data=true")).await?.expect(204)?;
    let downloads = server.app.downloads();
    wait::until("the downloads to be empty", LIMIT, || async {
        let names = revaer_e2e::tree::names(&downloads)?;
        Ok(names.iter().all(|name| name.starts_with(".revaer")).then_some(()))
    })
    .await?;
    assert_eq!(server.app.sigterm().await?, 0);
    server.start_again().await?;
    assert!(server.api.torrents().await?.is_empty());
    seed.expect_equal(&server.entry(&seed.torrent))
}
