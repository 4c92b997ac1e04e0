//! The control plane from a terminal: export, import, history, rollback, keys and presets.

use std::io::Write;
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};
use revaer_e2e::cli::Cli;
use revaer_e2e::stage::Server;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A server and a command line whose key file opens it.
async fn stage() -> Result<(Server, Cli, TempDir)> {
    let (server, home) = (Server::start().await?, tempfile::tempdir()?);
    let folder = home.path().join("revaer");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("api-key"), server.api.key().context("no key")?)?;
    let cli = Cli::new(server.app.url(), home.path())?;
    Ok((server, cli, home))
}

/// Runs a command on some input; answers standard output.
fn piped(cli: &Cli, args: &[&str], input: &str) -> Result<String> {
    let mut command = cli.command(args);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    child.stdin.take().context("no stdin")?.write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

async fn revision(server: &Server) -> Result<i64> {
    server.settings().await?["revision"].as_i64().context("no revision")
}

#[tokio::test]
async fn what_get_prints_set_takes_as_a_no_op() -> Result<()> {
    let (server, cli, _home) = stage().await?;
    cli.ok(&["keys", "issue", "--label", "another", "--unlimited"])?;
    let change = json!({ "secrets": [{ "op": "set", "name": "a", "value": "b" }],
        "app_profile": { "immutable_keys": ["app_profile.instance_name", "api_keys"] } });
    server.api.patch("/admin/settings", &change).await?.expect(200)?;
    let before = revision(&server).await?;
    let printed = cli.ok(&["config", "get"])?;
    assert_eq!(serde_json::from_str::<Value>(&printed)?["revision"], before);
    piped(&cli, &["config", "set"], &printed)?;
    assert_eq!(revision(&server).await?, before);

    let edited = printed.replace("\"log_level\": \"info\"", "\"log_level\": \"warn\"");
    piped(&cli, &["config", "set", "--reason", "less to read"], &edited)?;
    assert_eq!(revision(&server).await?, before + 1);
    assert_eq!(server.settings().await?["app_profile"]["telemetry"]["log_level"], "warn");
    let history = cli.ok(&["config", "history"])?;
    assert!(history.contains("less to read") && history.contains("log_level"), "{history}");
    Ok(())
}

#[tokio::test]
async fn a_rollback_is_a_new_revision_with_the_old_settings() -> Result<()> {
    let (server, cli, _home) = stage().await?;
    let set = |bps: u64| json!({ "engine_profile": { "max_upload_bps": bps } });
    server.api.patch("/admin/settings", &set(1000)).await?.expect(200)?;
    let good = revision(&server).await?;
    server.api.patch("/admin/settings", &set(5)).await?.expect(200)?;
    let bad = json!({ "fs_policy": { "move_mode": "copy" } });
    server.api.patch("/admin/settings", &bad).await?.expect(200)?;
    cli.ok(&["config", "rollback", &good.to_string()])?;
    let now = server.settings().await?;
    assert_eq!(now["revision"], good + 3);
    assert_eq!(now["engine_profile"]["max_upload_bps"], 1000);
    assert_eq!(now["fs_policy"]["move_mode"], "hardlink");
    let last = server.api.get(&format!("/admin/settings/history?after={}", good + 2)).await?.expect(200)?;
    assert_eq!(last["history"][0]["reason"], format!("rollback to revision {good}"), "{last}");
    let unknown = cli.run(&["config", "rollback", "999999"])?;
    assert_eq!(unknown.code, 3, "{unknown:?}");
    Ok(())
}

#[tokio::test]
async fn keys_are_issued_rotated_and_revoked_from_a_terminal() -> Result<()> {
    let (server, cli, home) = stage().await?;
    let issued = cli.ok(&["keys", "issue", "--key-id", "sonarr", "--label", "Sonarr"])?;
    let key = issued.lines().next().context("no key")?;
    let api = server.app.api()?;
    api.with_key(key).get("/v1/torrents").await?.expect(200)?;
    let rotated = cli.ok(&["keys", "rotate", "sonarr", "--grace-seconds", "0"])?;
    let fresh = rotated.lines().next().context("no key")?;
    api.with_key(key).get("/v1/torrents").await?.expect_problem(401, "unauthorized")?;
    api.with_key(fresh).get("/v1/torrents").await?.expect(200)?;
    cli.ok(&["keys", "revoke", "sonarr"])?;
    api.with_key(fresh).get("/v1/torrents").await?.expect_problem(401, "unauthorized")?;

    // The key of the key file itself: the file has the new one, and it works.
    let (key_id, _) = server.api.key().context("no key")?.split_once(':').context("no colon")?;
    cli.ok(&["keys", "rotate", key_id])?;
    let in_file = std::fs::read_to_string(home.path().join("revaer/api-key"))?;
    assert_ne!(Some(in_file.trim()), server.api.key());
    api.with_key(in_file.trim()).get("/v1/torrents").await?.expect(200)?;
    server.api.get("/v1/torrents").await?.expect(200)?;
    let last = cli.run(&["keys", "revoke", key_id])?;
    assert_eq!(last.code, 2, "{last:?}");
    let listed = cli.ok(&["keys", "ls"])?;
    let secret = in_file.trim().split_once(':').context("no colon")?.1;
    assert!(listed.contains(key_id) && !listed.contains(secret), "{listed}");
    Ok(())
}

#[tokio::test]
async fn a_preset_lists_what_its_words_do() -> Result<()> {
    let (server, cli, _home) = stage().await?;
    let mut ids = Vec::new();
    for (number, tag) in [(1, "tv"), (2, "film"), (3, "tv")] {
        let magnet = format!("magnet:?xt=urn:btih:{number:040x}");
        let body = json!({ "magnet": magnet, "paused": true, "tags": [tag] });
        let added = server.api.post("/v1/torrents", &body).await?.expect(202)?;
        ids.push(added["id"].as_str().context("no id")?.to_owned());
    }
    cli.ok(&["presets", "set", "shows", "--tags", "tv", "--sort", "added_at:asc"])?;
    let listed = cli.ok(&["--output", "json", "ls", "--preset", "shows"])?;
    let listed: Value = serde_json::from_str(&listed)?;
    let Some(found) = listed["torrents"].as_array() else { bail!("no list: {listed}") };
    let found: Vec<_> = found.iter().map(|torrent| torrent["id"].as_str().unwrap_or_default()).collect();
    assert_eq!(found, [ids[0].as_str(), ids[2].as_str()]);
    cli.ok(&["presets", "rm", "shows"])?;
    let gone = cli.run(&["ls", "--preset", "shows"])?;
    assert_eq!(gone.code, 2, "{gone:?}");
    Ok(())
}
