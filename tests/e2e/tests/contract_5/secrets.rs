//! Secrets: sealed by the server under a key that is not in the database.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use revaer_e2e::api::Api;
use revaer_e2e::app::App;
use revaer_e2e::binaries;
use revaer_e2e::db::Database;
use revaer_e2e::process::{Process, Spec};
use revaer_e2e::wait;
use serde_json::json;
use tempfile::TempDir;

use crate::support::{LIMIT, active, change, column, fresh, options, stored_revision};

const VALUE: &str = "correct-horse-battery-staple-0123456789";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// Every form in which a text could lie about.
fn forms(value: &str) -> Vec<String> {
    // Without its end, where the base64 of a longer text goes on differently.
    let cut = &value.as_bytes()[..value.len() / 3 * 3 - 3];
    vec![value.to_owned(), hex(value.as_bytes()), STANDARD.encode(cut), URL_SAFE_NO_PAD.encode(cut)]
}

/// Every row of every table as text, as a dump has them.
async fn dump(app: &App) -> Result<String> {
    let tables = "SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) FROM pg_tables
        WHERE schemaname NOT IN ('pg_catalog', 'information_schema')";
    let mut dump = String::new();
    for table in column(app, tables).await? {
        let rows = column(app, &format!("SELECT t::text FROM {table} t")).await?;
        dump.extend(rows.into_iter().map(|row| format!("{table}: {row}\n")));
    }
    Ok(dump)
}

