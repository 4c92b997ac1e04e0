//! The tables and their triggers, as a person with `psql` meets them.

use anyhow::{Context, Result};
use serde_json::json;

use crate::support::{
    active, change, column, fresh, heard, listener, revision, stored_revision, wait_setting,
};

#[tokio::test]
async fn the_settings_live_in_these_tables() -> Result<()> {
    let (_database, app) = fresh().await?;
    let tables = column(
        &app,
        "SELECT table_name::text FROM information_schema.tables
         WHERE table_schema = 'public' AND table_name ~ '^(settings_|setup_|auth_api_keys$|query_)' ORDER BY 1",
    )
    .await?;
    let expected = [
        "auth_api_keys",
        "query_presets",
        "settings_app_profile",
        "settings_engine_profile",
        "settings_fs_policy",
        "settings_history",
        "settings_revision",
        "settings_secret",
        "setup_tokens",
    ];
    assert_eq!(tables, expected);
    Ok(())
}

#[tokio::test]
async fn settings_revision_has_one_row() -> Result<()> {
    let (_database, app) = fresh().await?;
    for more_or_less in [
        "INSERT INTO settings_revision (revision, changed_at) VALUES (9, now())",
        "INSERT INTO settings_revision (singleton, revision, changed_at) VALUES (false, 9, now())",
        "DELETE FROM settings_revision",
        "TRUNCATE settings_revision",
    ] {
        assert!(app.sql(more_or_less).await.is_err(), "{more_or_less}");
    }
    assert_eq!(app.sql_value("SELECT count(*) FROM settings_revision").await?.as_deref(), Some("1"));
    Ok(())
}

#[tokio::test]
async fn setup_tokens_hold_an_argon2id_hash_and_a_partial_unique_index_keeps_at_most_one_live() -> Result<()>
{
    let (_database, app) = fresh().await?;
    let api = app.api()?;
    let mut tokens = Vec::new();
    for _ in 0..2 {
        tokens.push(revaer_e2e::setup::token(&api).await?);
    }
    let rows = column(&app, "SELECT token_hash FROM setup_tokens").await?;
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|hash| hash.starts_with("$argon2id$")), "{rows:?}");
    let all = format!("{:?}", app.sql("SELECT t::text FROM setup_tokens t").await?);
    for token in &tokens {
        let secret = token.rsplit('.').next().context("an empty token")?;
        assert!(!all.contains(secret), "the token itself is stored");
    }
    let live = "consumed_at IS NULL AND superseded_at IS NULL AND expired_at IS NULL";
    let count = app.sql_value(&format!("SELECT count(*) FROM setup_tokens WHERE {live}")).await?;
    assert_eq!(count.as_deref(), Some("1"));
    let second = "INSERT INTO setup_tokens (id, token_hash, issued_by, issued_at, expires_at)
        VALUES (gen_random_uuid(), '$argon2id$x', 'psql', now(), now() + interval '1 hour')";
    let refused = format!("{:?}", app.sql(second).await.err().context("a second live token is taken")?);
    assert!(refused.contains("setup_tokens_one_live"), "{refused}");
    let again = format!("UPDATE setup_tokens SET superseded_at = NULL WHERE NOT ({live})");
    assert!(app.sql(&again).await.is_err(), "a superseded token comes to life");
    Ok(())
}

#[tokio::test]
async fn triggers_bump_the_revision_once_per_transaction_and_notify_table_revision_and_op() -> Result<()> {
    let (database, server) = active().await?;
    let before = stored_revision(&server.app).await?;
    let mut listener = listener(&database).await?;
    server
        .app
        .sql(
            "BEGIN;
             UPDATE settings_engine_profile SET max_active = 5;
             UPDATE settings_engine_profile SET max_active = 6;
             UPDATE settings_fs_policy SET flatten = true;
             UPDATE settings_app_profile SET instance_name = 'b';
             INSERT INTO query_presets (name) VALUES ('x');
             UPDATE auth_api_keys SET label = 'c';
             INSERT INTO settings_secret (name, sealing_key, sealed) VALUES ('s', 'k', decode(repeat('00', 40), 'hex'));
             DELETE FROM settings_secret WHERE name = 's';
             COMMIT;",
        )
        .await?;
    assert_eq!(stored_revision(&server.app).await?, before + 1);
    let payload = |table: &str, op: &str| format!("{table}:{}:{op}", before + 1);
    let expected = [
        // PostgreSQL tells the same text once per transaction.
        payload("settings_engine_profile", "update"),
        payload("settings_fs_policy", "update"),
        payload("settings_app_profile", "update"),
        payload("query_presets", "insert"),
        payload("auth_api_keys", "update"),
        payload("settings_secret", "insert"),
        payload("settings_secret", "delete"),
    ];
    assert_eq!(heard(&mut listener, expected.len()).await?, expected);
    // Secrets alone count too.
    change(&server, json!({ "secrets": [{ "op": "set", "name": "only", "value": "v" }] })).await?;
    assert_eq!(heard(&mut listener, 1).await?, [format!("settings_secret:{}:insert", before + 2)]);
    Ok(())
}

