//! Settings that are in force as soon as they are stored.

use std::time::Duration;

use anyhow::Result;
use revaer_e2e::app::Options;
use revaer_e2e::metainfo::{Maker, Version};
use revaer_e2e::payload::{MIB, Payload};
use revaer_e2e::stage::{Seed, Server};
use revaer_e2e::wait;
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(30);

#[tokio::test]
async fn the_log_level_follows_the_settings() -> Result<()> {
    let server = Server::start().await?;
    assert!(!server.app.log()?.contains("\"level\":\"DEBUG\""));
    let level = |level: &str| json!({ "app_profile": { "telemetry": { "log_level": level } } });
    server.api.patch("/admin/settings", &level("debug")).await?.expect(200)?;
    wait::until("a message of level debug", LIMIT, || async {
        server.api.torrents().await?;
        Ok(server.app.log()?.contains("\"level\":\"DEBUG\"").then_some(()))
    })
    .await?;
    server.api.patch("/admin/settings", &level("error")).await?.expect(200)?;
    wait::until("silence", LIMIT, || async {
        let before = server.app.log()?.len();
        server.api.torrents().await?;
        Ok((server.app.log()?.len() == before).then_some(()))
    })
    .await
}

#[tokio::test]
async fn the_log_format_follows_the_settings() -> Result<()> {
    let options = Options { logs_as_configured: true, ..Options::default() };
    let server = Server::start_with(options, &json!({})).await?;
    let last_line =
        || -> Result<String> { Ok(server.app.log()?.lines().last().unwrap_or_default().to_owned()) };
    for (format, is_json) in [("pretty", false), ("json", true), ("pretty", false)] {
        let change = json!({ "app_profile": { "telemetry": { "log_format": format } } });
        server.api.patch("/admin/settings", &change).await?.expect(200)?;
        wait::until(format!("a line in the form {format}"), LIMIT, || async {
            // Each change is logged, so there is always a next line.
            let name = json!({ "app_profile": { "instance_name": format!("logs {format}") } });
            server.api.patch("/admin/settings", &name).await?.expect(200)?;
            Ok((last_line()?.starts_with('{') == is_json).then_some(()))
        })
        .await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_change_is_told_with_its_request() -> Result<()> {
    let server = Server::start().await?;
    let mut events = server.api.events("", None).await?;
    let change = json!({ "app_profile": { "instance_name": "renamed" } });
    server.api.patch("/admin/settings", &change).await?.expect(200)?;
    let told = events
        .wait_for("settings_changed", LIMIT, |frame| frame.data["event"]["type"] == "settings_changed")
        .await?;
    assert!(told.data["request_id"].is_string(), "{}", told.data);
    Ok(())
}

#[tokio::test]
async fn torrents_stay_where_they_are_when_the_download_root_changes() -> Result<()> {
    let seed = Seed::start(&Payload::single("stays.bin", MIB), &Maker::new(Version::V1)).await?;
    let mut server = Server::start().await?;
    let id = server.api.add_magnet(&seed.magnet()).await?;
    server.expect_entry(&id, &seed, LIMIT).await?;
    let waiting = server.api.add_magnet(&format!("magnet:?xt=urn:btih:{:040x}", 11)).await?;
    let elsewhere = server.app.data_dir().join("elsewhere");
    let change = json!({ "engine_profile": { "download_root": elsewhere } });
    server.api.patch("/admin/settings", &change).await?.expect(200)?;

    assert_eq!(server.app.sigterm().await?, 0);
    server.start_again().await?;
    server.wait_loaded(2, LIMIT).await?;
    let kind = |detail: &serde_json::Value| detail["state"]["kind"].clone();
    server.api.wait_torrent(&id, "to seed on", LIMIT, |detail| kind(detail) == "seeding").await?;
    assert_eq!(kind(&server.api.torrent(&waiting).await?), "fetching_metadata");
    seed.expect_equal(&server.app.downloads().join("stays.bin"))
}
