//! `revaer settings`: the settings as one document, and changes to them from a file.

use std::path::PathBuf;

use clap::Subcommand;
use reqwest::Method;
use serde_json::Value;

use crate::{client::Auth, context::Context, error::CliError, json_file};

const PATH: &str = "/admin/settings";

/// What to do with settings.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print the settings in force
    Get,
    /// Change settings, all at once or not at all
    Patch {
        /// JSON file with the sections and members to change; - for stdin
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
    },
}

impl Command {
    /// The command in words.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Get => "settings get",
            Self::Patch { .. } => "settings patch",
        }
    }
}

/// Does it.
pub(crate) async fn run(command: &Command, context: &Context) -> Result<(), CliError> {
    let client = &context.client;
    let answer = match command {
        Command::Get => client.call(client.request(Method::GET, PATH, &[]), Auth::Key).await?,
        Command::Patch { file } => {
            let changes = json_file::read(file)?;
            let request = client.request(Method::PATCH, PATH, &[]).json(&changes);
            client
                .call(request, Auth::Key)
                .await
                .map_err(|error| error.with_hint("see what is in force with `revaer settings get`"))?
        }
    };
    if context.screen.is_json() {
        return context.screen.result(answer.body());
    }
    let snapshot: Value = answer.read()?;
    match command {
        Command::Get => context.screen.result(&format!("{snapshot:#}")),
        Command::Patch { .. } => context.screen.result(&format!("revision: {}", snapshot["revision"])),
    }
}
