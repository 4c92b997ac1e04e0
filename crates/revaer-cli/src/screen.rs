//! Where words go: results to stdout, everything else to stderr.

use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;

use crate::{error::CliError, table::Table};

/// The form of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// For people.
    Table,
    /// The server's own JSON.
    Json,
}

/// When to use colors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Stdout and stderr, with what the person asked of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Screen {
    mode: Mode,
    quiet: bool,
    color: bool,
}

impl Screen {
    /// Decides on colors once.
    pub(crate) fn new(mode: Mode, quiet: bool, color: Color, no_color: bool) -> Self {
        let color = match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => !no_color && io::stdout().is_terminal(),
        };
        Self { mode, quiet, color }
    }

    /// Whether results are JSON.
    pub(crate) fn is_json(self) -> bool {
        self.mode == Mode::Json
    }

    /// Whether only results are wanted.
    pub(crate) const fn is_quiet(self) -> bool {
        self.quiet
    }

    /// Whether a progress bar can be drawn.
    pub(crate) fn can_draw(self) -> bool {
        !self.quiet && !self.is_json() && io::stderr().is_terminal()
    }

    /// Prints a result and sees it off; a line end is added where there is none.
    #[expect(clippy::unused_self, reason = "the one door to stdout, whatever the modes")]
    pub(crate) fn result(self, text: &str) -> Result<(), CliError> {
        write(text)?;
        flush()
    }

    /// Prints a table as a result.
    pub(crate) fn table(self, table: &Table) -> Result<(), CliError> {
        self.result(&table.render(self.color))
    }

    /// Says something that is no result, unless only results are wanted.
    pub(crate) fn notice(self, text: &str) {
        if !self.quiet {
            to_stderr(&format!("{text}\n"));
        }
    }
}

/// Prints a line of a result that more may follow at once; a line end is added where there is none.
pub(crate) fn write(text: &str) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).map_err(CliError::Output)?;
    if !text.is_empty() && !text.ends_with('\n') {
        out.write_all(b"\n").map_err(CliError::Output)?;
    }
    Ok(())
}

/// Sees off what was written.
pub(crate) fn flush() -> Result<(), CliError> {
    io::stdout().flush().map_err(CliError::Output)
}

/// Writes to stderr. When that is gone too, there is nobody left to tell.
pub(crate) fn to_stderr(text: &str) {
    drop(io::stderr().write_all(text.as_bytes()));
}
