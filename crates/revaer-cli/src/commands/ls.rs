//! `revaer ls`: one page of torrents.

use clap::Args;
use reqwest::Method;
use revaer_api_models::{StateKind, TorrentList};

use crate::{
    client::Auth,
    context::Context,
    error::CliError,
    table::{Cell, Table},
    text::{percent, printable, state_color},
    values::{Sort, preset_name},
};

/// Flags of `ls`.
#[derive(Debug, Args)]
pub(crate) struct LsArgs {
    /// Most torrents to list
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=200))]
    limit: Option<u8>,
    /// Go on after an earlier page
    #[arg(long, value_name = "TOKEN")]
    cursor: Option<String>,
    /// Only torrents in one of these states
    #[arg(long, value_name = "STATE,…", value_delimiter = ',')]
    state: Vec<StateKind>,
    /// Only torrents with a tracker like one of these hosts or URL fragments
    #[arg(long, value_name = "TRACKER")]
    tracker: Option<String>,
    /// Only torrents with a file of one of these extensions
    #[arg(long, value_name = "EXT,…")]
    extension: Option<String>,
    /// Only torrents with all of these tags
    #[arg(long, value_name = "TAG,…")]
    tags: Option<String>,
    /// Only torrents whose name contains this
    #[arg(long, value_name = "FRAGMENT")]
    name: Option<String>,
    /// Order of the list
    #[arg(long, value_enum)]
    sort: Option<Sort>,
    /// Filter and order that `revaer presets set` keeps; other flags win over its members
    #[arg(long, value_name = "NAME", value_parser = preset_name)]
    preset: Option<String>,
}

impl LsArgs {
    fn query(&self) -> Vec<(&'static str, String)> {
        let states: Vec<_> = self.state.iter().map(|state| state.as_str()).collect();
        let members = [
            ("limit", self.limit.map(|limit| limit.to_string())),
            ("cursor", self.cursor.clone()),
            ("state", (!states.is_empty()).then(|| states.join(","))),
            ("tracker", self.tracker.clone()),
            ("extension", self.extension.clone()),
            ("tags", self.tags.clone()),
            ("name", self.name.clone()),
            ("sort", self.sort.map(|sort| sort.as_str().to_owned())),
            ("preset", self.preset.clone()),
        ];
        members.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// Prints the page.
pub(crate) async fn run(args: &LsArgs, context: &Context) -> Result<(), CliError> {
    let request = context.client.request(Method::GET, "/v1/torrents", &args.query());
    let answer = context.client.call(request, Auth::Key).await?;
    if context.screen.is_json() {
        return context.screen.result(answer.body());
    }
    let list: TorrentList = answer.read()?;
    context.screen.table(&table(&list, context.screen.is_quiet()))?;
    if let Some(next) = &list.next {
        context.screen.notice(&format!("more: --cursor {}", printable(next)));
    }
    Ok(())
}

fn table(list: &TorrentList, quiet: bool) -> Table {
    let mut table = Table::default();
    if !quiet {
        table.row(["ID", "STATE", "PROGRESS", "NAME"].map(Cell::from));
    }
    for torrent in &list.torrents {
        let kind = torrent.state.kind;
        table.row([
            torrent.id.to_string().into(),
            Cell::colored(kind.as_str(), state_color(kind)),
            percent(torrent.progress.percent_complete).into(),
            printable(&torrent.name).into(),
        ]);
    }
    table
}
