//! `revaer man`: the manual, made from the same words as `--help`.

use clap::{Args, Command, CommandFactory};
use clap_mangen::{
    Man,
    roff::{Roff, roman},
};

use crate::{args::Cli, context::Context, error::CliError};

/// What no flag's help says.
const SECTIONS: [(&str, &[(&str, &str)]); 3] = [
    (
        "ENVIRONMENT",
        &[
            ("REVAER_API_URL", "address of the server, where --api-url does not say"),
            ("REVAER_API_KEY", "the API key, key_id:secret, where --api-key does not say"),
            ("REVAER_HTTP_TIMEOUT_SECS", "seconds to wait for an answer, where --timeout does not say"),
            ("REVAER_SETUP_TOKEN, REVAER_SETUP_PASSPHRASE", "what setup complete needs, without showing it"),
            ("REVAER_TELEMETRY_ENDPOINT", "where to report what was run; unset, nothing is sent"),
            ("TRACEPARENT", "the trace that the command is a part of"),
            ("NO_COLOR", "set to anything: no colors"),
        ],
    ),
    (
        "EXIT STATUS",
        &[
            ("0", "done"),
            (
                "2",
                "the request was wrong: usage, a file that cannot be read, HTTP status 400, 409, 413, 415 or 422",
            ),
            ("3", "anything else: HTTP status 401, 403, 404, 429 or 5xx, no server, a degraded one"),
        ],
    ),
    (
        "FILES",
        &[
            ("$XDG_CONFIG_HOME/revaer/api-key", "the API key, key_id:secret, where no other file is named"),
            (
                "$XDG_CONFIG_HOME/revaer/api-key.old",
                "the key from before a rotation that was not seen to end; revaer keys rotate finishes it",
            ),
        ],
    ),
];

/// Flags of `man`.
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// The command to print the page of, in its words; else that of revaer itself
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,
}

/// Prints the page.
pub(crate) fn run(args: &ManArgs, context: &Context) -> Result<(), CliError> {
    let mut cli = Cli::command().disable_help_subcommand(true);
    cli.build();
    let mut page = Vec::new();
    let mut render = |command: &Command| Man::new(command.clone()).manual("Revaer").render(&mut page);
    render(find(&cli, &args.command)?).map_err(CliError::Output)?;
    let mut more = Roff::default();
    for (heading, entries) in SECTIONS {
        more.control("SH", [heading]);
        for (term, meaning) in entries {
            more.control("TP", []).text([roman(*term)]).text([roman(*meaning)]);
        }
    }
    more.to_writer(&mut page).map_err(CliError::Output)?;
    context.screen.result(&String::from_utf8_lossy(&page))
}

/// The command of these words.
fn find<'a>(root: &'a Command, words: &[String]) -> Result<&'a Command, CliError> {
    words.iter().try_fold(root, |command, word| {
        command.find_subcommand(word).ok_or_else(|| {
            CliError::Input(format!("{} has no command {word}; see `revaer help`", command.get_name()))
        })
    })
}
