//! Setup: its tokens in the history, and its one transaction.

use anyhow::{Context, Result};
use revaer_e2e::api::Answer;
use revaer_e2e::app::App;
use revaer_e2e::setup;
use serde_json::{Value, json};

use crate::support::{column, fresh, heard, listener, stored_revision};

async fn complete(app: &App, token: &str, more: &Value) -> Result<Answer> {
    let mut body = setup::changeset(app);
    setup::merge(&mut body, more);
    app.api()?.post_with("/admin/setup/complete", &body, &[("x-revaer-setup-token", token)]).await
}

#[tokio::test]
async fn setup_token_issue_supersession_rejection_expiry_and_consumption_are_history_with_a_notify_and_no_bump()
-> Result<()> {
    let (database, app) = fresh().await?;
    let api = app.api()?;
    let mut listener = listener(&database).await?;
    let before = stored_revision(&app).await?;
    let told = |op: &str| format!("setup_tokens:{before}:{op}");

    setup::token(&api).await?;
    assert_eq!(heard(&mut listener, 1).await?, [told("issued")]);
    let second = setup::token(&api).await?;
    assert_eq!(heard(&mut listener, 2).await?, [told("superseded"), told("issued")]);
    complete(&app, "no-such-token", &json!({})).await?.expect(401)?;
    assert_eq!(heard(&mut listener, 1).await?, [told("rejected")]);
    app.sql("UPDATE setup_tokens SET expires_at = now() - interval '1 second' WHERE superseded_at IS NULL")
        .await?;
    assert_eq!(heard(&mut listener, 1).await?, [told("update")]);
    complete(&app, &second, &json!({})).await?.expect(401)?;
    assert_eq!(heard(&mut listener, 1).await?, [told("expired")]);
    assert_eq!(stored_revision(&app).await?, before, "a token is no setting");

    let third = setup::token(&api).await?;
    complete(&app, &third, &json!({})).await?.expect(200)?;
    let rows = column(
        &app,
        "SELECT op || ' ' || revision FROM settings_history WHERE section = 'setup_tokens' AND op NOT IN ('update', 'rejected') ORDER BY id",
    )
    .await?;
    let row = |op: &str| format!("{op} {before}");
    let expected = ["issued", "superseded", "issued", "expired", "issued", "consumed"].map(row);
    assert_eq!(rows, expected);
    let rejected =
        "SELECT count(*) > 0 FROM settings_history WHERE section = 'setup_tokens' AND op = 'rejected'";
    assert_eq!(app.sql_value(rejected).await?.as_deref(), Some("t"));
    // Setup itself is a setting, and one revision.
    assert_eq!(stored_revision(&app).await?, before + 1);
    // None of them holds a token or its hash.
    let all = column(&app, "SELECT h::text FROM settings_history h").await?.concat();
    for token in [&second, &third] {
        assert!(!all.contains(token.rsplit('.').next().context("an empty token")?));
    }
    assert!(!all.contains("argon2id"));
    Ok(())
}

/// Damages the probe on its way into the table, as a cipher or a database that lies would.
const DAMAGE: &str = "CREATE FUNCTION damage() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        NEW.sealed := set_byte(NEW.sealed, 30, (get_byte(NEW.sealed, 30) + 1) % 256);
        RETURN NEW;
    END $$;
    CREATE TRIGGER damage BEFORE INSERT OR UPDATE ON settings_secret
        FOR EACH ROW WHEN (NEW.name = 'revaer.probe') EXECUTE FUNCTION damage()";

#[tokio::test]
async fn a_probe_secret_is_sealed_and_opened_before_mode_flips() -> Result<()> {
    let (_database, app) = fresh().await?;
    let token = setup::token(&app.api()?).await?;
    app.sql(DAMAGE).await?;
    let refused = complete(&app, &token, &json!({})).await?;
    assert!(refused.status >= 500, "a probe that does not open: {} {}", refused.status, refused.body);
    let mode = "SELECT mode FROM settings_app_profile";
    assert_eq!(app.sql_value(mode).await?.as_deref(), Some("setup"));
    app.sql("DROP TRIGGER damage ON settings_secret").await?;
    complete(&app, &token, &json!({})).await?.expect(200)?;
    assert_eq!(app.sql_value(mode).await?.as_deref(), Some("active"));
    let order = "SELECT section FROM settings_history
        WHERE (section = 'secrets' AND row_key = 'revaer.probe') OR (section = 'app_profile' AND new ->> 'mode' = 'active')
        ORDER BY id";
    assert_eq!(column(&app, order).await?, ["secrets", "app_profile"]);
    Ok(())
}

/// One step of setup that the database refuses.
const REFUSALS: [(&str, &str); 4] = [
    ("setup_tokens", "UPDATE"),
    ("settings_engine_profile", "UPDATE"),
    ("auth_api_keys", "INSERT"),
    ("settings_app_profile", "UPDATE"),
];

#[tokio::test]
async fn setup_complete_is_one_transaction_it_happens_once_or_not_at_all() -> Result<()> {
    let (_database, app) = fresh().await?;
    let token = setup::token(&app.api()?).await?;
    let secret = "b".repeat(40);
    let more = json!({
        "app_profile": { "instance_name": "attic" },
        "api_keys": [{ "op": "upsert", "key_id": "brought", "label": "b", "secret": secret }],
        "secrets": [{ "op": "set", "name": "a", "value": "1" }],
    });
    app.sql(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused by the test'; END $$",
    )
    .await?;
    let rows = "SELECT jsonb_build_array((SELECT jsonb_agg(t) FROM setup_tokens t),
        (SELECT to_jsonb(r) FROM settings_revision r), (SELECT to_jsonb(a) FROM settings_app_profile a),
        (SELECT to_jsonb(e) FROM settings_engine_profile e), (SELECT jsonb_agg(k) FROM auth_api_keys k),
        (SELECT jsonb_agg(s) FROM settings_secret s), (SELECT count(*) FROM settings_history))::text";
    let before = app.sql_value(rows).await?;
    for (table, op) in REFUSALS {
        app.sql(&format!(
            "CREATE TRIGGER refuse BEFORE {op} ON {table} FOR EACH ROW EXECUTE FUNCTION refuse()"
        ))
        .await?;
        let refused = complete(&app, &token, &more).await?;
        assert!(refused.status >= 500, "{table}: {} {}", refused.status, refused.body);
        assert_eq!(app.sql_value(rows).await?, before, "{table}");
        app.sql(&format!("DROP TRIGGER refuse ON {table}")).await?;
    }
    let done = complete(&app, &token, &more).await?.expect(200)?;
    assert_eq!(done["api_key"], format!("brought:{secret}"));
    // Token, changeset, key, probe and mode were written by one transaction, as one revision.
    let writers = "SELECT DISTINCT xmin::text FROM (SELECT xmin FROM setup_tokens UNION ALL SELECT xmin FROM settings_app_profile
        UNION ALL SELECT xmin FROM settings_engine_profile UNION ALL SELECT xmin FROM auth_api_keys
        UNION ALL SELECT xmin FROM settings_secret UNION ALL SELECT xmin FROM settings_revision) AS rows";
    assert_eq!(column(&app, writers).await?.len(), 1);
    complete(&app, &token, &more).await?.expect_problem(409, "conflict")?;
    app.api()?.with_key(&format!("brought:{secret}")).get("/v1/torrents").await?.expect(200)?;
    Ok(())
}
