//! `revaer torrent`: adds torrents and removes them.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use clap::{Args, Subcommand};
use reqwest::Method;
use revaer_api_models::{Action, CreateTorrent, TorrentSummary};
use uuid::Uuid;

use super::action;
use crate::{
    client::Auth,
    context::Context,
    error::CliError,
    text::printable,
    values::{Limit, new_torrent_id, split_globs, split_urls, torrent_id},
};

/// The server takes no longer `.torrent`.
const MAX_TORRENT_BYTES: u64 = 8 << 20;

/// What to do with torrents.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Add a torrent by magnet link or .torrent file, and print its id
    Add(Box<AddArgs>),
    /// Forget a torrent; its data stays (`action <id> remove --delete-data` deletes it)
    Remove {
        /// The torrent
        #[arg(value_parser = torrent_id)]
        id: Uuid,
    },
}

impl Command {
    /// The command in words.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Add(_) => "torrent add",
            Self::Remove { .. } => "torrent remove",
        }
    }
}

/// Flags of `torrent add`.
#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// A magnet link, or the path of a .torrent file
    source: String,
    /// Display name
    #[arg(long)]
    name: Option<String>,
    /// Id to give it; else a new one
    #[arg(long, value_name = "UUID", value_parser = new_torrent_id)]
    id: Option<Uuid>,
    /// Labels
    #[arg(long, value_name = "TAG,…", value_delimiter = ',')]
    tags: Vec<String>,
    /// Announce URLs to add to its own
    #[arg(long, value_name = "URL,…")]
    trackers: Vec<String>,
    /// Directory on the server that receives the content
    #[arg(long, value_name = "DIR")]
    download_dir: Option<String>,
    /// Only files that match one of these globs
    #[arg(long, value_name = "GLOB,…")]
    include: Vec<String>,
    /// No file that matches one of these globs
    #[arg(long, value_name = "GLOB,…")]
    exclude: Vec<String>,
    /// No samples, extras and side files
    #[arg(long)]
    skip_fluff: bool,
    /// Ask for pieces in order; else as configured
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    sequential: Option<bool>,
    /// Most bytes per second to receive (0: none), or none for no limit
    #[arg(long, value_name = "BPS|none")]
    max_download: Option<Limit>,
    /// Most bytes per second to send (0: none), or none for no limit
    #[arg(long, value_name = "BPS|none")]
    max_upload: Option<Limit>,
    /// Add it stopped
    #[arg(long)]
    paused: bool,
    /// The content is in place already: seed it without a check
    #[arg(long)]
    seed_mode: bool,
}

impl AddArgs {
    /// The request's body. An id is always sent, so that the command can be repeated without adding twice.
    fn create(&self, id: Uuid) -> Result<CreateTorrent, CliError> {
        let is_magnet = self.source.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("magnet:"));
        let (magnet, metainfo) = if is_magnet {
            (Some(self.source.clone()), None)
        } else {
            (None, Some(STANDARD.encode(read_torrent(&PathBuf::from(&self.source))?)))
        };
        Ok(CreateTorrent {
            magnet,
            metainfo,
            id: Some(id),
            name: self.name.clone(),
            download_dir: self.download_dir.clone(),
            sequential: self.sequential,
            tags: self.tags.clone(),
            trackers: split_urls(&self.trackers),
            include: split_globs(&self.include),
            exclude: split_globs(&self.exclude),
            skip_fluff: self.skip_fluff,
            max_download_bps: self.max_download.and_then(Limit::at_creation),
            max_upload_bps: self.max_upload.and_then(Limit::at_creation),
            paused: self.paused,
            seed_mode: self.seed_mode,
        })
    }
}

fn read_torrent(path: &Path) -> Result<Vec<u8>, CliError> {
    let file = File::open(path).map_err(|error| {
        if error.kind() == io::ErrorKind::NotFound {
            return CliError::Input(format!(
                "there is no file {}; name a .torrent, or a magnet link, which begins with magnet:?",
                path.display()
            ));
        }
        CliError::file("read", path)(error)
    })?;
    let mut bytes = Vec::new();
    file.take(MAX_TORRENT_BYTES + 1).read_to_end(&mut bytes).map_err(CliError::file("read", path))?;
    let length = bytes.len() as u64;
    if length == 0 || length > MAX_TORRENT_BYTES {
        let path = path.display();
        return Err(CliError::Input(format!(
            "{path} is no .torrent: one has 1 to {MAX_TORRENT_BYTES} bytes"
        )));
    }
    Ok(bytes)
}

/// Does it.
pub(crate) async fn run(command: &Command, context: &Context) -> Result<(), CliError> {
    match command {
        Command::Add(args) => add(args, context).await,
        Command::Remove { id } => {
            let action = Action::Remove { delete_data: false, delete_library: false };
            action::send(*id, &action, context).await
        }
    }
}

async fn add(args: &AddArgs, context: &Context) -> Result<(), CliError> {
    let id = args.id.unwrap_or_else(Uuid::now_v7);
    let request = context.client.request(Method::POST, "/v1/torrents", &[]).json(&args.create(id)?);
    let answer = context.client.call(request, Auth::Key).await.map_err(|error| {
        error.with_hint(format!("it may have been added; repeat with --id {id}, which adds nothing twice"))
    })?;
    if context.screen.is_json() {
        return context.screen.result(answer.body());
    }
    let torrent: TorrentSummary = answer.read()?;
    context.screen.result(&torrent.id.to_string())?;
    context.screen.notice(&format!("{} is {}", printable(&torrent.name), torrent.state.kind));
    Ok(())
}
