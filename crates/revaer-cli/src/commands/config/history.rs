//! `revaer config history`: who changed what, when and why.

use clap::Args;
use reqwest::Method;
use revaer_api_models::{SettingsHistory, SettingsHistoryChange};

use super::PATH;
use crate::{
    client::Auth,
    context::Context,
    difference::{Difference, differences},
    error::CliError,
    table::{Cell, Table},
    text::{moment, printable},
};

/// Above every revision, and a number that every JSON reader keeps exact.
const ABOVE_ALL: i64 = (1 << 53) - 1;

/// Flags of `config history`.
#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    /// Only revisions above this one, oldest first
    #[arg(long, value_name = "REVISION", conflicts_with = "before", value_parser = clap::value_parser!(i64).range(0..))]
    after: Option<i64>,
    /// Only revisions below this one, newest first
    #[arg(long, value_name = "REVISION", value_parser = clap::value_parser!(i64).range(0..))]
    before: Option<i64>,
    /// Most revisions to list
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=200))]
    limit: Option<u8>,
}

/// Prints the page.
pub(super) async fn run(args: &HistoryArgs, context: &Context) -> Result<(), CliError> {
    let (direction, from) = match args.after {
        Some(after) => ("after", after),
        None => ("before", args.before.unwrap_or(ABOVE_ALL)),
    };
    let mut query = vec![(direction, from.to_string())];
    query.extend(args.limit.map(|limit| ("limit", limit.to_string())));
    let request = context.client.request(Method::GET, &format!("{PATH}/history"), &query);
    let answer = context.client.call(request, Auth::Key).await?;
    if context.screen.is_json() {
        return context.screen.result(answer.body());
    }
    let page: SettingsHistory = answer.read()?;
    context.screen.table(&table(&page, context.screen.is_quiet()))?;
    if let Some(next) = page.next {
        context.screen.notice(&format!("more: --{direction} {next}"));
    }
    Ok(())
}

fn table(page: &SettingsHistory, quiet: bool) -> Table {
    let mut table = Table::default();
    if !quiet {
        table.row(["REVISION", "WHEN", "ACTOR", "WHAT", "REASON"].map(Cell::from));
    }
    for entry in &page.history {
        let mut lines = entry.changes.iter().flat_map(lines_of);
        let mut row = vec![
            entry.revision.to_string().into(),
            moment(entry.at).into(),
            printable(&entry.actor).into(),
            lines.next().unwrap_or_default().into(),
        ];
        row.extend(entry.reason.as_deref().map(|reason| printable(reason).into()));
        table.row(row);
        for line in lines {
            table.row(["".into(), "".into(), "".into(), line.into()]);
        }
    }
    table
}

/// What changed: a line for each member, or one for the whole row.
fn lines_of(change: &SettingsHistoryChange) -> Vec<String> {
    let name = match &change.key {
        Some(key) => format!("{}.{key}", change.section),
        None => change.section.clone(),
    };
    if change.old.is_object() && change.new.is_object() {
        let members = differences(name.clone(), Some(&change.old), Some(&change.new));
        // The counter of the application profile rises with every change of it, and says nothing then.
        let is_counter = |difference: &&Difference<'_>| difference.path == "app_profile.version";
        let told: Vec<_> = members.iter().filter(|one| !is_counter(one)).map(Difference::line).collect();
        if !told.is_empty() {
            return told;
        }
    }
    let done = match change.op.as_str() {
        "insert" => "added",
        "update" => "changed",
        "delete" => "removed",
        other => other,
    };
    vec![printable(&format!("{name} {done}"))]
}
