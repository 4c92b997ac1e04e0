//! The logger: one subscriber, on stderr, pretty for people and JSON for machines.

use std::{
    io::IsTerminal as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tracing::Metadata;
use tracing_subscriber::{
    EnvFilter, Layer as _, Registry, fmt,
    layer::{Context, Filter, SubscriberExt},
    reload,
    util::SubscriberInitExt,
};

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

/// Lets the events through that are to be written in one of the two forms.
struct Form {
    pretty: Arc<AtomicBool>,
    own: bool,
}

impl<S> Filter<S> for Form {
    // Asked for each event, and not once for each place in the code that logs: the default of `callsite_enabled`.
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        metadata.is_span() || self.pretty.load(Ordering::Relaxed) == self.own
    }
}

/// The process's logger. Clones change the same one.
#[derive(Debug, Clone)]
pub struct Logger {
    filter: reload::Handle<EnvFilter, Registry>,
    pretty: Arc<AtomicBool>,
}

impl Logger {
    /// Logs by another filter from now on.
    pub fn set_filter(&self, filter: &str) -> Result<(), LoggingError> {
        Ok(self.filter.reload(parse(filter)?)?)
    }

    /// Logs in another form from the next line on.
    pub fn set_format(&self, format: LogFormat) {
        self.pretty.store(format == LogFormat::Pretty, Ordering::Relaxed);
    }
}

fn parse(filter: &str) -> Result<EnvFilter, LoggingError> {
    EnvFilter::try_new(filter).map_err(|source| LoggingError::Filter { filter: filter.to_owned(), source })
}

/// Installs the process's logger with `filter` (a level, or `tracing` directives).
///
/// Both forms stand ready and each event is written by one of them. Exchanging one for the other would not do: a span
/// that was open at that moment has its fields in the form of the old one only.
pub fn install(filter: &str, format: LogFormat) -> Result<Logger, LoggingError> {
    let (layer, filter) = reload::Layer::new(parse(filter)?);
    let pretty = Arc::new(AtomicBool::new(format == LogFormat::Pretty));
    tracing_subscriber::registry()
        .with(layer)
        .with(
            fmt::layer()
                .json()
                .with_writer(std::io::stderr)
                .with_filter(Form { pretty: Arc::clone(&pretty), own: false }),
        )
        .with(
            fmt::layer()
                .with_ansi(std::io::stderr().is_terminal())
                .with_writer(std::io::stderr)
                .with_filter(Form { pretty: Arc::clone(&pretty), own: true }),
        )
        .try_init()?;
    Ok(Logger { filter, pretty })
}
