//! The commands, one file each: their flags, and what they do.

pub(crate) mod action;
pub(crate) mod completions;
pub(crate) mod config;
mod event_line;
mod follow;
pub(crate) mod health;
pub(crate) mod keys;
pub(crate) mod ls;
pub(crate) mod man;
pub(crate) mod presets;
pub(crate) mod setup;
mod setup_complete;
pub(crate) mod status;
pub(crate) mod tail;
pub(crate) mod torrent;

use crate::{args::Command, context::Context, error::CliError};

impl Command {
    /// Whether it sends the API key.
    pub(crate) const fn needs_key(&self) -> bool {
        !matches!(self, Self::Setup(_) | Self::Completions(_) | Self::Man(_))
    }

    /// Does it.
    pub(crate) async fn run(&self, context: &Context) -> Result<(), CliError> {
        match self {
            Self::Setup(command) => setup::run(command, context).await,
            Self::Config(command) => config::run(command, context).await,
            Self::Keys(command) => keys::run(command, context).await,
            Self::Presets(command) => presets::run(command, context).await,
            Self::Torrent(command) => torrent::run(command, context).await,
            Self::Ls(args) => ls::run(args, context).await,
            Self::Status(args) => status::run(args, context).await,
            Self::Action(args) => action::run(args, context).await,
            Self::Tail(args) => tail::run(args, context).await,
            Self::Health => health::run(context).await,
            Self::Completions(args) => completions::run(args, context),
            Self::Man(args) => man::run(args, context),
        }
    }
}
