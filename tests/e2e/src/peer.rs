//! A second `BitTorrent` client: `qbittorrent-nox`, headless, on an address of its own, driven by its web API.

mod profile;

use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::Client;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::address::Address;
use crate::api::install_crypto;
use crate::metainfo::Metainfo;
use crate::process::{Process, Spec};
use crate::wait;

/// Until the web API answers: the first start of a profile on a loaded machine.
const START: Duration = Duration::from_mins(1);

/// A running qBittorrent; ends when dropped.
#[derive(Debug)]
pub struct Peer {
    process: Process,
    client: Client,
    web: String,
    listen: SocketAddrV4,
    folder: TempDir,
    _address: Address,
}

/// What the peer says of a torrent.
#[derive(Debug, Clone)]
pub struct PeerTorrent {
    /// Share of the wanted bytes that are there, 0 to 1.
    pub progress: f64,
    /// Its word for the state.
    pub state: String,
    /// Payload bytes sent.
    pub uploaded: u64,
    /// Payload bytes received.
    pub downloaded: u64,
}

impl Peer {
    /// Starts one with an empty profile.
    pub async fn start() -> Result<Self> {
        install_crypto();
        let address = Address::claim()?;
        let listen = address.endpoint()?;
        let web = address.endpoint()?;
        let folder =
            tempfile::Builder::new().prefix("revaer-peer-").tempdir().context("no temporary folder")?;
        let downloads = folder.path().join("downloads");
        std::fs::create_dir(&downloads)?;
        profile::write(folder.path(), &profile::Ports { listen, web }, &downloads)?;
        let spec = Spec::new("qbittorrent", "qbittorrent-nox", folder.path())
            .args([format!("--profile={}", folder.path().display())])
            .env("HOME", folder.path().display().to_string());
        let process = Process::start(&spec)?;
        let client = Client::builder().no_proxy().build().context("no HTTP client")?;
        let mut peer =
            Self { process, client, web: format!("http://{web}"), listen, folder, _address: address };
        peer.wait_ready().await?;
        Ok(peer)
    }

    async fn wait_ready(&mut self) -> Result<()> {
        let url = format!("{}/api/v2/app/version", self.web);
        let (client, process) = (self.client.clone(), &mut self.process);
        wait::until("qBittorrent's web API", START, || {
            let alive = process
                .expect_running()
                .context("qbittorrent-nox does not run: `script/install test` brings it");
            let request = client.get(&url).timeout(Duration::from_secs(5)).send();
            async move {
                alive?;
                Ok(request.await.ok().filter(|answer| answer.status().is_success()).map(|_| ()))
            }
        })
        .await?;
        let preferences = json!({ "limit_lan_peers": true, "limit_utp_rate": true, "upnp": false });
        self.post("app/setPreferences", &[("json", preferences.to_string())]).await?;
        Ok(())
    }

    /// Ends it.
    pub fn stop(self) {
        drop(self);
    }

    /// Where it listens for peers.
    pub fn listen(&self) -> SocketAddrV4 {
        self.listen
    }

    /// Where it puts what it downloads.
    pub fn downloads(&self) -> PathBuf {
        self.folder.path().join("downloads")
    }

    /// Caps its upload, local peers included.
    pub async fn limit_upload(&self, bytes_per_second: u64) -> Result<()> {
        self.post("transfer/setUploadLimit", &[("limit", bytes_per_second.to_string())]).await
    }

    /// Keeps it to TCP: over loopback uTP is many times slower.
    pub async fn tcp_only(&self) -> Result<()> {
        let preferences = json!({ "bittorrent_protocol": 1 });
        self.post("app/setPreferences", &[("json", preferences.to_string())]).await
    }

    /// Caps its download.
    pub async fn limit_download(&self, bytes_per_second: u64) -> Result<()> {
        let preferences = json!({ "dl_limit": bytes_per_second });
        self.post("app/setPreferences", &[("json", preferences.to_string())]).await
    }

    /// What it says about its transfers: `dl_rate_limit`, `dl_info_speed` and so on.
    pub async fn transfer_info(&self) -> Result<Value> {
        let url = format!("{}/api/v2/transfer/info", self.web);
        let text = self.client.get(&url).send().await?.error_for_status()?.text().await?;
        serde_json::from_str(&text).context("qBittorrent's transfer info is no JSON")
    }

    /// Forgets a torrent, and deletes what it has of it.
    pub async fn remove(&self, torrent: &Metainfo) -> Result<()> {
        self.post("torrents/delete", &[("hashes", id(torrent)?), ("deleteFiles", "true".to_owned())]).await?;
        wait::until("qBittorrent to forget the torrent", START, || async {
            Ok(self.torrent(torrent).await?.is_none().then_some(()))
        })
        .await
    }

