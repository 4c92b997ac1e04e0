//! Nonsense in the rows beside the settings: the revision itself, the history, and the setup tokens.

use std::time::Duration;

use anyhow::{Context, Result};
use revaer_e2e::app::App;
use revaer_e2e::setup;
use revaer_e2e::stage::Server;
use revaer_e2e::wait;
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(20);

/// A change by the API is made, and by `psql` too.
async fn expect_changeable(server: &Server, name: &str) -> Result<()> {
    let change = json!({ "app_profile": { "instance_name": format!("{name} by patch") } });
    let before = server.settings().await?["revision"].as_i64().context("no revision")?;
    let patched = server.api.patch("/admin/settings", &change).await?.expect(200)?;
    assert_eq!(patched["revision"], before + 1);
    server.app.sql(&format!("UPDATE settings_app_profile SET instance_name = '{name} by hand'")).await?;
    wait::until("the change by hand to be in force", LIMIT, || async {
        let now = server.settings().await?;
        Ok((now["app_profile"]["instance_name"] == format!("{name} by hand")).then_some(()))
    })
    .await
}

#[tokio::test]
async fn nonsense_in_the_revision_stops_neither_the_server_nor_its_start() -> Result<()> {
    let mut server = Server::start().await?;
    for (index, nonsense) in [
        "UPDATE settings_revision SET changed_at = 'infinity'",
        "UPDATE settings_revision SET changed_at = '-infinity'",
        "UPDATE settings_revision SET changed_at = '4713-01-01 BC'",
        "UPDATE settings_revision SET changed_at = '294276-12-31'",
        "INSERT INTO settings_history (revision, actor, section, op, row_key, new) SELECT revision, '', 'nonsense', '', '', '5' FROM settings_revision",
        "INSERT INTO settings_history (revision, actor, section, op, row_key, new, at) SELECT revision, '', 'app_profile', 'update', 'true', '[]', 'infinity' FROM settings_revision",
    ]
    .into_iter()
    .enumerate()
    {
        server.app.sql(nonsense).await?;
        server.app.kill9().await?;
        server.start_again().await.with_context(|| nonsense.to_owned())?;
        assert_eq!(server.app.mode(), "active", "{nonsense}");
        expect_changeable(&server, &format!("change {index}")).await.with_context(|| nonsense.to_owned())?;
    }
    assert_eq!(server.app.sigterm().await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_revision_that_cannot_rise_refuses_changes_and_stops_nothing() -> Result<()> {
    let mut server = Server::start().await?;
    let last = "UPDATE settings_revision SET revision = 9223372036854775807";
    assert!(server.app.sql(last).await.is_err(), "a revision rises by one");
    assert!(server.app.sql("DELETE FROM settings_history").await.is_err(), "the history is only added to");
    server.app.sql(&format!("ALTER TABLE settings_revision DISABLE TRIGGER only_grows; {last}")).await?;
    let change = json!({ "app_profile": { "instance_name": "never" } });
    let answer = server.api.patch("/admin/settings", &change).await?;
    assert!(answer.status >= 400, "{} {}", answer.status, answer.body);
    server.app.expect_running()?;
    server.api.get("/v1/torrents").await?.expect(200)?;
    server.app.kill9().await?;
    server.start_again().await?;
    assert_eq!(server.settings().await?["app_profile"]["instance_name"], "revaer");
    Ok(())
}

#[tokio::test]
async fn nonsense_in_the_setup_tokens_lets_nobody_in_and_the_next_token_works() -> Result<()> {
    let mut app = App::start().await?;
    for nonsense in [
        "token_hash = 'nonsense'",
        "token_hash = ''",
        "expires_at = 'infinity', token_hash = '$argon2id$v=19$m=4294967295,t=4294967295,p=1$c2FsdHNhbHQ$aGFzaA'",
        "expires_at = '-infinity'",
        "issued_at = 'infinity'",
        "issued_by = repeat('x', 100000)",
        "consumed_at = 'infinity'",
    ] {
        let api = app.api()?;
        let token = setup::token(&api).await?;
        app.sql(&format!(
            "UPDATE setup_tokens SET {nonsense} WHERE consumed_at IS NULL AND superseded_at IS NULL AND expired_at IS NULL"
        ))
        .await?;
        // Something that is not an object: whether the token is good shows, and setup is not completed.
        let answer =
            api.post_with("/admin/setup/complete", &json!([]), &[("x-revaer-setup-token", &token)]).await?;
        assert!(answer.status >= 400, "{nonsense}: {} {}", answer.status, answer.body);
        app.expect_running().with_context(|| nonsense.to_owned())?;
        app.kill9().await?;
        app.start_again().await.with_context(|| nonsense.to_owned())?;
        assert_eq!(app.mode(), "setup", "{nonsense}");
    }
    setup::complete(&app, &json!({})).await?;
    assert_eq!(app.sigterm().await?, 0);
    Ok(())
}
