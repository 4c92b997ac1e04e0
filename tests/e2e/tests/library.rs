//! Each way into the library: what is shared with the download, what is a copy, and from where it seeds on.

use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use anyhow::Result;
use revaer_e2e::app::Options;
use revaer_e2e::metainfo::{Maker, Version};
use revaer_e2e::payload::{MIB, Payload};
use revaer_e2e::peer::Peer;
use revaer_e2e::stage::{Seed, Server, expect_equal};
use serde_json::json;

const LIMIT: Duration = Duration::from_mins(2);

/// A torrent that was finished in `mode`, and a restart later is seeded to a client that knows no other source.
async fn arrives_by(mode: &str) -> Result<(Server, Seed, String)> {
    let seed = Seed::start(&Payload::sample(mode, 4 * MIB), &Maker::new(Version::V1)).await?;
    let settings = json!({ "fs_policy": { "move_mode": mode } });
    let mut server = Server::start_with(Options::default(), &settings).await?;
    let id = server.api.add_magnet(&seed.magnet()).await?;
    server.expect_entry(&id, &seed, LIMIT).await?;
    assert!(server.leftovers()?.is_empty());
    assert!(server.app.library().join(".revaer.meta").is_dir());

    seed.peer.limit_upload(1).await?;
    assert_eq!(server.app.sigterm().await?, 0);
    server.start_again().await?;
    server.api.wait_torrent(&id, "to seed", LIMIT, |detail| detail["state"]["kind"] == "seeding").await?;
    let leecher = Peer::start().await?;
    leecher.leech_magnet(&seed.torrent.magnet(&[server.app.engine()])).await?;
    leecher.wait_complete(&seed.torrent, LIMIT).await?;
    expect_equal(&seed.root, &leecher.downloads().join(&seed.torrent.name))?;
    Ok((server, seed, id))
}

#[tokio::test]
async fn a_hard_link_shares_its_bytes_with_the_download() -> Result<()> {
    let (server, seed, _) = arrives_by("hardlink").await?;
    let downloaded = server.app.downloads().join(&seed.torrent.name);
    for name in revaer_e2e::tree::read(&downloaded)?.keys() {
        let (ours, entry) =
            (downloaded.join(name).metadata()?, server.entry(&seed.torrent).join(name).metadata()?);
        assert_eq!((ours.dev(), ours.ino()), (entry.dev(), entry.ino()), "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn a_copy_is_another_file() -> Result<()> {
    let (server, seed, id) = arrives_by("copy").await?;
    let downloaded = server.app.downloads().join(&seed.torrent.name);
    for name in revaer_e2e::tree::read(&downloaded)?.keys() {
        let (ours, entry) =
            (downloaded.join(name).metadata()?, server.entry(&seed.torrent).join(name).metadata()?);
        assert_ne!(ours.ino(), entry.ino(), "{name}");
    }
    server.api.delete(&format!("/v1/torrents/{id}?delete_data=true")).await?.expect(204)?;
    seed.expect_equal(&server.entry(&seed.torrent))
}

#[tokio::test]
async fn moved_content_is_its_library_entry_and_is_not_deleted_by_accident() -> Result<()> {
    let (server, seed, id) = arrives_by("move").await?;
    assert!(!server.app.downloads().join(&seed.torrent.name).exists());
    let path = format!("/v1/torrents/{id}?delete_data=true");
    server.api.delete(&path).await?.expect(409)?;
    seed.expect_equal(&server.entry(&seed.torrent))?;
    server.api.delete(&format!("/v1/torrents/{id}")).await?.expect(204)?;
    seed.expect_equal(&server.entry(&seed.torrent))
}

#[tokio::test]
async fn a_library_outside_the_allow_list_is_refused_and_nothing_is_written() -> Result<()> {
    let elsewhere = tempfile::tempdir()?;
    let server = Server::start().await?;
    let allowed = json!({ "fs_policy": { "allow_paths": [server.app.data_dir()] } });
    server.api.patch("/admin/settings", &allowed).await?.expect(200)?;
    let change = json!({ "fs_policy": { "library_root": elsewhere.path().join("library") } });
    let problem = server.api.patch("/admin/settings", &change).await?.expect(422)?;
    assert!(problem["invalid_params"].to_string().contains("library_root"), "{problem}");
    assert_eq!(std::fs::read_dir(elsewhere.path())?.count(), 0);
    Ok(())
}
