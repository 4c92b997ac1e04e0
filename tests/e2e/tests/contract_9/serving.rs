//! What a server that serves leaves for others to read, and that its defaults are enough.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use revaer_e2e::metainfo::{Maker, Version};
use revaer_e2e::payload::{MIB, Payload};
use revaer_e2e::stage::Seed;
use serde_json::{Value, json};

use crate::support::{Place, Running};

#[tokio::test]
async fn it_prints_one_line_to_stdout_logs_to_stderr_and_writes_the_url_to_the_data_directory() -> Result<()>
{
    let place = Place::external().await?;
    let mut spec = place.server();
    for mode in ["setup", "active"] {
        let server = Running::start(&spec).await?;
        assert_eq!(server.mode, mode);
        if mode == "setup" {
            server.set_up(&place.settings()?).await?;
        }
        assert_eq!(fs::read_to_string(place.data().join("url"))?, format!("{}\n", server.url));
        let line = format!("revaer listening on {} ({mode})\n", server.url);
        assert_eq!(server.process.stdout()?, line);
        let stdout = place.path(&format!("{}.out", spec.name));
        let log = server.stop().await?;
        assert_eq!(fs::read_to_string(stdout)?, line, "nothing else until it ends");
        assert!(log.lines().count() > 3 && !log.contains("revaer listening on"), "{log}");
        assert!(!place.data().join("url").exists(), "nothing is served there any more");
        spec = place.server();
    }
    Ok(())
}

#[tokio::test]
async fn every_setting_has_a_default_that_works_setup_complete_with_nothing_makes_a_usable_server()
-> Result<()> {
    let place = Place::external().await?;
    let server = Running::start(&place.server()).await?;
    // The two defaults that a test may not leave: they would look for peers beyond this machine.
    place.sql("UPDATE settings_engine_profile SET dht = false, lsd = false").await?;
    let api = server.set_up(&json!({})).await?;
    let settings = api.get("/admin/settings").await?.expect(200)?;
    let data = place.data().canonicalize()?;
    for (section, member, name) in [
        ("engine_profile", "download_root", "downloads"),
        ("engine_profile", "resume_dir", "resume"),
        ("fs_policy", "library_root", "library"),
    ] {
        let folder = data.join(name);
        assert_eq!(settings[section][member], folder.display().to_string());
        assert!(folder.is_dir(), "{name}");
    }
    let health = api.get("/health").await?.expect(200)?;
    assert_eq!(health["degraded"], json!([]), "{health}");

    let seed = Seed::start(&Payload::sample("by default", 2 * MIB), &Maker::new(Version::Hybrid)).await?;
    let id = api.add_magnet(&seed.magnet()).await?;
    api.wait_library(&id, Duration::from_mins(1)).await?;
    seed.expect_equal(&data.join("library").join(&seed.torrent.name))?;
    for path in paths(&settings) {
        assert!(Path::new(&path).starts_with(&data), "{path} is outside the data directory");
    }
    server.stop().await?;
    Ok(())
}

/// Every text of a document that is an absolute path.
fn paths(document: &Value) -> Vec<String> {
    match document {
        Value::String(text) if text.starts_with('/') => vec![text.clone()],
        Value::Array(items) => items.iter().flat_map(paths).collect(),
        Value::Object(members) => members.values().flat_map(paths).collect(),
        _ => Vec::new(),
    }
}
