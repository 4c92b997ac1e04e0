//! `revaer config history`: who changed what, when and why.

use clap::Args;
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

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

/// A page of the history; what is not shown is not read.
#[derive(Debug, Deserialize)]
struct Page {
    history: Vec<Entry>,
    next: Option<i64>,
}

#[derive(Debug, Deserialize)]
struct Entry {
    revision: i64,
    at: String,
    actor: String,
    reason: Option<String>,
    changes: Vec<Change>,
}

#[derive(Debug, Deserialize)]
struct Change {
    section: String,
    op: String,
    key: Option<String>,
    #[serde(default)]
    old: Value,
    #[serde(default)]
    new: Value,
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
    let page: Page = answer.read()?;
    context.screen.table(&table(&page, context.screen.is_quiet()))?;
    if let Some(next) = page.next {
        context.screen.notice(&format!("more: --{direction} {next}"));
    }
    Ok(())
}

fn table(page: &Page, quiet: bool) -> Table {
    let mut table = Table::default();
    if !quiet {
        table.row(["REVISION", "WHEN", "ACTOR", "WHAT", "REASON"].map(Cell::from));
    }
    for entry in &page.history {
        let mut lines = entry.changes.iter().flat_map(Change::lines);
        let mut row = vec![
            entry.revision.to_string().into(),
            moment(&entry.at).into(),
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

impl Change {
    /// What changed: a line for each member, or one for the whole row.
    fn lines(&self) -> Vec<String> {
        let name = match &self.key {
            Some(key) => format!("{}.{key}", self.section),
            None => self.section.clone(),
        };
        if self.old.is_object() && self.new.is_object() {
            let members = differences(name.clone(), Some(&self.old), Some(&self.new));
            // The counter of the application profile rises with every change of it, and says nothing then.
            let is_counter = |difference: &&Difference<'_>| difference.path == "app_profile.version";
            let told: Vec<_> = members.iter().filter(|one| !is_counter(one)).map(Difference::line).collect();
            if !told.is_empty() {
                return told;
            }
        }
        let done = match self.op.as_str() {
            "insert" => "added",
            "update" => "changed",
            "delete" => "removed",
            other => other,
        };
        vec![printable(&format!("{name} {done}"))]
    }
}
