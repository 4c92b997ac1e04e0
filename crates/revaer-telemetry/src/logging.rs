//! The logger: one subscriber, on stderr, pretty for people and JSON for machines.

use tracing_subscriber::{EnvFilter, Registry, fmt, layer::SubscriberExt, reload, util::SubscriberInitExt};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// For a terminal.
    Pretty,
}

/// The logger could not be installed.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The filter does not parse.
    #[error(
        "the log filter {filter:?} does not parse; use a level (info) or directives (revaer=debug,sqlx=warn)"
    )]
    Filter {
        /// What was given.
        filter: String,
        /// The parser's reason.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// Another logger is installed in this process.
    #[error("another logger is installed already")]
    Installed(#[from] tracing_subscriber::util::TryInitError),
    /// The logger has ended.
    #[error("the logger has ended")]
    Ended(#[from] reload::Error),
}

/// The process's logger. Clones change the same one.
#[derive(Debug, Clone)]
pub struct Logger {
    filter: reload::Handle<EnvFilter, Registry>,
}

impl Logger {
    /// Logs by another filter from now on.
    pub fn set_filter(&self, filter: &str) -> Result<(), LoggingError> {
        Ok(self.filter.reload(parse(filter)?)?)
    }
}

fn parse(filter: &str) -> Result<EnvFilter, LoggingError> {
    EnvFilter::try_new(filter).map_err(|source| LoggingError::Filter { filter: filter.to_owned(), source })
}

/// Installs the process's logger with `filter` (a level, or `tracing` directives).
pub fn install(filter: &str, format: LogFormat) -> Result<Logger, LoggingError> {
    let (layer, filter) = reload::Layer::new(parse(filter)?);
    let registry = tracing_subscriber::registry().with(layer);
    match format {
        LogFormat::Json => registry.with(fmt::layer().json().with_writer(std::io::stderr)).try_init()?,
        LogFormat::Pretty => registry.with(fmt::layer().with_writer(std::io::stderr)).try_init()?,
    }
    Ok(Logger { filter })
}
