//! The whole path through the command line, as a person would go it.

use std::os::unix::fs::PermissionsExt;

use anyhow::{Context, Result};
use revaer_e2e::app::App;
use revaer_e2e::cli::Cli;
use revaer_e2e::metainfo::{Maker, Version};
use revaer_e2e::payload::{MIB, Payload};
use revaer_e2e::setup;
use revaer_e2e::stage::{Seed, expect_equal};
use serde_json::Value;
use uuid::Uuid;

#[tokio::test]
async fn setup_add_follow_list_and_remove() -> Result<()> {
    let home = tempfile::tempdir()?;
    let app = App::start().await?;
    let cli = Cli::new(app.url(), home.path())?;

    let started = cli.ok(&["setup", "start"])?;
    let mut lines = started.lines();
    let token = lines.next().context("no token")?;
    assert!(lines.next().context("no second line")?.starts_with("expires_at: "), "{started}");
    let settings = home.path().join("settings.json");
    std::fs::write(&settings, setup::changeset(&app).to_string())?;
    let completed =
        cli.ok(&["setup", "complete", "--token", token, "--settings", &settings.display().to_string()])?;
    let key_file = home.path().join("revaer/api-key");
    let key = std::fs::read_to_string(&key_file)?;
    assert!(completed.contains(key.trim()), "{completed}");
    assert_eq!(std::fs::metadata(&key_file)?.permissions().mode() & 0o777, 0o600);

    let seed = Seed::start(&Payload::sample("by hand", 2 * MIB), &Maker::new(Version::V2)).await?;
    let id = Uuid::new_v4().to_string();
    cli.ok(&["torrent", "add", &seed.magnet(), "--id", &id])?;
    let followed = cli.ok(&["status", &id, "--follow"])?;
    assert!(!followed.is_empty());
    app.api()?.with_key(key.trim()).wait_library(&id, std::time::Duration::from_mins(1)).await?;
    expect_equal(&seed.root, &app.library().join("by hand"))?;

    let status: Value = serde_json::from_str(&cli.ok(&["--output", "json", "status", &id])?)?;
    assert_eq!(
        (&status["id"], &status["progress"]["percent_complete"]),
        (&id.as_str().into(), &100.0.into())
    );
    assert!(cli.ok(&["ls"])?.contains(&id));

    let again = cli.run(&["torrent", "add", &seed.magnet()])?;
    assert_eq!(again.code, 2, "{again:?}");
    assert!(again.stderr.starts_with("error: ") && again.stdout.is_empty(), "{again:?}");
    cli.ok(&["torrent", "remove", &id])?;
    let gone = cli.run(&["status", &id])?;
    assert_eq!(gone.code, 3, "{gone:?}");
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() -> Result<()> {
    let home = tempfile::tempdir()?;
    // Port 1 of loopback: nothing listens there.
    let run = Cli::new("http://127.0.0.1:1", home.path())?.run(&["ls", "--api-key", "a:b"])?;
    assert_eq!(run.code, 3, "{run:?}");
    assert!(run.stderr.contains("127.0.0.1:1"), "{run:?}");
    Ok(())
}
