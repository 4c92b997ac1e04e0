//! `revaer status`: one torrent in detail, once or until it has arrived.

use clap::Args;
use reqwest::Method;
use revaer_api_models::{FilePriority, TorrentDetail};
use uuid::Uuid;

use super::follow;
use crate::{
    client::{Answer, Auth, Client},
    context::Context,
    error::CliError,
    screen::Screen,
    table::{Cell, Table},
    text::{limit, percent, percent_of, printable, rate, size, span, state_color},
    values::torrent_id,
};

/// More files than this are counted, not listed; `--output json` has them all.
const MAX_FILES: usize = 200;

/// Flags of `status`.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// The torrent
    #[arg(value_parser = torrent_id)]
    pub(super) id: Uuid,
    /// Show progress until the torrent has arrived, then its details
    ///
    /// It ends with 0 when all wanted files are present and the library entry is whole (or none is due), and
    /// with 3 when the torrent or its library job failed, or the torrent was removed. A stopped torrent is
    /// waited for. Progress is a bar on stderr if that is a terminal, else lines on stdout; with --output json
    /// only the last detail is printed.
    #[arg(long, short)]
    follow: bool,
}

/// Prints the torrent.
pub(crate) async fn run(args: &StatusArgs, context: &Context) -> Result<(), CliError> {
    if args.follow {
        return follow::run(args.id, context).await;
    }
    let answer = read(args.id, &context.client).await?;
    print(&answer, context.screen)
}

/// Asks for the torrent.
pub(super) async fn read(id: Uuid, client: &Client) -> Result<Answer, CliError> {
    client.call(client.request(Method::GET, &format!("/v1/torrents/{id}"), &[]), Auth::Key).await
}

/// Prints an answer that holds a torrent.
pub(super) fn print(answer: &Answer, screen: Screen) -> Result<(), CliError> {
    if screen.is_json() {
        return screen.result(answer.body());
    }
    let detail: TorrentDetail = answer.read()?;
    screen.table(&overview(&detail))?;
    match &detail.files {
        Some(_) => screen.table(&files(&detail)),
        None => Ok(()),
    }
}

fn overview(detail: &TorrentDetail) -> Table {
    let torrent = &detail.summary;
    let kind = torrent.state.kind;
    let mut table = Table::default();
    table.pair("id", torrent.id.to_string());
    table.pair("name", printable(&torrent.name));
    table.pair("state", Cell::colored(kind.as_str(), state_color(kind)));
    if let Some(message) = &torrent.state.failure_message {
        table.pair("reason", printable(message));
    }
    let progress = &torrent.progress;
    table.pair(
        "progress",
        format!(
            "{} ({} of {})",
            percent(progress.percent_complete),
            size(progress.bytes_downloaded),
            size(progress.bytes_total)
        ),
    );
    if let Some(eta) = progress.eta_seconds {
        table.pair("eta", span(eta));
    }
    let rates = &torrent.rates;
    table.pair(
        "rates",
        format!("{} down, {} up, ratio {:.2}", rate(rates.download_bps), rate(rates.upload_bps), rates.ratio),
    );
    let limits = &torrent.rate_limit;
    table.pair("limits", format!("{} down, {} up", limit(limits.download_bps), limit(limits.upload_bps)));
    table.pair("download dir", printable(&torrent.download_dir));
    if let Some(path) = &torrent.library_path {
        table.pair("library", printable(path));
    }
    if let Some(fsops) = &detail.fsops {
        let message = fsops.message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
        table.pair("fsops", printable(&format!("{}{message}", fsops.status.as_str())));
    }
    for (version, hash) in [("v1", &torrent.info_hash.v1), ("v2", &torrent.info_hash.v2)] {
        if let Some(hash) = hash {
            table.pair(&format!("info hash {version}"), printable(hash));
        }
    }
    if !torrent.tags.is_empty() {
        table.pair("tags", printable(&torrent.tags.join(", ")));
    }
    for tracker in &torrent.trackers {
        table.pair("tracker", printable(tracker));
    }
    table
}

fn files(detail: &TorrentDetail) -> Table {
    let files = detail.files.as_deref().unwrap_or_default();
    let mut table = Table::default();
    table.row(["FILE", "DONE", "SIZE", "PRIORITY", "PATH"].map(Cell::from));
    for file in files.iter().take(MAX_FILES) {
        let priority = match file.priority {
            FilePriority::Skip => "skip",
            FilePriority::Low => "low",
            FilePriority::Normal => "normal",
            FilePriority::High => "high",
        };
        table.row([
            file.index.to_string().into(),
            percent(percent_of(file.bytes_completed, file.size_bytes)).into(),
            size(file.size_bytes).into(),
            priority.into(),
            printable(&file.path).into(),
        ]);
    }
    if files.len() > MAX_FILES {
        table.row([format!("… and {} more; --output json lists all", files.len() - MAX_FILES).into()]);
    }
    table
}
