//! `revaer setup`: a token, then the first settings and the first key.

use clap::{Args, Subcommand};
use reqwest::Method;
use revaer_api_models::{SetupStartRequest, SetupStarted};
use time::format_description::well_known::Rfc3339;

use super::setup_complete::{self, CompleteArgs};
use crate::{client::Auth, context::Context, error::CliError};

/// A step of the setup.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Ask for a setup token, on the server's own host; an earlier one is void then
    Start(StartArgs),
    /// Make the server usable, and keep its first key
    Complete(Box<CompleteArgs>),
}

/// Flags of `setup start`.
#[derive(Debug, Args)]
pub(crate) struct StartArgs {
    /// Who asks, for the history
    #[arg(long, value_name = "LABEL")]
    issued_by: Option<String>,
    /// How long the token is good for
    #[arg(long, value_name = "SECS", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    ttl_seconds: Option<u32>,
}

impl Command {
    /// The command in words.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Start(_) => "setup start",
            Self::Complete(_) => "setup complete",
        }
    }
}

/// Does it.
pub(crate) async fn run(command: &Command, context: &Context) -> Result<(), CliError> {
    match command {
        Command::Start(args) => start(args, context).await,
        Command::Complete(args) => setup_complete::run(args, context).await,
    }
}

async fn start(args: &StartArgs, context: &Context) -> Result<(), CliError> {
    let body = SetupStartRequest { issued_by: args.issued_by.clone(), ttl_seconds: args.ttl_seconds };
    let request = context.client.request(Method::POST, "/admin/setup/start", &[]).json(&body);
    let answer = context
        .client
        .call(request, Auth::None)
        .await
        .map_err(|error| error.with_hint("repeat the command: a new token replaces a lost one"))?;
    if context.screen.is_json() {
        return context.screen.result(answer.body());
    }
    let started: SetupStarted = answer.read()?;
    let expires_at = started
        .expires_at
        .format(&Rfc3339)
        .map_err(|error| context.client.not_understood(format!("expires_at: {error}")))?;
    context.screen.result(&format!("{}\nexpires_at: {expires_at}", crate::text::printable(&started.token)))
}
