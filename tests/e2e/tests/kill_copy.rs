//! `kill -9` in the middle of the library copy: one complete entry afterwards, and no leftover.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use revaer_e2e::app::Options;
use revaer_e2e::metainfo::{Maker, Version};
use revaer_e2e::payload::{MIB, Payload};
use revaer_e2e::stage::{Seed, Server, loops};
use revaer_e2e::tree;
use serde_json::json;

const SIZE: u64 = 512 * MIB;
const LIMIT: Duration = Duration::from_mins(3);
/// How often one round tries to hit a copy before it gives up.
const TRIES: u32 = 5;

/// Kills the server as soon as the temporary sibling has content; answers whether the entry was still missing.
async fn kill_in_mid_copy(server: &mut Server, id: &str, name: &str) -> Result<bool> {
    let temporary = server.app.library().join(".revaer.tmp").join(id);
    let entry = server.app.library().join(name);
    let start = Instant::now();
    // Looks without a pause: the copy takes a fraction of a second.
    while tree::size(&temporary) == 0 && !entry.exists() {
        if start.elapsed() > LIMIT {
            bail!("no copy began in {}", temporary.display());
        }
    }
    server.app.kill9().await?;
    Ok(!entry.exists())
}

#[tokio::test]
async fn a_library_copy_survives_kill_9() -> Result<()> {
    let settings = json!({ "fs_policy": { "move_mode": "copy" } });
    let mut server = Server::start_with(Options::default(), &settings).await?;
    let (mut hits, mut tries) = (0, 0);
    let wanted = loops(1);
    while hits < wanted {
        tries += 1;
        assert!(tries <= wanted * TRIES, "{hits} of {tries} kills hit the middle of a copy");
        let name = format!("large-{tries}");
        let payload = Payload::folder(&name).file("big.bin", SIZE).file("small.txt", 100);
        let seed = Seed::start(&payload, &Maker::new(Version::V1).piece_length(MIB)).await?;
        let id = server.api.add_magnet(&seed.magnet()).await?;
        hits += u32::from(kill_in_mid_copy(&mut server, &id, &name).await?);
        server.start_again().await?;

        server.expect_entry(&id, &seed, LIMIT).await?;
        let entries = server.library_names()?;
        assert_eq!(entries.iter().filter(|entry| **entry == name).count(), 1, "{entries:?}");
        assert_eq!(entries.len(), usize::try_from(tries)?, "{entries:?}");
        assert!(server.leftovers()?.is_empty(), "{:?}", server.leftovers()?);
        server.api.delete(&format!("/v1/torrents/{id}?delete_data=true")).await?.expect(204)?;
    }
    Ok(())
}
