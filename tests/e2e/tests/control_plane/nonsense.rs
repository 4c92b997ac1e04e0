//! A person with `psql` who types nonsense into any settings column: the server lives, works by the last good
//! revision, says so, and takes up the next good one.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use revaer_e2e::app::Options;
use revaer_e2e::db;
use revaer_e2e::stage::{Server, is_degraded, unhurried_key};
use serde_json::{Value, json};
use sqlx::PgConnection;

const LIMIT: Duration = Duration::from_secs(20);

/// The settings tables, each with the column that names a row, and the row that is spoiled.
const TABLES: [(&str, &str, &str); 6] = [
    ("settings_app_profile", "singleton", ""),
    ("settings_engine_profile", "singleton", ""),
    ("settings_fs_policy", "singleton", ""),
    ("auth_api_keys", "key_id", "victim"),
    ("settings_secret", "name", "victim"),
    ("query_presets", "name", "victim"),
];

/// Takes away whatever keeps nonsense out: the checks of tables and domains, and NOT NULL.
const DROP_RULES: &str = "DO $$ DECLARE c record; BEGIN
    FOR c IN SELECT conrelid::regclass AS place, conname FROM pg_constraint
             WHERE contype = 'c' AND conrelid::regclass::text = ANY (ARRAY['settings_app_profile', 'settings_engine_profile',
                 'settings_fs_policy', 'auth_api_keys', 'settings_secret', 'query_presets']) LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', c.place, c.conname);
    END LOOP;
    FOR c IN SELECT contypid::regtype AS place, conname FROM pg_constraint
             WHERE contypid::regtype::text LIKE 'settings\\_%' LOOP
        EXECUTE format('ALTER DOMAIN %s DROP CONSTRAINT %I', c.place, c.conname);
    END LOOP;
    FOR c IN SELECT a.attrelid::regclass AS place, a.attname AS name FROM pg_attribute a
             WHERE a.attnotnull AND a.attnum > 0 AND a.attrelid::regclass::text = ANY (ARRAY['settings_app_profile',
                 'settings_engine_profile', 'settings_fs_policy', 'auth_api_keys', 'settings_secret', 'query_presets'])
               AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = a.attrelid AND i.indisprimary
                               AND a.attnum = ANY (i.indkey)) LOOP
        EXECUTE format('ALTER TABLE %s ALTER COLUMN %I DROP NOT NULL', c.place, c.name);
    END LOOP;
END $$";

/// Nonsense for a column of a type, as SQL. No switch is turned on that would have the server speak to the outside.
fn nonsense(data_type: &str) -> Result<Vec<&'static str>> {
    let mut values = vec!["NULL", "'nonsense'", "''"];
    values.extend(match data_type {
        "text" => [
            "'../../etc'",
            "E'\\x01\\n\\t'",
            "'ÜNSINN 🦀'",
            "repeat('x', 100000)",
            "'/dev/null/x'",
            "'[{'",
            "'$argon2id$nonsense'",
        ]
        .as_slice(),
        "bigint" => &["-1", "0", "65536", "9223372036854775807", "(-9223372036854775808)", "1.5", "'1e3'"],
        "boolean" => &["'maybe'", "42"],
        "inet" => &["'0.0.0.0/0'", "'::1/64'", "'203.0.113.7'", "'ff02::1'", "'nowhere'"],
        "ARRAY" => &[
            "'{}'",
            "'{NULL}'",
            "'{{a,b},{c,d}}'",
            "'{\"\"}'",
            "'{\"[\",\"..\"]}'",
            "array_fill('x'::text, ARRAY[65])",
            "array_fill('203.0.113.9'::inet, ARRAY[65])",
            "'{203.0.113.7/8}'",
            "'[5:6]={/a,/b}'",
        ],
        "jsonb" => &[
            "'null'",
            "'[]'",
            "'\"x\"'",
            "'{\"state\":\"nonsense\",\"name\":5,\"more\":{}}'",
            "'{\"state\":[\"nonsense\"]}'",
            "(repeat('[', 3000) || repeat(']', 3000))::jsonb",
        ],
        "timestamp with time zone" => {
            &["'infinity'", "'-infinity'", "'4713-01-01 00:00 BC'", "'294276-12-31'", "'1970-01-01'"]
        }
        "bytea" => &["'\\x'", "'\\x00'", "decode(repeat('ff', 200000), 'hex')"],
        "uuid" => &["'00000000-0000-0000-0000-000000000000'"],
        other => bail!("a column of the unknown type {other}"),
    });
    Ok(values)
}

struct Column {
    table: &'static str,
    name: String,
    data_type: String,
    /// Which rows are spoiled, whatever becomes of their names.
    rows: String,
}

