//! The corpora: every valid torrent file is taken, every invalid one is refused and leaves nothing behind.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use revaer_e2e::app::Options;
use revaer_e2e::db::Database;
use revaer_e2e::stage::Server;
use revaer_e2e::{tree, wait};
use serde_json::json;
use sqlx::{Executor, Row};
use std::time::Duration;

const LIMIT: Duration = Duration::from_mins(1);

fn corpus(kind: &str) -> Result<Vec<(String, Vec<u8>)>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/torrents").join(kind);
    let files = tree::names(&folder)?
        .into_iter()
        .map(|name| Ok((name.clone(), std::fs::read(folder.join(name))?)))
        .collect::<Result<Vec<_>>>()?;
    assert!(files.len() >= 20, "the {kind} corpus has {} files only", files.len());
    Ok(files)
}

/// What names a host beyond this machine is not started: no test speaks to the outside. Nodes of the DHT, of which some
/// have addresses, are not spoken to either: a server under test runs without it.
fn names_a_host(torrent: &[u8]) -> bool {
    torrent.windows(3).any(|window| window == b"://")
}

/// Waits until the engine has loaded the torrent and goes on with it.
async fn expect_loaded(server: &Server, id: &str) -> Result<()> {
    wait::until(format!("torrent {id} to be loaded"), LIMIT, || async {
        let shown = server.api.torrent(id).await?;
        match shown["state"]["kind"].as_str() {
            Some("downloading" | "seeding" | "completed") => Ok(Some(())),
            Some("queued" | "checking") => Ok(None),
            _ => bail!("torrent {id} is not loaded: {}", shown["state"]),
        }
    })
    .await
}

#[tokio::test]
async fn every_valid_file_is_accepted_on_an_empty_catalogue() -> Result<()> {
    let server = Server::start().await?;
    let empty = tree::names(&server.app.downloads())?;
    for (name, bytes) in corpus("valid")? {
        let paused = names_a_host(&bytes);
        let answer = server.api.upload(&bytes, &json!({ "paused": paused })).await?;
        let summary = answer.expect(202).with_context(|| name.clone())?;
        let id = summary["id"].as_str().with_context(|| format!("{name}: no id"))?.to_owned();
        let shown = server.api.torrent(&id).await.with_context(|| name.clone())?;
        assert_eq!(shown["info_hash"], summary["info_hash"], "{name}");
        if !paused {
            expect_loaded(&server, &id).await.with_context(|| name.clone())?;
        }
        let gone = server.api.delete(&format!("/v1/torrents/{id}?delete_data=true")).await?;
        gone.expect(204).with_context(|| name.clone())?;
        assert!(server.api.torrents().await?.is_empty(), "{name}");
        // The next one finds nothing of it: no member, and no file.
        wait::until(format!("{name} to be gone"), LIMIT, || async {
            let health = server.api.get("/health/full").await?.expect(200)?;
            let is_gone = health["torrent"]["active"] == 0 && tree::names(&server.app.downloads())? == empty;
            Ok(is_gone.then_some(()))
        })
        .await?;
    }
    Ok(())
}

#[tokio::test]
async fn all_valid_files_together_are_accepted_or_duplicates_and_share_no_path() -> Result<()> {
    let database = Database::create().await?;
    let options = Options { database_url: Some(database.url().to_owned()), ..Options::default() };
    let mut server = Server::start_with(options, &json!({})).await?;
    let mut accepted = BTreeSet::new();
    let mut started = Vec::new();
    for (name, bytes) in corpus("valid")? {
        let paused = names_a_host(&bytes);
        let answer = server.api.upload(&bytes, &json!({ "paused": paused })).await?;
        if answer.status == 409 {
            let problem = answer.expect_problem(409, "duplicate-torrent").with_context(|| name.clone())?;
            let existing =
                problem["existing_id"].as_str().with_context(|| format!("{name}: no existing_id"))?;
            assert!(accepted.contains(existing), "{name} duplicates the unknown {existing}");
        } else {
            let summary = answer.expect(202).with_context(|| name.clone())?;
            let id = summary["id"].as_str().with_context(|| format!("{name}: no id"))?.to_owned();
            if !paused {
                started.push((name, id.clone()));
            }
            accepted.insert(id);
        }
    }
    expect_distinct(&server, &database, &accepted, &started).await?;

    // They are still apart after a start that reads them all back.
    assert_eq!(server.app.sigterm().await?, 0);
    server.start_again().await?;
    server.wait_loaded(u64::try_from(started.len())?, LIMIT).await?;
    expect_distinct(&server, &database, &accepted, &started).await
}