    /// Seeds what is already there: the payload's root lies in `folder`.
    pub async fn seed(&self, torrent: &Metainfo, folder: &Path) -> Result<()> {
        self.add(torrent, folder, true).await?;
        self.wait_complete(torrent, Duration::from_mins(1)).await
    }

    /// Downloads a torrent from these peers and whom its tracker names.
    pub async fn leech(&self, torrent: &Metainfo, peers: &[SocketAddrV4]) -> Result<()> {
        self.add(torrent, &self.downloads(), false).await?;
        self.connect(torrent, peers).await
    }

    /// Downloads by a magnet alone.
    pub async fn leech_magnet(&self, magnet: &str) -> Result<()> {
        let form =
            Form::new().text("urls", magnet.to_owned()).text("savepath", path_text(&self.downloads())?);
        self.send_add(form).await
    }

    async fn add(&self, torrent: &Metainfo, folder: &Path, complete: bool) -> Result<()> {
        let file =
            Part::bytes(torrent.bytes.clone()).file_name("a.torrent").mime_str("application/x-bittorrent")?;
        let form = Form::new()
            .part("torrents", file)
            .text("savepath", path_text(folder)?)
            .text("skip_checking", complete.to_string())
            .text("contentLayout", "Original")
            .text("autoTMM", "false");
        self.send_add(form).await?;
        // The answer comes before the torrent is in the list.
        wait::until("qBittorrent to list the torrent", START, || async {
            Ok(self.torrent(torrent).await?.map(|_| ()))
        })
        .await
    }

    async fn send_add(&self, form: Form) -> Result<()> {
        let answer =
            self.client.post(format!("{}/api/v2/torrents/add", self.web)).multipart(form).send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        if !status.is_success() || text.trim() != "Ok." {
            bail!("qBittorrent did not take the torrent: {status} {text}");
        }
        Ok(())
    }

    /// Tells it of peers.
    pub async fn connect(&self, torrent: &Metainfo, peers: &[SocketAddrV4]) -> Result<()> {
        if peers.is_empty() {
            return Ok(());
        }
        let peers: Vec<String> = peers.iter().map(SocketAddrV4::to_string).collect();
        self.post("torrents/addPeers", &[("hashes", id(torrent)?), ("peers", peers.join("|"))]).await
    }

    /// What it says of a torrent; none if it does not have it.
    pub async fn torrent(&self, torrent: &Metainfo) -> Result<Option<PeerTorrent>> {
        let url = format!("{}/api/v2/torrents/info?hashes={}", self.web, id(torrent)?);
        let text = self.client.get(&url).send().await?.error_for_status()?.text().await?;
        let list: Value = serde_json::from_str(&text).context("qBittorrent's list is no JSON")?;
        let Some(found) = list.get(0) else { return Ok(None) };
        Ok(Some(PeerTorrent {
            progress: found["progress"].as_f64().unwrap_or_default(),
            state: found["state"].as_str().unwrap_or_default().to_owned(),
            uploaded: found["uploaded"].as_u64().unwrap_or_default(),
            downloaded: found["downloaded"].as_u64().unwrap_or_default(),
        }))
    }

    /// Waits until it has everything and offers it.
    pub async fn wait_complete(&self, torrent: &Metainfo, limit: Duration) -> Result<()> {
        let seeding = ["uploading", "stalledUP", "forcedUP", "queuedUP"];
        wait::until(format!("qBittorrent to complete {}", torrent.name), limit, || async {
            let now = self.torrent(torrent).await?;
            if let Some(now) = &now
                && ["error", "missingFiles"].contains(&now.state.as_str())
            {
                bail!("qBittorrent says {} of {}", now.state, torrent.name);
            }
            Ok(now.filter(|now| seeding.contains(&now.state.as_str()) && now.progress >= 1.0).map(|_| ()))
        })
        .await
    }

    async fn post(&self, path: &str, form: &[(&str, String)]) -> Result<()> {
        let body: Vec<String> =
            form.iter().map(|(name, value)| format!("{name}={}", escape(value))).collect();
        let answer = self
            .client
            .post(format!("{}/api/v2/{path}", self.web))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body.join("&"))
            .send()
            .await?;
        let status = answer.status();
        if !status.is_success() {
            bail!("qBittorrent refused {path}: {status} {}", answer.text().await?);
        }
        Ok(())
    }
}

/// qBittorrent's id of a torrent: the v2 hash cut to 20 bytes where there is one, else the v1 hash.
fn id(torrent: &Metainfo) -> Result<String> {
    let hash = torrent.v2.as_ref().or(torrent.v1.as_ref()).context("a torrent without info-hash")?;
    Ok(hash[..40].to_owned())
}

fn path_text(path: &Path) -> Result<String> {
    Ok(path.to_str().context("a path that is not UTF-8")?.to_owned())
}

fn escape(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").unwrap_or_default();
        }
        out
    })
}
