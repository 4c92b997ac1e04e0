//! A change by plain SQL counts like any other: one revision, one audit, and everybody works by it.

use std::time::Duration;

use anyhow::{Context, Result};
use revaer_e2e::app::Options;
use revaer_e2e::db::Database;
use revaer_e2e::stage::{Server, is_degraded};
use revaer_e2e::wait;
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(20);
const CAP: u64 = 3 << 20;

/// A server on an external database that listens where its settings say, with a row in every settings table.
async fn server(database: &Database) -> Result<Server> {
    let options = Options { database_url: Some(database.url().to_owned()), ..Options::default() };
    let mut server = Server::start_with(options, &json!({})).await?;
    let here = server.app.free_endpoint()?;
    let change = json!({
        "app_profile": { "bind_addr": here.ip(), "http_port": here.port() },
        "api_keys": [{ "op": "upsert", "key_id": "second", "label": "second", "secret": "s".repeat(40) }],
        "secrets": [{ "op": "set", "name": "second", "value": "hidden" }],
    });
    server.api.patch("/admin/settings", &change).await?.expect(200)?;
    assert_eq!(server.app.sigterm().await?, 0);
    server.app.listen_as_configured();
    server.start_again().await?;
    assert_eq!(server.app.url(), format!("http://{here}"));
    Ok(server)
}

/// The id of the newest event: that of a change made for it.
async fn last_event(server: &Server) -> Result<u64> {
    let mut events = server.api.events("", None).await?;
    let change = json!({ "app_profile": { "instance_name": "seen" } });
    server.api.patch("/admin/settings", &change).await?.expect(200)?;
    events.wait_for("settings_changed", LIMIT, |frame| frame.kind == "settings_changed").await?;
    events.last_id().context("events have no ids")
}