#[tokio::test]
async fn secrets_are_sealed_by_the_server_and_shown_nowhere() -> Result<()> {
    let (_database, server) = active().await?;
    let verbose = json!({ "app_profile": { "telemetry": { "log_level": "trace" } } });
    change(&server, verbose).await?;
    let key_secret = "an-api-key-that-nobody-may-read-elsewhere";
    let set = json!({
        "secrets": [{ "op": "set", "name": "tracker.login", "value": VALUE }],
        "api_keys": [{ "op": "upsert", "key_id": "brought", "label": "b", "secret": key_secret }],
    });
    let answer = change(&server, set.clone()).await?;
    change(&server, json!({ "secrets": [{ "op": "set", "name": "tracker.login", "value": "another" }] }))
        .await?;
    change(&server, set).await?;
    server.api.with_key(&format!("brought:{key_secret}")).get("/v1/torrents").await?.expect(200)?;
    // A body that is refused holds them too.
    let refused = json!({ "secrets": [{ "op": "set", "name": "", "value": VALUE }],
        "api_keys": [{ "op": "upsert", "key_id": "", "secret": key_secret }] });
    let problem = server.api.patch("/admin/settings", &refused).await?.expect(422)?;
    let mut places = vec![
        ("the database", dump(&server.app).await?),
        ("the log", server.app.log()?),
        ("the answer", answer.to_string()),
        ("the problem", problem.to_string()),
    ];
    for path in ["/admin/settings", "/admin/settings/history?limit=200", "/health/full", "/metrics"] {
        places.push((path, server.api.get(path).await?.expect(200)?.to_string()));
    }
    assert!(places[0].1.contains("tracker.login"), "the dump is none");
    for (place, text) in &places {
        for form in [forms(VALUE), forms(key_secret)].concat() {
            assert!(!text.contains(&form), "{place} holds the secret as {form}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_secret_is_sealed_with_its_name_as_associated_data() -> Result<()> {
    let (_database, server) = active().await?;
    let set = |name: &str| json!({ "secrets": [{ "op": "set", "name": name, "value": VALUE }] });
    change(&server, set("a")).await?;
    change(&server, set("b")).await?;
    let before = stored_revision(&server.app).await?;
    // The same value again is no change: it was opened.
    change(&server, set("a")).await?;
    change(&server, set("b")).await?;
    assert_eq!(stored_revision(&server.app).await?, before);
    // What was sealed as `a` does not open as `b`, whatever stands in it.
    server
        .app
        .sql("UPDATE settings_secret SET sealed = (SELECT sealed FROM settings_secret WHERE name = 'a') WHERE name = 'b'")
        .await?;
    assert_eq!(stored_revision(&server.app).await?, before + 1);
    change(&server, set("b")).await?;
    assert_eq!(
        stored_revision(&server.app).await?,
        before + 2,
        "the sealed value of another name was opened"
    );
    change(&server, set("a")).await?;
    assert_eq!(stored_revision(&server.app).await?, before + 2);
    Ok(())
}

/// The bytes of a key file, which is one line for its owner alone.
fn key_of(file: &Path) -> Result<Vec<u8>> {
    let mode = fs::metadata(file)?.permissions().mode();
    assert_eq!(mode & 0o7777, 0o600, "{}", file.display());
    let line = fs::read_to_string(file)?;
    let key = URL_SAFE_NO_PAD.decode(line.trim()).context("no base64url")?;
    assert_eq!(key.len(), 32);
    Ok(key)
}

#[tokio::test]
async fn the_secret_key_is_32_random_bytes_in_a_0600_file_and_not_in_the_database() -> Result<()> {
    let (_database, first) = active().await?;
    let (_other, second) = active().await?;
    let file = |app: &App| app.data_dir().join("secret.key");
    let (one, two) = (key_of(&file(&first.app))?, key_of(&file(&second.app))?);
    assert_ne!(one, two);
    let dump = dump(&first.app).await?;
    let line = fs::read_to_string(file(&first.app))?;
    assert!(!dump.contains(&hex(&one)) && !dump.contains(line.trim()));
    assert!(!first.app.log()?.contains(line.trim()));
    Ok(())
}

#[tokio::test]
async fn a_passphrase_gives_the_secret_key_and_is_kept_nowhere() -> Result<()> {
    let (_database, app) = fresh().await?;
    let file = app.data_dir().join("secret.key");
    let random = key_of(&file)?;
    let passphrase = "the passphrase of this very test";
    let secrets = json!([{ "op": "set", "name": "a", "value": VALUE }]);
    revaer_e2e::setup::complete(&app, &json!({ "passphrase": passphrase, "secrets": secrets })).await?;
    assert_ne!(key_of(&file)?, random);
    for form in forms(passphrase) {
        assert!(!dump(&app).await?.contains(&form) && !app.log()?.contains(&form));
        assert!(!fs::read_to_string(&file)?.contains(&form));
    }
    Ok(())
}

/// A server with an environment of the test's own, and its URL.
async fn start_with_key_file(
    database: &Database,
    folder: &Path,
    file: &Path,
    start: u32,
) -> Result<(Process, Api)> {
    let spec = Spec::new(&format!("revaer-app-{start}"), binaries::find("revaer-app")?, folder)
        .args(["--data-dir".to_owned(), folder.join("data").display().to_string()])
        .args(["--listen", "127.0.0.1:0"])
        .env("DATABASE_URL", database.url())
        .env("REVAER_SECRET_KEY_FILE", file.display().to_string());
    let mut process = Process::start(&spec)?;
    let url = wait::until("the listening line", LIMIT, || {
        let output = process.stdout().and_then(|output| process.expect_running().map(|()| output));
        async move {
            let output = output?;
            let line = output.lines().find_map(|line| line.strip_prefix("revaer listening on "));
            Ok(line.and_then(|line| line.split_once(" (")).map(|(url, _)| url.to_owned()))
        }
    })
    .await?;
    Ok((process, Api::new(&url)?))
}

#[tokio::test]
async fn revaer_secret_key_file_takes_the_place_of_the_key_file() -> Result<()> {
    let (database, _) = options().await?;
    let folder = TempDir::new()?;
    let file: PathBuf = folder.path().join("elsewhere.key");
    let key = URL_SAFE_NO_PAD.encode([7_u8; 32]);
    fs::write(&file, format!("{key}\n"))?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
    let (mut process, api) = start_with_key_file(&database, folder.path(), &file, 1).await?;
    let token = revaer_e2e::setup::token(&api).await?;
    let body = json!({ "engine_profile": { "dht": false, "lsd": false, "listen_interfaces": ["127.0.0.1"] },
        "secrets": [{ "op": "set", "name": "a", "value": VALUE }] });
    let header = [("x-revaer-setup-token", token.as_str())];
    let done = api.post_with("/admin/setup/complete", &body, &header).await?.expect(200)?;
    let admin = done["api_key"].as_str().context("no key")?.to_owned();
    assert!(!folder.path().join("data/secret.key").exists());
    assert_eq!(key_of(&file)?, [7; 32], "what is there is used, and not replaced");

    // It is the key that everything was sealed under: with another one the server says so.
    let degraded = async |api: &Api| {
        let health = api.with_key(&admin).get("/health/full").await?.expect(200)?;
        Ok::<_, anyhow::Error>(health["degraded"].to_string().contains("api_keys"))
    };
    assert!(!degraded(&api).await?);
    let other = folder.path().join("other.key");
    for (start, file, wrong) in [(2, &other, true), (3, &file, false)] {
        process.signal(rustix::process::Signal::TERM)?;
        process.wait(LIMIT).await?;
        let (again, api) = start_with_key_file(&database, folder.path(), file, start).await?;
        process = again;
        assert_eq!(degraded(&api).await?, wrong, "{}", file.display());
    }
    key_of(&other).context("a key file that was missing is made, as private as the other")?;
    Ok(())
}
