//! `revaer keys`: who may call the server. A secret is printed once, on stdout, and nowhere else.

mod issue;
mod rotate;

use clap::{Args, Subcommand};
use reqwest::Method;
use revaer_api_models::ApiKeyList;

use crate::{
    client::Auth,
    context::Context,
    error::CliError,
    reason::{ReasonArg, explained},
    table::{Cell, Table},
    text::{moment, printable},
    values::key_id,
};

const PATH: &str = "/v1/auth/keys";

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the keys, without their secrets
    Ls,
    /// Make a new key and print it
    Issue(issue::IssueArgs),
    /// Give a key a new secret and print it
    ///
    /// Where the key file holds the key that is rotated, it holds the new one before the server hears of it, and
    /// <file>.old the one before until the server has answered. A command that was cut short is finished by the
    /// same command.
    Rotate(rotate::RotateArgs),
    /// Make a key worthless, for good
    Revoke(RevokeArgs),
}

/// Flags of `keys revoke`.
#[derive(Debug, Args)]
pub(crate) struct RevokeArgs {
    /// The key
    #[arg(value_name = "KEY_ID", value_parser = key_id)]
    key_id: String,
    #[command(flatten)]
    why: ReasonArg,
}

impl Command {
    /// The command in words.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Ls => "keys ls",
            Self::Issue(_) => "keys issue",
            Self::Rotate(_) => "keys rotate",
            Self::Revoke(_) => "keys revoke",
        }
    }
}

/// Does it.
pub(crate) async fn run(command: &Command, context: &Context) -> Result<(), CliError> {
    match command {
        Command::Ls => ls(context).await,
        Command::Issue(args) => issue::run(args, context).await,
        Command::Rotate(args) => rotate::run(args, context).await,
        Command::Revoke(args) => revoke(args, context).await,
    }
}

async fn ls(context: &Context) -> Result<(), CliError> {
    let answer = context.client.call(context.client.request(Method::GET, PATH, &[]), Auth::Key).await?;
    if context.screen.is_json() {
        return context.screen.result(answer.body());
    }
    let list: ApiKeyList = answer.read()?;
    let mut table = Table::default();
    if !context.screen.is_quiet() {
        table.row(["KEY_ID", "ENABLED", "LIMIT", "CREATED", "EXPIRES", "LABEL"].map(Cell::from));
    }
    for key in &list.keys {
        let limit = key.rate_limit.as_ref();
        table.row([
            printable(&key.key_id).into(),
            if key.enabled { Cell::colored("yes", "32") } else { Cell::colored("no", "31") },
            limit
                .map_or_else(
                    || "none".to_owned(),
                    |limit| format!("{} per {} s", limit.burst, limit.per_seconds),
                )
                .into(),
            moment(key.created_at).into(),
            key.expires_at.map_or_else(|| "never".to_owned(), moment).into(),
            printable(&key.label).into(),
        ]);
    }
    context.screen.table(&table)
}

async fn revoke(args: &RevokeArgs, context: &Context) -> Result<(), CliError> {
    let key_id = &args.key_id;
    let request = context.client.request(Method::DELETE, &format!("{PATH}/{key_id}"), &[]);
    let answer = context
        .client
        .call(explained(request, args.why.reason.as_ref()), Auth::Key)
        .await
        .map_err(|error| error.with_hint("repeat the command: a key that is not found is revoked"))?;
    if let (Some(found), Some(path)) = (&context.key, &context.key_file)
        && found.is_from_file
        && found.token.key_id() == *key_id
    {
        context.screen.notice(&format!("the key in {} is worthless now", path.display()));
    }
    if context.screen.is_json() {
        return context.screen.result(answer.body());
    }
    context.screen.result(&format!("{key_id} revoked"))
}