#[tokio::test]
async fn one_transaction_over_all_tables_is_one_revision_with_its_history_for_every_subscriber() -> Result<()>
{
    let database = Database::create().await?;
    let mut server = server(&database).await?;
    let seen = last_event(&server).await?;
    let before = server.settings().await?;
    let revision = before["revision"].as_i64().context("no revision")?;
    assert!(!server.app.log()?.contains("\"level\":\"DEBUG\""), "it logs DEBUG before it is told to");
    let there = server.app.free_endpoint()?;

    server
        .app
        .sql(&format!(
            "BEGIN;
             UPDATE settings_fs_policy SET move_mode = 'copy';
             UPDATE settings_engine_profile SET max_download_bps = {CAP};
             UPDATE settings_engine_profile SET max_upload_bps = {CAP};
             UPDATE auth_api_keys SET label = 'by hand' WHERE key_id = 'second';
             DELETE FROM settings_secret WHERE name = 'second';
             INSERT INTO query_presets (name, filter, sort) VALUES ('by-hand', '{{\"state\":[\"seeding\"]}}', 'added_at:asc');
             UPDATE settings_app_profile SET instance_name = 'by hand', telemetry_log_level = 'debug', http_port = {};
             COMMIT;",
            there.port()
        ))
        .await?;

    // Exactly one more, in the database.
    let stored = server.app.sql_value("SELECT revision FROM settings_revision").await?;
    assert_eq!(stored, Some((revision + 1).to_string()));
    let rows = server
        .app
        .sql(&format!(
            "SELECT DISTINCT section, op, row_key, actor = session_user::text, request_id
             FROM settings_history WHERE revision = {} ORDER BY section",
            revision + 1
        ))
        .await?;
    let rows: Vec<Vec<&str>> =
        rows.iter().map(|row| row.iter().map(|cell| cell.as_deref().unwrap_or("-")).collect()).collect();
    let wanted = [
        ["api_keys", "update", "second", "t", "-"],
        ["app_profile", "update", "true", "t", "-"],
        ["engine_profile", "update", "true", "t", "-"],
        ["fs_policy", "update", "true", "t", "-"],
        ["query_presets", "insert", "by-hand", "t", "-"],
        ["secrets", "delete", "second", "t", "-"],
    ];
    assert_eq!(rows, wanted);
    let later = server.app.sql_value("SELECT max(revision) FROM settings_history").await?;
    assert_eq!(later, Some((revision + 1).to_string()));

    // The listener moved.
    let old = server.api.clone();
    server.api = server.api.at(&format!("http://{there}"));
    wait::until("the listener at its new address", LIMIT, || async {
        Ok(server.api.get("/health").await.ok().filter(|answer| answer.status == 200).map(|_| ()))
    })
    .await?;
    wait::until("the old address to be given up", LIMIT, || async {
        Ok(old.fresh()?.get("/health").await.is_err().then_some(()))
    })
    .await?;

    // The event stream tells it, once and whole, to a reader that goes on at the new address.
    let mut events = server.api.events("", Some(seen)).await?;
    let told = events.wait_for("settings_changed", LIMIT, |frame| frame.kind == "settings_changed").await?;
    let told = &told.data["event"];
    assert_eq!(told["revision"], revision + 1, "{told}");
    for section in ["app_profile", "engine_profile", "fs_policy", "api_keys", "secrets", "query_presets"] {
        let sections = told["sections"].as_array().context("no sections")?;
        assert!(sections.contains(&Value::from(section)), "{section} is missing: {told}");
    }

    // The API shows it.
    let after = server.settings().await?;
    assert_eq!(after["revision"], revision + 1);
    assert_eq!(after["app_profile"]["instance_name"], "by hand");
    assert_eq!(after["fs_policy"]["move_mode"], "copy");
    let second =
        after["api_keys"].as_array().and_then(|keys| keys.iter().find(|key| key["key_id"] == "second"));
    assert_eq!(second.context("no key")?["label"], "by hand");
    assert!(!after["secrets"].to_string().contains("second"), "{after}");
    let preset = server.api.get("/v1/query-presets/by-hand").await?.expect(200)?;
    assert_eq!((&preset["filter"]["state"], &preset["sort"]), (&json!(["seeding"]), &json!("added_at:asc")));

    // The engine works by it.
    let health = server
        .wait_health("the cap to be in force in the engine", LIMIT, |health| {
            health["engine"]["download_cap_bps"] == CAP && health["engine"]["upload_cap_bps"] == CAP
        })
        .await?;
    assert!(!is_degraded(&health, "config_watcher"), "{health}");
    assert_eq!(health["revision"], revision + 1);

    // So does the log.
    wait::until("a message of level debug", LIMIT, || async {
        server.api.torrents().await?;
        Ok(server.app.log()?.contains("\"level\":\"DEBUG\"").then_some(()))
    })
    .await
}

#[tokio::test]
async fn a_transaction_that_is_rolled_back_or_changes_nothing_raises_nothing() -> Result<()> {
    let server = Server::start().await?;
    let before = server.settings().await?;
    for change in [
        "BEGIN; UPDATE settings_app_profile SET instance_name = 'never'; ROLLBACK;",
        "UPDATE settings_app_profile SET instance_name = instance_name;",
        "UPDATE settings_fs_policy SET flatten = NOT flatten WHERE false;",
    ] {
        server.app.sql(change).await?;
        let stored = server.app.sql_value("SELECT revision FROM settings_revision").await?;
        assert_eq!(stored, Some(before["revision"].to_string()), "{change}");
    }
    // A later change is the next revision, and nothing of the above is in it.
    server.app.sql("UPDATE settings_app_profile SET instance_name = 'later'").await?;
    wait::until("the change to be in force", LIMIT, || async {
        let now = server.settings().await?;
        Ok((now["app_profile"]["instance_name"] == "later").then_some(()))
    })
    .await?;
    let after = server.settings().await?;
    assert_eq!(after["revision"].as_i64(), before["revision"].as_i64().map(|revision| revision + 1));
    assert_eq!(after["fs_policy"], before["fs_policy"]);
    Ok(())
}
