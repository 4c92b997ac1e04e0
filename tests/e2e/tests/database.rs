//! An external database by `DATABASE_URL`, and the rule of one instance per data directory and per database.

use std::time::Duration;

use anyhow::{Context, Result};
use revaer_e2e::app::{App, Options};
use revaer_e2e::db::Database;
use revaer_e2e::metainfo::{Maker, Version};
use revaer_e2e::payload::{MIB, Payload};
use revaer_e2e::procfs;
use revaer_e2e::stage::{Seed, Server};
use serde_json::json;

const LIMIT: Duration = Duration::from_mins(2);

#[tokio::test]
async fn an_external_database_is_used_and_no_other_is_started() -> Result<()> {
    let database = Database::create().await?;
    let options = Options { database_url: Some(database.url().to_owned()), ..Options::default() };
    let mut server = Server::start_with(options, &json!({})).await?;
    assert!(!server.app.data_dir().join("pg").exists());
    let own = server.app.process_id().context("the server does not run")?;
    let others = procfs::processes_of(server.app.data_dir())?;
    assert!(others.iter().all(|found| found.pid.unsigned_abs() == own), "{others:?}");

    let seed = Seed::start(&Payload::sample("external", 2 * MIB), &Maker::new(Version::V1)).await?;
    let id = server.api.add_magnet(&seed.magnet()).await?;
    server.expect_entry(&id, &seed, LIMIT).await?;
    let torrents = database.row_counts().await?.into_iter().find(|(table, _)| table == "torrents");
    assert_eq!(torrents.map(|(_, rows)| rows), Some(1));

    server.app.kill9().await?;
    server.start_again().await?;
    assert_eq!(server.api.torrent(&id).await?["fsops"]["status"], "completed");
    Ok(())
}

#[tokio::test]
async fn a_second_instance_says_who_holds_the_data_directory_and_exits_3() -> Result<()> {
    let first = App::start().await?;
    let options = Options { data_dir: Some(first.data_dir().to_owned()), ..Options::default() };
    let mut second = App::prepare(options)?;
    let (code, message) = second.start_refused().await?;
    assert_eq!(code, 3, "{message}");
    let holder = first.process_id().context("the first does not run")?.to_string();
    assert!(message.contains(&holder), "{message} does not name {holder}");
    first.api()?.get("/health").await?.expect(200)?;
    Ok(())
}

#[tokio::test]
async fn a_second_instance_says_who_holds_the_database_and_exits_3() -> Result<()> {
    let database = Database::create().await?;
    let options = Options { database_url: Some(database.url().to_owned()), ..Options::default() };
    let first = App::start_with(options.clone()).await?;
    let mut second = App::prepare(options)?;
    let (code, message) = second.start_refused().await?;
    assert_eq!(code, 3, "{message}");
    let holder = format!("revaer {} on ", first.process_id().context("the first does not run")?);
    assert!(message.contains("the database is in use by") && message.contains(&holder), "{message}");
    first.api()?.get("/health").await?.expect(200)?;
    Ok(())
}