#[tokio::test]
async fn triggers_bump_the_revision_only_where_a_row_really_differs() -> Result<()> {
    let (database, server) = active().await?;
    let before = server.settings().await?;
    let mut listener = listener(&database).await?;
    for same in [
        "UPDATE settings_app_profile SET instance_name = instance_name",
        "UPDATE settings_fs_policy SET flatten = NOT flatten WHERE false",
        "DELETE FROM query_presets WHERE name = 'none'",
        "UPDATE auth_api_keys SET label = label, enabled = enabled",
        "INSERT INTO query_presets (name) SELECT 'none' WHERE false",
        "BEGIN; UPDATE settings_fs_policy SET flatten = NOT flatten; ROLLBACK",
    ] {
        server.app.sql(same).await?;
        assert_eq!(stored_revision(&server.app).await?, revision(&before)?, "{same}");
    }
    server.app.sql("UPDATE settings_fs_policy SET flatten = true").await?;
    let next = revision(&before)? + 1;
    assert_eq!(heard(&mut listener, 1).await?, [format!("settings_fs_policy:{next}:update")]);
    let rows = format!("SELECT section FROM settings_history WHERE revision > {}", revision(&before)?);
    assert_eq!(column(&server.app, &rows).await?, ["fs_policy"]);
    Ok(())
}

#[tokio::test]
async fn a_change_by_plain_sql_is_audited_by_its_actor_or_role_and_hot_reloads_like_any_other() -> Result<()>
{
    let (_database, server) = active().await?;
    let before = revision(&server.settings().await?)?;
    server.app.sql("UPDATE settings_engine_profile SET max_download_bps = 4096").await?;
    server
        .app
        .sql(
            "BEGIN; SET LOCAL revaer.actor = 'night shift'; UPDATE settings_engine_profile SET max_upload_bps = 8192;
             COMMIT; UPDATE settings_fs_policy SET flatten = true",
        )
        .await?;
    change(&server, json!({ "fs_policy": { "flatten": false } })).await?;
    // In force in the engine, without a restart.
    server
        .wait_health("the caps to be in force", crate::support::LIMIT, |health| {
            health["engine"]["download_cap_bps"] == 4096 && health["engine"]["upload_cap_bps"] == 8192
        })
        .await?;
    wait_setting(&server, "/fs_policy/flatten", json!(false)).await?;
    let role = server.app.sql_value("SELECT session_user::text").await?.context("no role")?;
    let page = server.api.get(&format!("/admin/settings/history?after={before}")).await?.expect(200)?;
    let entries = page["history"].as_array().context("no history")?;
    let told: Vec<_> = entries
        .iter()
        .map(|entry| (entry["revision"].clone(), entry["actor"].clone(), entry["changes"][0]["new"].clone()))
        .collect();
    let by_key = entries.last().context("an empty history")?["actor"].clone();
    let expected = [
        (json!(before + 1), json!(role), json!({ "max_download_bps": 4096 })),
        (json!(before + 2), json!("night shift"), json!({ "max_upload_bps": 8192 })),
        (json!(before + 3), json!(role), json!({ "flatten": true })),
        (json!(before + 4), by_key.clone(), json!({ "flatten": false })),
    ];
    assert_eq!(told, expected);
    assert!(by_key.as_str().is_some_and(|actor| actor.contains("admin")), "{by_key}");
    Ok(())
}
