//! What lies at a torrent's path already: another's bytes are never written over, its own are used.

use std::time::Duration;

use anyhow::Result;
use revaer_e2e::metainfo::{Maker, Version};
use revaer_e2e::payload::{MIB, Payload};
use revaer_e2e::stage::{Seed, Server};
use revaer_e2e::tree;

const LIMIT: Duration = Duration::from_mins(1);

#[tokio::test]
async fn another_release_of_that_name_is_left_alone_with_its_hard_links() -> Result<()> {
    let seed = Seed::start(&Payload::single("show.mkv", 2 * MIB), &Maker::new(Version::V1)).await?;
    let server = Server::start().await?;
    let foreign = server.app.downloads().join("show.mkv");
    let linked = server.app.library().join("an older entry.mkv");
    std::fs::create_dir_all(server.app.downloads())?;
    std::fs::create_dir_all(server.app.library())?;
    std::fs::write(&foreign, vec![7; 3_000_000])?;
    std::fs::hard_link(&foreign, &linked)?;
    let before = tree::sha256(&foreign)?;

    let id = server.api.add_magnet(&seed.magnet()).await?;
    server.expect_entry(&id, &seed, LIMIT).await?;
    assert_eq!((tree::sha256(&foreign)?, tree::sha256(&linked)?), (before.clone(), before.clone()));
    seed.expect_equal(&server.app.downloads().join(&id).join("show.mkv"))?;

    server.api.delete(&format!("/v1/torrents/{id}?delete_data=true")).await?.expect(204)?;
    let gone = || async { Ok((!server.app.downloads().join(&id).join("show.mkv").exists()).then_some(())) };
    revaer_e2e::wait::until("its own file to go", LIMIT, gone).await?;
    assert_eq!((tree::sha256(&foreign)?, tree::sha256(&linked)?), (before.clone(), before));
    Ok(())
}

#[tokio::test]
async fn content_that_is_there_already_is_checked_and_used() -> Result<()> {
    let seed = Seed::start(&Payload::single("there.bin", 3 * MIB), &Maker::new(Version::Hybrid)).await?;
    let server = Server::start().await?;
    std::fs::create_dir_all(server.app.downloads())?;
    std::fs::copy(&seed.root, server.app.downloads().join("there.bin"))?;
    let source = seed.stop();
    // No peer is left: only what lies there can complete it.
    let id = server.api.add_metainfo(&source.torrent.bytes).await?;
    server.api.wait_library(&id, LIMIT).await?;
    revaer_e2e::stage::expect_equal(&source.root, &server.entry(&source.torrent))?;
    assert_eq!(server.api.torrent(&id).await?["progress"]["percent_complete"], 100.0);
    Ok(())
}
