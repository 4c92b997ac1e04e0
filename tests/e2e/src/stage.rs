//! What most tests begin with: a server that is set up, a peer that seeds, and the torrent between them.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::api::Api;
use crate::app::{App, Options};
use crate::metainfo::{Maker, Metainfo};
use crate::payload::Payload;
use crate::peer::Peer;
use crate::{setup, tree, wait};

/// A payload on disk that a peer seeds.
#[derive(Debug)]
pub struct Seed {
    /// The peer.
    pub peer: Peer,
    /// Its torrent.
    pub torrent: Metainfo,
    /// The payload's root.
    pub root: PathBuf,
    folder: TempDir,
}

impl Seed {
    /// Writes the payload, makes its torrent and seeds it.
    pub async fn start(payload: &Payload, maker: &Maker) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("revaer-seed-").tempdir()?;
        let root = payload.write(folder.path())?;
        let torrent = maker.make(&root)?;
        let peer = Peer::start().await?;
        peer.seed(&torrent, folder.path()).await?;
        Ok(Self { peer, torrent, root, folder })
    }

    /// A magnet that leads to this seed alone.
    pub fn magnet(&self) -> String {
        self.torrent.magnet(&[self.peer.listen()])
    }

    /// Ends the peer; the payload stays.
    pub fn stop(self) -> Source {
        Source { torrent: self.torrent, root: self.root, _folder: self.folder }
    }

    /// Checks that a tree holds the payload's bytes, no more and no less.
    pub fn expect_equal(&self, copy: &std::path::Path) -> Result<()> {
        expect_equal(&self.root, copy)
    }
}

/// A payload whose peer is gone.
#[derive(Debug)]
pub struct Source {
    /// Its torrent.
    pub torrent: Metainfo,
    /// The payload's root.
    pub root: PathBuf,
    _folder: TempDir,
}

/// Checks that two trees hold the same files with the same bytes.
pub fn expect_equal(source: &std::path::Path, copy: &std::path::Path) -> Result<()> {
    let (wanted, found) = (tree::read(source)?, tree::read(copy)?);
    if wanted != found {
        bail!("{} differs from {}:\n{wanted:#?}\n{found:#?}", copy.display(), source.display());
    }
    Ok(())
}

/// A server that is set up, and a client with its key.
#[derive(Debug)]
pub struct Server {
    /// The server.
    pub app: App,
    /// A client with the key; made again after a restart, since the port changes.
    pub api: Api,
}

impl Server {
    /// With an embedded database and the defaults.
    pub async fn start() -> Result<Self> {
        Self::start_with(Options::default(), &json!({})).await
    }

    /// With further settings.
    pub async fn start_with(options: Options, settings: &Value) -> Result<Self> {
        let app = App::start_with(options).await?;
        let api = setup::complete(&app, settings).await?;
        Ok(Self { app, api })
    }

    /// Starts the server again after it ended.
    pub async fn start_again(&mut self) -> Result<()> {
        self.app.start_again().await?;
        let key = self.api.key().unwrap_or_default().to_owned();
        self.api = self.app.api()?.with_key(&key);
        Ok(())
    }

    /// Waits until the engine has loaded so many torrents. Before that, what was last stored of one is shown.
    pub async fn wait_loaded(&self, count: u64, limit: Duration) -> Result<()> {
        wait::until(format!("{count} torrents in the engine"), limit, || async {
            let health = self.api.get("/health/full").await?.expect(200)?;
            Ok((health["torrent"]["active"].as_u64() >= Some(count)).then_some(()))
        })
        .await
    }

    /// The whole health document.
    pub async fn health(&self) -> Result<Value> {
        self.api.get("/health/full").await?.expect(200)
    }

    /// The settings in force.
    pub async fn settings(&self) -> Result<Value> {
        self.api.get("/admin/settings").await?.expect(200)
    }

    /// Waits until the health document satisfies `condition`; answers it. A server that does not answer fails it.
    pub async fn wait_health(
        &self,
        what: &str,
        limit: Duration,
        condition: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let last = std::sync::Mutex::new(Value::Null);
        let found = wait::until(what, limit, || async {
            let health = self.health().await?;
            last.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone_from(&health);
            Ok(condition(&health).then_some(health))
        })
        .await;
        found.with_context(|| format!("last seen: {}", last.into_inner().unwrap_or_default()))
    }

    /// Where the entry of a torrent is in the library.
    pub fn entry(&self, torrent: &Metainfo) -> PathBuf {
        self.app.library().join(&torrent.name)
    }

    /// The visible names of the library, without the pipeline's own folders.
    pub fn library_names(&self) -> Result<Vec<String>> {
        Ok(tree::names(&self.app.library())?
            .into_iter()
            .filter(|name| !name.starts_with(".revaer"))
            .collect())
    }

    /// What is left in the pipeline's working folder.
    pub fn leftovers(&self) -> Result<Vec<String>> {
        tree::names(&self.app.library().join(".revaer.tmp"))
    }

    /// Waits for a library entry and compares it with its source.
    pub async fn expect_entry(&self, id: &str, seed: &Seed, limit: Duration) -> Result<()> {
        self.api.wait_library(id, limit).await?;
        seed.expect_equal(&self.entry(&seed.torrent))
    }
}

/// Whether a health document calls a component degraded.
pub fn is_degraded(health: &Value, component: &str) -> bool {
    health["degraded"].as_array().is_some_and(|all| all.iter().any(|name| name == component))
}

/// A limit on the first key that no test reaches.
pub fn unhurried_key() -> Value {
    let rate_limit = json!({ "burst": 1_000_000, "per_seconds": 1 });
    json!({ "api_keys": [{ "op": "upsert", "key_id": "admin", "label": "first", "rate_limit": rate_limit }] })
}

/// How often a loop of crashes runs: `REVAER_E2E_LOOPS`, else `default`.
pub fn loops(default: u32) -> u32 {
    std::env::var("REVAER_E2E_LOOPS").ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}