/// Exactly these torrents are there; whichever was started has its place and is loaded, and no place is, or lies in,
/// another's.
async fn expect_distinct(
    server: &Server,
    database: &Database,
    accepted: &BTreeSet<String>,
    started: &[(String, String)],
) -> Result<()> {
    let listed = server.api.torrents().await?;
    let ids: BTreeSet<String> =
        listed.iter().filter_map(|torrent| Some(torrent["id"].as_str()?.to_owned())).collect();
    assert_eq!((&ids, listed.len()), (accepted, accepted.len()));
    for (name, id) in started {
        expect_loaded(server, id).await.with_context(|| name.clone())?;
    }
    let paths = wait::until("every started torrent to have its place", LIMIT, || async {
        let mut connection = database.connect().await?;
        let query = "SELECT save_dir, root_name FROM torrents WHERE save_dir IS NOT NULL";
        let rows = connection.fetch_all(query).await?;
        let paths = rows
            .iter()
            .map(|row| Ok(PathBuf::from(row.try_get::<String, _>(0)?).join(row.try_get::<String, _>(1)?)))
            .collect::<Result<Vec<_>>>()?;
        Ok((paths.len() >= started.len()).then_some(paths))
    })
    .await?;
    for (index, path) in paths.iter().enumerate() {
        for other in &paths[index + 1..] {
            assert!(
                !path.starts_with(other) && !other.starts_with(path),
                "{} and {}",
                path.display(),
                other.display()
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn every_invalid_file_is_refused_and_leaves_nothing() -> Result<()> {
    let database = Database::create().await?;
    let options = Options { database_url: Some(database.url().to_owned()), ..Options::default() };
    let server = Server::start_with(options, &json!({})).await?;
    let rows_before = settled_rows(&database).await?;
    let files_before = (tree::names(&server.app.downloads())?, tree::names(&server.app.resume_dir())?);

    for (name, bytes) in corpus("invalid")? {
        let answer = server.api.upload(&bytes, &json!({})).await?;
        let problem = answer.expect_problem(422, "invalid-torrent").with_context(|| name.clone())?;
        let reason = problem["detail"].as_str().unwrap_or_default();
        assert!(!reason.is_empty(), "{name} was refused without a reason: {problem}");
    }

    assert!(server.api.torrents().await?.is_empty());
    assert_eq!(database.row_counts().await?, rows_before);
    let files_after = (tree::names(&server.app.downloads())?, tree::names(&server.app.resume_dir())?);
    assert_eq!(files_after, files_before);
    let health = server.api.get("/health/full").await?.expect(200)?;
    assert_eq!(health["torrent"]["active"], 0, "{health}");
    Ok(())
}

/// Row counts once the events of setup are written.
async fn settled_rows(database: &Database) -> Result<Vec<(String, i64)>> {
    let last = std::sync::Mutex::new((Vec::new(), 0));
    wait::until("the database to settle", LIMIT, || async {
        let now = database.row_counts().await?;
        let mut last = last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        last.1 = if last.0 == now { last.1 + 1 } else { 0 };
        last.0.clone_from(&now);
        // Unchanged for a second: 40 looks.
        Ok((last.1 > 40).then_some(now))
    })
    .await
}
