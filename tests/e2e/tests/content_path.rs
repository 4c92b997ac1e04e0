//! What lies at a torrent's path already: another's bytes are never written over, its own are used.

use std::time::Duration;

use anyhow::Result;
use revaer_e2e::app::Options;
use revaer_e2e::metainfo::{Maker, Version};
use revaer_e2e::payload::{MIB, Payload};
use revaer_e2e::peer::Peer;
use revaer_e2e::stage::{Seed, Server, expect_equal};
use revaer_e2e::tree;
use serde_json::json;

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
async fn content_that_is_said_to_be_there_is_used() -> Result<()> {
    let source = Seed::start(&Payload::single("there.bin", 3 * MIB), &Maker::new(Version::V1)).await?.stop();
    let server = Server::start().await?;
    std::fs::create_dir_all(server.app.downloads())?;
    std::fs::copy(&source.root, server.app.downloads().join("there.bin"))?;
    let options = json!({ "seed_mode": true });
    let summary = server.api.upload(&source.torrent.bytes, &options).await?.expect(202)?;
    let id = summary["id"].as_str().unwrap_or_default();
    server.api.wait_torrent(id, "to seed", LIMIT, |detail| detail["state"]["kind"] == "seeding").await?;
    let leecher = Peer::start().await?;
    leecher.leech_magnet(&source.torrent.magnet(&[server.app.engine()])).await?;
    leecher.wait_complete(&source.torrent, LIMIT).await?;
    expect_equal(&source.root, &leecher.downloads().join("there.bin"))
}

#[tokio::test]
async fn a_magnet_that_turns_out_to_have_a_taken_name_goes_beside_it() -> Result<()> {
    let file = Seed::start(&Payload::single("name", MIB), &Maker::new(Version::V1)).await?;
    let folder = Payload::folder("name").file("inner.bin", MIB).file("other.bin", 10);
    let folder = Seed::start(&folder, &Maker::new(Version::V1)).await?;
    for (first, second) in [(&file, &folder), (&folder, &file)] {
        let server =
            Server::start_with(Options::default(), &json!({ "fs_policy": { "move_mode": "copy" } })).await?;
        let id = server.api.add_magnet(&first.magnet()).await?;
        server.expect_entry(&id, first, LIMIT).await?;
        let id = server.api.add_magnet(&second.magnet()).await?;
        server.api.wait_torrent(&id, "to seed", LIMIT, |detail| detail["state"]["kind"] == "seeding").await?;
        second.expect_equal(&server.app.downloads().join(&id).join("name"))?;
        first.expect_equal(&server.app.downloads().join("name"))?;
    }
    Ok(())
}

#[tokio::test]
async fn a_link_out_of_the_allowed_roots_is_not_followed() -> Result<()> {
    let outside = tempfile::tempdir()?;
    let server = Server::start().await?;
    let link = server.app.downloads().join("elsewhere");
    std::fs::create_dir_all(server.app.downloads())?;
    std::os::unix::fs::symlink(outside.path(), &link)?;
    let magnet = format!("magnet:?xt=urn:btih:{:040x}", 7);
    let body = json!({ "magnet": magnet, "download_dir": link.join("deeper") });
    let summary = server.api.post("/v1/torrents", &body).await?.expect(202)?;
    let id = summary["id"].as_str().unwrap_or_default();
    let failed = |detail: &serde_json::Value| detail["state"]["kind"] == "failed";
    let detail = server.api.wait_torrent(id, "to fail", LIMIT, failed).await?;
    let message = detail["state"]["failure_message"].as_str().unwrap_or_default();
    assert!(message.contains("allow_paths") && message.contains("deeper"), "{detail}");
    assert_eq!(std::fs::read_dir(outside.path())?.count(), 0);
    Ok(())
}

#[tokio::test]
async fn names_and_places_of_the_servers_own_are_refused() -> Result<()> {
    let server = Server::start().await?;
    for name in [".revaer-volume", ".revaer.meta", ".Revaer.tmp"] {
        let folder = tempfile::tempdir()?;
        let root = Payload::single(name, 1000).write(folder.path())?;
        let torrent = Maker::new(Version::Hybrid).make(&root)?;
        let problem =
            server.api.upload(&torrent.bytes, &json!({})).await?.expect_problem(422, "invalid-torrent")?;
        assert!(problem.to_string().contains(".revaer are the server's own"), "{problem}");
    }
    for place in [server.app.library().join(".revaer.meta"), server.app.resume_dir().join("x")] {
        let body = json!({ "magnet": format!("magnet:?xt=urn:btih:{:040x}", 9), "download_dir": place });
        server.api.post("/v1/torrents", &body).await?.expect(422)?;
    }
    assert!(server.api.torrents().await?.is_empty());
    Ok(())
}
