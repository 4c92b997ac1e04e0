//! The command line as a whole; each command's own flags live beside the command.

use clap::{Args, Parser, Subcommand};

use crate::{
    commands::{action, completions, config, keys, ls, man, presets, setup, status, tail, torrent},
    screen::{Color, Mode},
    secret::Secret,
};

/// The API of a Revaer server from a terminal.
///
/// Exit codes: 0 done; 2 the command was wrong; 3 anything else went wrong.
#[derive(Debug, Parser)]
#[command(name = "revaer", version, propagate_version = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// Flags of every command.
    #[command(flatten)]
    pub(crate) global: Global,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Address of the server
    #[arg(
        long,
        global = true,
        env = "REVAER_API_URL",
        default_value = "http://127.0.0.1:7070",
        value_name = "URL"
    )]
    pub(crate) api_url: String,

    /// API key; else the variable, else the key file
    #[arg(long, global = true, env = "REVAER_API_KEY", hide_env_values = true, value_name = "KEY_ID:SECRET")]
    pub(crate) api_key: Option<Secret>,

    /// File that holds the API key [default: $XDG_CONFIG_HOME/revaer/api-key]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) key_file: Option<std::path::PathBuf>,

    /// Seconds to wait for an answer; streams have no limit
    #[arg(
        long, global = true, env = "REVAER_HTTP_TIMEOUT_SECS", default_value_t = 10, value_name = "SECS",
        value_parser = clap::value_parser!(u64).range(1..=86_400)
    )]
    pub(crate) timeout: u64,

    /// Form of results
    #[arg(long, visible_alias = "format", global = true, value_enum, default_value_t = Mode::Table)]
    pub(crate) output: Mode,

    /// Say nothing but results and errors
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,

    /// Use of colors
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto)]
    pub(crate) color: Color,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a fresh server usable
    #[command(subcommand)]
    Setup(setup::Command),
    /// Read and change settings, see who changed them, go back
    #[command(subcommand, visible_alias = "settings")]
    Config(config::Command),
    /// Issue, rotate and revoke API keys
    #[command(subcommand)]
    Keys(keys::Command),
    /// Keep filters for `ls` under names
    #[command(subcommand)]
    Presets(presets::Command),
    /// Add and remove torrents
    #[command(subcommand)]
    Torrent(torrent::Command),
    /// List torrents, newest first
    Ls(ls::LsArgs),
    /// Show one torrent
    Status(status::StatusArgs),
    /// Pause, resume, remove or limit one torrent
    Action(action::ActionArgs),
    /// Print events as they happen, until Ctrl-C
    Tail(tail::TailArgs),
    /// Ask the server how it is: exit 0 when well, 3 when degraded or not reached
    Health,
    /// Print a completion script for a shell
    Completions(completions::CompletionsArgs),
    /// Print a manual page: man -l <(revaer man)
    Man(man::ManArgs),
}

impl Command {
    /// The command in words, for the telemetry report.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Setup(command) => command.name(),
            Self::Config(command) => command.name(),
            Self::Keys(command) => command.name(),
            Self::Presets(command) => command.name(),
            Self::Torrent(command) => command.name(),
            Self::Ls(_) => "ls",
            Self::Status(_) => "status",
            Self::Action(_) => "action",
            Self::Tail(_) => "tail",
            Self::Health => "health",
            Self::Completions(_) => "completions",
            Self::Man(_) => "man",
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
