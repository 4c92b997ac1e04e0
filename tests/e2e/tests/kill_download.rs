//! `kill -9` in the middle of a download: nothing is lost, nothing is doubled, nothing runs on.

use std::time::Duration;

use anyhow::Result;
use revaer_e2e::metainfo::{Maker, Version};
use revaer_e2e::payload::{MIB, Payload};
use revaer_e2e::resume;
use revaer_e2e::stage::{Seed, Server, loops};
use serde_json::{Value, json};

const SIZE: u64 = 512 * MIB;
const PIECE: u64 = MIB;
const RATE: u64 = 40 * MIB;
const LIMIT: Duration = Duration::from_mins(3);
/// From the start of the server to a running transfer.
const SOON: Duration = Duration::from_secs(20);

fn downloaded(detail: &Value) -> u64 {
    detail["progress"]["bytes_downloaded"].as_u64().unwrap_or_default()
}

#[tokio::test]
async fn a_download_survives_kill_9() -> Result<()> {
    let payload = Payload::folder("large").file("a/one.bin", SIZE / 2 + 11).file("b/two.bin", SIZE / 2 - 11);
    let seed = Seed::start(&payload, &Maker::new(Version::V1).piece_length(PIECE)).await?;
    seed.peer.limit_upload(RATE).await?;
    let settings = json!({ "engine_profile": { "resume_save_seconds": 1 } });
    let mut server = Server::start_with(revaer_e2e::app::Options::default(), &settings).await?;
    let id = server.api.add_magnet(&seed.magnet()).await?;

    let kills = u64::from(loops(2));
    let mut fetched_again = 0;
    for kill in 1..=kills {
        let goal = SIZE * kill / (kills + 1);
        let resume_dir = server.app.resume_dir();
        let before = server
            .api
            .wait_torrent(&id, "some of the download, and its resume data", LIMIT, |detail| {
                let claimed = resume::claimed_bytes(&resume_dir, &id, PIECE).unwrap_or_default();
                downloaded(detail) >= goal && claimed > 0
            })
            .await?;
        server.app.kill9().await?;
        assert!(downloaded(&before) < SIZE, "the kill came after the download: {}", before["progress"]);
        let claimed = resume::claimed_bytes(&resume_dir, &id, PIECE)?;

        // Both ways of coming back: at once, with the old database still ending; and after everything has ended.
        if kill % 2 == 0 {
            server.app.expect_no_orphans().await?;
        }
        server.start_again().await?;

        let torrents = server.api.torrents().await?;
        assert_eq!(torrents.len(), 1, "{torrents:?}");
        assert_eq!(torrents[0]["id"], id.as_str());
        server.wait_loaded(1, LIMIT).await?;
        // That nothing was fetched twice is proven by the peer's own count, below.
        let after = server
            .api
            .wait_torrent(&id, "to go on from its resume data", SOON, |detail| {
                detail["state"]["kind"] == "downloading" && downloaded(detail) >= claimed
            })
            .await?;
        assert!(downloaded(&after) < SIZE, "the rest came at once: {}", after["progress"]);
        fetched_again += downloaded(&before).saturating_sub(claimed) + RATE;
    }

    server.expect_entry(&id, &seed, LIMIT).await?;
    assert_eq!(server.library_names()?, ["large"]);
    assert!(server.leftovers()?.is_empty());
    assert_eq!(server.api.torrents().await?.len(), 1);
    let uploaded = seed.peer.torrent(&seed.torrent).await?.map_or(0, |torrent| torrent.uploaded);
    assert!(uploaded <= SIZE + fetched_again, "the peer sent {uploaded} bytes for {SIZE}");

    server.app.kill9().await?;
    server.app.expect_no_orphans().await
}