/// A server with a row to spoil in every settings table, and a connection as by `psql`.
async fn server() -> Result<(Server, PgConnection)> {
    let server = Server::start_with(Options::default(), &unhurried_key()).await?;
    let change = json!({
        "api_keys": [{ "op": "upsert", "key_id": "victim", "label": "victim", "secret": "v".repeat(40) }],
        "secrets": [{ "op": "set", "name": "victim", "value": "hidden" }],
    });
    server.api.patch("/admin/settings", &change).await?.expect(200)?;
    let mut psql = server.app.database().await?;
    db::run(&mut psql, "INSERT INTO query_presets (name) VALUES ('victim')").await?;
    settled(&server, &mut psql).await?;
    Ok((server, psql))
}

async fn columns(psql: &mut PgConnection) -> Result<Vec<Column>> {
    let mut columns = Vec::new();
    for (table, key, victim) in TABLES {
        let rows = if victim.is_empty() {
            "true".to_owned()
        } else {
            let others = format!(
                "SELECT coalesce(string_agg(quote_literal({key}), ','), '''''') FROM {table} WHERE {key} <> '{victim}'"
            );
            let others = db::run(psql, &others).await?;
            format!("{key} NOT IN ({})", others[0][0].as_deref().unwrap_or_default())
        };
        let found = format!(
            "SELECT column_name, data_type FROM information_schema.columns
             WHERE table_schema = 'public' AND table_name = '{table}' ORDER BY ordinal_position"
        );
        for row in db::run(psql, &found).await? {
            let [Some(name), Some(data_type)] = row.as_slice() else { continue };
            let (name, data_type, rows) = (name.clone(), data_type.clone(), rows.clone());
            columns.push(Column { table, name, data_type, rows });
        }
    }
    assert!(columns.len() > 60, "only {} columns were found", columns.len());
    Ok(columns)
}

async fn stored_revision(psql: &mut PgConnection) -> Result<i64> {
    let rows = db::run(psql, "SELECT revision FROM settings_revision").await?;
    Ok(rows[0][0].as_deref().context("no revision")?.parse()?)
}

/// Waits until the newest revision is in force and nothing is wrong with the settings; answers them.
async fn settled(server: &Server, psql: &mut PgConnection) -> Result<Value> {
    let revision = stored_revision(psql).await?;
    server
        .wait_health("the settings to be in force", LIMIT, |health| {
            health["revision"] == revision && !is_degraded(health, "config_watcher")
        })
        .await?;
    server.settings().await
}

/// Waits until the server has taken up a revision, or says that it cannot; answers whether it has.
async fn taken_up(server: &Server, revision: i64) -> Result<bool> {
    let health = server
        .wait_health("a word about the new revision", LIMIT, |health| {
            health["revision"] == revision || is_degraded(health, "config_watcher")
        })
        .await?;
    Ok(health["revision"] == revision)
}

/// What was made of one piece of nonsense.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    RefusedByDatabase,
    NoChange,
    TakenUp,
    SetAside,
}

async fn type_in(
    server: &mut Server,
    psql: &mut PgConnection,
    column: &Column,
    value: &str,
    good: &mut Value,
) -> Result<Fate> {
    let before = stored_revision(psql).await?;
    let update = format!("UPDATE {} SET {} = {value} WHERE {}", column.table, column.name, column.rows);
    let fate = if db::run(psql, &update).await.is_err() {
        Fate::RefusedByDatabase
    } else {
        let revision = stored_revision(psql).await?;
        if revision == before {
            Fate::NoChange
        } else if taken_up(server, revision).await? {
            *good = server.settings().await?;
            Fate::TakenUp
        } else {
            // The last good revision, whole: not one member of the new one.
            assert_eq!(&server.settings().await?, good, "{update}");
            Fate::SetAside
        }
    };
    server.app.expect_running().with_context(|| update.clone())?;
    server.api.get("/health").await?;
    Ok(fate)
}

/// Every column in turn: every value, then the old one again.
async fn every_column(server: &mut Server, psql: &mut PgConnection) -> Result<Vec<(String, Fate)>> {
    let mut fates = Vec::new();
    for column in columns(psql).await? {
        let (table, name, rows) = (column.table, &column.name, &column.rows);
        let mut good = settled(server, psql).await?;
        db::run(psql, &format!("CREATE TEMP TABLE kept AS SELECT {name} FROM {table} WHERE {rows}")).await?;
        let values = nonsense(&column.data_type)?;
        let restore = format!("UPDATE {table} SET {name} = (SELECT {name} FROM kept) WHERE {rows}");
        for value in &values {
            let what = format!("{table}.{name} = {value}");
            let fate =
                type_in(server, psql, &column, value, &mut good).await.with_context(|| what.clone())?;
            if fate == Fate::SetAside {
                // What is set aside hides whether the next one is.
                db::run(psql, &restore).await?;
                good = settled(server, psql).await.with_context(|| format!("after {what}"))?;
            }
            fates.push((what, fate));
        }
        db::run(psql, &format!("{restore}; DROP TABLE kept")).await?;
        settled(server, psql).await.with_context(|| format!("{table}.{name} restored"))?;
    }
    Ok(fates)
}

fn count(fates: &[(String, Fate)], fate: &Fate) -> usize {
    fates.iter().filter(|(_, found)| found == fate).count()
}

