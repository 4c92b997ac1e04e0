//! Those who follow the settings, and what they do about lost notifications and bad rows.

use anyhow::{Context, Result};
use revaer_e2e::app::App;
use revaer_e2e::stage::is_degraded;
use revaer_e2e::wait;
use serde_json::json;

use crate::support::{LIMIT, active, column, wait_setting};

/// The server's own listeners, by process id.
const LISTENERS: &str = "SELECT pid::text FROM pg_stat_activity
    WHERE datname = current_database() AND query LIKE 'LISTEN %' AND pid <> pg_backend_pid()";

/// Takes the notifications away: only whoever looks by himself sees a change.
const MUTE: &str = "DO $$ BEGIN
    EXECUTE replace(pg_get_functiondef('settings_note'::regproc), 'pg_notify(', 'concat('); END $$";

async fn wait_listener(app: &App, other_than: &str) -> Result<String> {
    wait::until("a listener", LIMIT, || async {
        let all = column(app, LISTENERS).await?;
        Ok(all.into_iter().find(|pid| pid != other_than))
    })
    .await
}

#[tokio::test]
async fn watchers_reconnect_for_ever_and_re_read_on_reattach() -> Result<()> {
    let (_database, server) = active().await?;
    let mut pid = wait_listener(&server.app, "").await?;
    for round in 1..=3 {
        // Cut and changed in one go: nobody listens when this is told.
        let cut = format!(
            "SELECT pg_terminate_backend({pid}, 5000); UPDATE settings_engine_profile SET max_active = {round}"
        );
        server.app.sql(&cut).await?;
        wait_setting(&server, "/engine_profile/max_active", json!(round)).await?;
        pid = wait_listener(&server.app, &pid).await.with_context(|| format!("round {round}"))?;
    }
    // The last one hears.
    server.app.sql("UPDATE settings_engine_profile SET max_active = 9").await?;
    wait_setting(&server, "/engine_profile/max_active", json!(9)).await?;
    Ok(())
}

#[tokio::test]
async fn watchers_poll_as_a_fallback() -> Result<()> {
    let (_database, server) = active().await?;
    let pid = wait_listener(&server.app, "").await?;
    server.app.sql(MUTE).await?;
    server.app.sql("UPDATE settings_engine_profile SET max_active = 4").await?;
    wait_setting(&server, "/engine_profile/max_active", json!(4)).await?;
    assert_eq!(column(&server.app, LISTENERS).await?, [pid], "it was no reconnect that found it");
    Ok(())
}

const NO_RULE: &str = "ALTER TABLE settings_engine_profile
    DROP CONSTRAINT settings_engine_profile_resume_save_seconds_check";

#[tokio::test]
async fn a_row_that_does_not_validate_degrades_config_watcher_while_the_last_good_revision_stays_in_force()
-> Result<()> {
    let (_database, server) = active().await?;
    let good = server.settings().await?;
    server.app.sql(NO_RULE).await?;
    server.app.sql("UPDATE settings_engine_profile SET resume_save_seconds = 0, max_active = 5").await?;
    let health = server
        .wait_health("config_watcher to be degraded", LIMIT, |health| is_degraded(health, "config_watcher"))
        .await?;
    let reason = health["components"]["config_watcher"]["reason"].as_str().context("no reason")?;
    assert!(reason.contains("resume_save_seconds"), "{reason}");
    assert_eq!(server.settings().await?, good, "whole, and not the half that is good");
    server.app.sql("UPDATE settings_engine_profile SET resume_save_seconds = 30").await?;
    wait_setting(&server, "/engine_profile/resume_save_seconds", json!(30)).await?;
    let health =
        server.wait_health("the end of it", LIMIT, |health| !is_degraded(health, "config_watcher")).await?;
    assert_eq!(server.settings().await?["engine_profile"]["max_active"], 5, "{health}");
    Ok(())
}

#[tokio::test]
async fn at_start_the_last_good_revision_is_taken_from_the_history() -> Result<()> {
    let (_database, mut server) = active().await?;
    crate::support::change(&server, json!({ "engine_profile": { "resume_save_seconds": 77 } })).await?;
    let good = server.settings().await?;
    assert_eq!(server.app.sigterm().await?, 0);
    let (mut first, second) = (server.app.database().await?, NO_RULE);
    revaer_e2e::db::run(&mut first, second).await?;
    revaer_e2e::db::run(&mut first, "UPDATE settings_engine_profile SET resume_save_seconds = 0").await?;
    server.start_again().await?;
    let now = server.settings().await?;
    for section in ["app_profile", "engine_profile", "fs_policy", "api_keys"] {
        assert_eq!(now[section], good[section]);
    }
    assert!(is_degraded(&server.health().await?, "config_watcher"));
    Ok(())
}
