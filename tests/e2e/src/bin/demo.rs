//! The demonstration behind `script/demo`: a magnet from a real peer to a library entry, with every step shown.
//!
//! The server stays when the demonstration ends, in a session of its own; with `--check` it is ended again, and
//! the exit code says whether all of it held.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use revaer_e2e::api::Api;
use revaer_e2e::app::{App, Options};
use revaer_e2e::cli::Cli;
use revaer_e2e::metainfo::{Maker, Metainfo, Version};
use revaer_e2e::payload::{MIB, Payload};
use revaer_e2e::peer::Peer;
use revaer_e2e::{setup, tree};
use uuid::Uuid;

/// Payload: large enough to watch at [`RATE`], small enough to wait for.
const SIZE: u64 = 64 * MIB;
/// What the seeding peer may send, in bytes per second.
const RATE: u64 = 12 * MIB;
/// Until the library entry must be there.
const LIMIT: Duration = Duration::from_mins(3);

struct Arguments {
    folder: PathBuf,
    check: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = arguments()?;
    let mut demo = Demo::start(&arguments.folder).await?;
    let result = demo.show().await;
    if arguments.check || result.is_err() {
        let code = demo.app.sigterm().await?;
        demo.app.expect_no_orphans().await?;
        if code != 0 {
            bail!("the server ended with {code}");
        }
        say("The server was ended again.");
    } else {
        demo.farewell();
    }
    result
}

fn arguments() -> Result<Arguments> {
    let mut found = Arguments { folder: PathBuf::from("target/demo"), check: false };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--check" => found.check = true,
            "--data-dir" => found.folder = words.next().context("--data-dir wants a folder")?.into(),
            _ => bail!("usage: demo [--data-dir FOLDER] [--check]"),
        }
    }
    std::fs::create_dir_all(&found.folder)
        .with_context(|| format!("cannot make {}", found.folder.display()))?;
    found.folder = found.folder.canonicalize()?;
    if std::fs::read_dir(&found.folder)?.next().is_some() {
        bail!("{} is not empty: empty it, or name another folder with --data-dir", found.folder.display());
    }
    Ok(found)
}

struct Demo {
    app: App,
    cli: Cli,
    folder: PathBuf,
    key_file: PathBuf,
}

impl Demo {
    async fn start(folder: &Path) -> Result<Self> {
        step("Starting the server with an embedded PostgreSQL");
        let options = Options {
            data_dir: Some(folder.join("data")),
            listen: Some(listen()),
            detached: true,
            ..Options::default()
        };
        let app = App::start_with(options).await?;
        let home = folder.join("config");
        std::fs::create_dir(&home)?;
        let cli = Cli::new(app.url(), &home)?;
        say(&format!("{} ({} mode), data in {}", app.url(), app.mode(), app.data_dir().display()));
        Ok(Self { app, cli, folder: folder.to_owned(), key_file: home.join("revaer/api-key") })
    }

    async fn show(&mut self) -> Result<()> {
        self.set_up()?;
        step("Seeding a sample of several files from qBittorrent on loopback");
        let (source, torrent) = self.sample()?;
        let peer = Peer::start().await?;
        peer.limit_upload(RATE).await?;
        peer.seed(&torrent, &self.folder.join("sample")).await?;
        say(&format!("{} bytes, offered at {}", torrent.size, peer.listen()));
        let id = self.add(&torrent.magnet(&[peer.listen()])).await?;
        peer.stop();
        self.compare(&id, &source, &torrent)
    }

    fn set_up(&self) -> Result<()> {
        step("Setting it up with the command line");
        let settings = self.folder.join("settings.json");
        std::fs::write(&settings, setup::changeset(&self.app).to_string())?;
        let started = self.run(&["setup", "start"])?;
        let token = started.lines().next().context("`revaer setup start` printed no token")?.to_owned();
        let settings = settings.to_str().context("a path that is not UTF-8")?;
        // By environment, as the command line recommends: arguments are seen by everybody on the machine.
        let complete = ["setup", "complete", "--settings", settings];
        let output = self.cli.command(&complete).env("REVAER_SETUP_TOKEN", token).output()?;
        if !output.status.success() {
            bail!("`revaer setup complete` failed: {}", String::from_utf8_lossy(&output.stderr));
        }
        say(&format!("done; the key is in {}", self.key_file.display()));
        Ok(())
    }

    fn sample(&self) -> Result<(PathBuf, Metainfo)> {
        let folder = self.folder.join("sample");
        std::fs::create_dir(&folder)?;
        let source = Payload::sample("Revaer sample", SIZE).write(&folder)?;
        let torrent = Maker::new(Version::Hybrid).make(&source)?;
        Ok((source, torrent))
    }

    async fn add(&self, magnet: &str) -> Result<String> {
        let id = Uuid::new_v4().to_string();
        step("Adding the magnet and watching it arrive");
        say(&format!("revaer torrent add '{magnet}'"));
        self.run(&["torrent", "add", magnet, "--id", &id])?;
        let status =
            self.cli.command(&["status", &id, "--follow"]).status().context("cannot run revaer status")?;
        if !status.success() {
            bail!("`revaer status --follow` ended with {status}");
        }
        self.api()?.wait_library(&id, LIMIT).await?;
        Ok(id)
    }

    fn compare(&self, id: &str, source: &Path, torrent: &Metainfo) -> Result<()> {
        step("The library entry, with the SHA-256 of every file");
        let entry = self.app.library().join(&torrent.name);
        let (wanted, found) = (tree::read(source)?, tree::read(&entry)?);
        say(&entry.display().to_string());
        for (path, hash) in &found {
            let verdict = if wanted.get(path) == Some(hash) { "equal" } else { "DIFFERS" };
            say(&format!("  {hash}  {verdict}  {path}"));
        }
        if wanted != found {
            bail!("the library entry of {id} differs from its source {}", source.display());
        }
        say(&format!("{} files, all equal to the source's.", found.len()));
        Ok(())
    }

    fn farewell(&self) {
        let key = std::fs::read_to_string(&self.key_file).unwrap_or_default();
        let process = self.app.process_id().unwrap_or_default();
        step("The server goes on");
        say(&format!("URL:   {}", self.app.url()));
        say(&format!("key:   {}", key.trim()));
        say(&format!(
            "look:  export REVAER_API_URL={} REVAER_API_KEY=$(cat '{}')",
            self.app.url(),
            self.key_file.display()
        ));
        say(&format!("       {} ls", self.cli.program().display()));
        say(&format!("stop:  kill {process}"));
    }

    fn api(&self) -> Result<Api> {
        let key = std::fs::read_to_string(&self.key_file)
            .with_context(|| format!("setup left no key in {}", self.key_file.display()))?;
        Ok(self.app.api()?.with_key(key.trim()))
    }

    fn run(&self, args: &[&str]) -> Result<String> {
        self.cli.ok(args)
    }
}

/// The documented port where it is free, else any.
fn listen() -> String {
    let usual = "127.0.0.1:7070";
    if TcpListener::bind(usual).is_ok() { usual.to_owned() } else { "127.0.0.1:0".to_owned() }
}

fn step(title: &str) {
    println!("\n== {title}");
}

fn say(text: &str) {
    println!("   {text}");
}
