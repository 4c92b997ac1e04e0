//! Settings that are in force as soon as they are stored.

use std::time::Duration;

use anyhow::Result;
use revaer_e2e::stage::Server;
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
