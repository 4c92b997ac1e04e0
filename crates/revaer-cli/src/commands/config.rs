//! `revaer config`: the settings as one document, changes to them, and their history.

mod changeset;
mod history;
mod rollback;

use std::{
    io::{self, IsTerminal},
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use reqwest::{Method, header::IF_MATCH};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    client::{Answer, Auth},
    context::Context,
    error::CliError,
    json_file,
    reason::{Reason, ReasonArg, explained},
    text::printable,
};

const PATH: &str = "/admin/settings";

/// What to do with settings.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print the settings in force, in a form that `set` takes
    Get,
    /// Change settings, all at once or not at all
    #[command(visible_aliases = ["apply", "patch"])]
    Set(SetArgs),
    /// List the changes of settings, newest first
    History(history::HistoryArgs),
    /// Make the settings what they were at a revision, as a new revision
    ///
    /// The application, engine and file system settings go back; API keys, secrets and presets stay as they are.
    Rollback(rollback::RollbackArgs),
}

/// Flags of `config set`.
#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    /// JSON file with what to change, or what `config get` printed; - for stdin
    #[arg(long, value_name = "FILE", default_value = "-")]
    file: PathBuf,
    #[command(flatten)]
    why: ReasonArg,
    /// Change nothing unless this revision is in force
    #[arg(long, value_name = "REVISION", value_parser = clap::value_parser!(i64).range(0..))]
    if_match: Option<i64>,
}

impl Command {
    /// The command in words.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Get => "config get",
            Self::Set(_) => "config set",
            Self::History(_) => "config history",
            Self::Rollback(_) => "config rollback",
        }
    }
}

/// Does it.
pub(crate) async fn run(command: &Command, context: &Context) -> Result<(), CliError> {
    match command {
        Command::Get => get(context).await,
        Command::Set(args) => set(args, context).await,
        Command::History(args) => history::run(args, context).await,
        Command::Rollback(args) => rollback::run(args, context).await,
    }
}

async fn get(context: &Context) -> Result<(), CliError> {
    let answer = context.client.call(context.client.request(Method::GET, PATH, &[]), Auth::Key).await?;
    if context.screen.is_json() {
        return context.screen.result(answer.body());
    }
    let snapshot: Value = answer.read()?;
    context.screen.result(&format!("{snapshot:#}"))
}

async fn set(args: &SetArgs, context: &Context) -> Result<(), CliError> {
    if args.file == Path::new("-") && io::stdin().is_terminal() {
        context.screen.notice("reading settings from the terminal; end them with Ctrl-D, or name a --file");
    }
    let changes = changeset::of(json_file::read(&args.file)?);
    let answer = send(context, &changes, args.if_match, args.why.reason.as_ref()).await?;
    if context.screen.is_json() {
        return context.screen.result(answer.body());
    }
    context.screen.result(&format!("revision: {}", revision(context, &answer.read()?)?))
}

/// Sends a changeset, and says what the server has to say about it.
async fn send(
    context: &Context,
    changes: &Map<String, Value>,
    if_match: Option<i64>,
    reason: Option<&Reason>,
) -> Result<Answer, CliError> {
    let mut request = explained(context.client.request(Method::PATCH, PATH, &[]).json(changes), reason);
    if let Some(revision) = if_match {
        request = request.header(IF_MATCH, format!("\"{revision}\""));
    }
    let answer = context.client.call(request, Auth::Key).await.map_err(|error| {
        error.with_hint(
            "see what is in force with `revaer config get`, and who changed it with `config history`",
        )
    })?;
    for notice in answer.read::<Notices>()?.notices {
        context.screen.notice(&printable(&format!("note: {}: {}", notice.pointer, notice.message)));
    }
    Ok(answer)
}

/// What was stored and has no effect, from the answer to a change.
#[derive(Debug, Deserialize)]
struct Notices {
    #[serde(default)]
    notices: Vec<Notice>,
}

#[derive(Debug, Deserialize)]
struct Notice {
    pointer: String,
    message: String,
}

/// The number of a snapshot.
fn revision(context: &Context, snapshot: &Value) -> Result<i64, CliError> {
    snapshot["revision"].as_i64().ok_or_else(|| {
        context.client.not_understood("the answer is not what was asked for: it has no revision")
    })
}