#[tokio::test]
async fn nonsense_in_any_column_is_refused_by_the_database_or_taken_for_what_it_is() -> Result<()> {
    let (mut server, mut psql) = server().await?;
    let fates = every_column(&mut server, &mut psql).await?;
    // A rule of the database lets nothing in that the server would have to set aside.
    let aside: Vec<&String> =
        fates.iter().filter(|(_, fate)| *fate == Fate::SetAside).map(|(what, _)| what).collect();
    assert!(aside.is_empty(), "the database let in what the server refuses: {aside:#?}");
    assert!(count(&fates, &Fate::RefusedByDatabase) > 200, "{fates:#?}");
    assert_eq!(server.app.sigterm().await?, 0);
    Ok(())
}

#[tokio::test]
async fn nonsense_that_got_past_the_database_leaves_the_last_good_revision_in_force() -> Result<()> {
    let (mut server, mut psql) = server().await?;
    db::run(&mut psql, DROP_RULES).await?;
    let fates = every_column(&mut server, &mut psql).await?;
    assert!(count(&fates, &Fate::SetAside) > 100, "{fates:#?}");
    assert_eq!(server.app.sigterm().await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_start_with_nonsense_in_the_rows_works_by_the_last_good_revision_of_the_history() -> Result<()> {
    let (mut server, mut psql) = server().await?;
    db::run(&mut psql, DROP_RULES).await?;
    for (spoil, mend) in [
        (
            "UPDATE settings_app_profile SET http_port = -5",
            "UPDATE settings_app_profile SET http_port = 7070",
        ),
        (
            "UPDATE settings_app_profile SET telemetry_log_level = NULL",
            "UPDATE settings_app_profile SET telemetry_log_level = 'info'",
        ),
        (
            "UPDATE settings_engine_profile SET encryption = 'maybe'",
            "UPDATE settings_engine_profile SET encryption = 'prefer'",
        ),
        (
            "UPDATE settings_fs_policy SET library_root = '../x'",
            "UPDATE settings_fs_policy SET library_root = (SELECT replace(download_root, '/downloads', '/library') FROM settings_engine_profile)",
        ),
        (
            "UPDATE auth_api_keys SET label = NULL WHERE key_id = 'victim'",
            "UPDATE auth_api_keys SET label = 'victim' WHERE key_id = 'victim'",
        ),
        ("UPDATE query_presets SET filter = '5'", "UPDATE query_presets SET filter = '{}'"),
    ] {
        let good = settled(&server, &mut psql).await?;
        db::run(&mut psql, spoil).await?;
        let revision = stored_revision(&mut psql).await?;
        assert!(!taken_up(&server, revision).await?, "{spoil} was taken up");
        drop(psql);

        server.app.kill9().await?;
        server.start_again().await.with_context(|| spoil.to_owned())?;
        assert_eq!(server.app.mode(), "active", "{spoil}");
        let health = server.health().await?;
        assert!(is_degraded(&health, "config_watcher"), "{spoil}: {health}");
        let now = server.settings().await?;
        for section in ["app_profile", "engine_profile", "fs_policy", "api_keys", "secrets"] {
            assert_eq!(now[section], good[section], "{spoil}");
        }

        psql = server.app.database().await?;
        db::run(&mut psql, mend).await?;
        settled(&server, &mut psql).await.with_context(|| mend.to_owned())?;
    }
    assert_eq!(server.app.sigterm().await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_settings_table_with_no_row_or_two_leaves_the_last_good_revision_in_force() -> Result<()> {
    let (mut server, mut psql) = server().await?;
    db::run(&mut psql, DROP_RULES).await?;
    for table in ["settings_app_profile", "settings_engine_profile", "settings_fs_policy"] {
        let good = settled(&server, &mut psql).await?;
        db::run(
            &mut psql,
            &format!("CREATE TEMP TABLE kept AS TABLE {table}; DROP TRIGGER b_keep_row ON {table}"),
        )
        .await?;
        let two = format!(
            "INSERT INTO {table} SELECT * FROM kept; UPDATE {table} SET singleton = false WHERE ctid = (SELECT max(ctid) FROM {table})"
        );
        let none = format!("DELETE FROM {table}");
        for spoil in [&two, &none] {
            // A primary key of one value keeps a second row out; without it there may be two.
            db::run(&mut psql, &format!("ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {table}_pkey"))
                .await?;
            db::run(&mut psql, spoil).await?;
            let revision = stored_revision(&mut psql).await?;
            if !taken_up(&server, revision).await? {
                assert_eq!(server.settings().await?, good, "{spoil}");
            }
            server.app.expect_running().with_context(|| spoil.clone())?;
        }
        db::run(&mut psql, &format!("INSERT INTO {table} SELECT * FROM kept; DROP TABLE kept")).await?;
        settled(&server, &mut psql).await.with_context(|| table.to_owned())?;
    }
    assert_eq!(server.app.sigterm().await?, 0);
    Ok(())
}
