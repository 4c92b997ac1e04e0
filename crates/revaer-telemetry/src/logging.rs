//! The logger: one subscriber, on stderr, pretty for people and JSON for machines.

use std::{
    io::IsTerminal as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tracing::{
    Event, Subscriber,
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{
    EnvFilter, Layer, Registry, fmt,
    layer::{Context, SubscriberExt},
    reload,
    util::SubscriberInitExt,
};

use crate::traces::{Traces, TracesError};

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

/// Writes events in one of the two forms, while that is the one asked for. Of spans it always takes the fields, so
/// that they are there when it is its turn.
struct Form<L> {
    lines: L,
    pretty: Arc<AtomicBool>,
    own: bool,
}

impl<S: Subscriber, L: Layer<S>> Layer<S> for Form<L> {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        self.lines.on_new_span(attributes, id, context);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        self.lines.on_record(id, values, context);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if self.pretty.load(Ordering::Relaxed) == self.own {
            self.lines.on_event(event, context);
        }
    }
}

/// The process's logger. Clones change the same one.
#[derive(Debug, Clone)]
pub struct Logger {
    filter: reload::Handle<EnvFilter, Registry>,
    pretty: Arc<AtomicBool>,
    traces: Traces,
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

    /// Exports traces by OTLP to `endpoint` (`http` or `https`; `/v1/traces` is added where it is not there) from now
    /// on, or no longer. Returns when what has ended before is delivered where it was to go, at most a second later.
    /// After an error nothing is exported.
    pub async fn export_traces(&self, endpoint: Option<&str>) -> Result<(), TracesError> {
        self.traces.export(endpoint).await
    }
}

fn parse(filter: &str) -> Result<EnvFilter, LoggingError> {
    EnvFilter::try_new(filter).map_err(|source| LoggingError::Filter { filter: filter.to_owned(), source })
}

/// Installs the process's logger with `filter` (a level, or `tracing` directives).
///
/// Both forms stand ready and each event is written by one of them. Exchanging one for the other would not do: a span
/// that was open at that moment has its fields in the form of the old one only. The filter holds for what is written;
/// traces have their own.
pub fn install(filter: &str, format: LogFormat) -> Result<Logger, LoggingError> {
    let (written, filter) = reload::Layer::new(parse(filter)?);
    let pretty = Arc::new(AtomicBool::new(format == LogFormat::Pretty));
    let traces = Traces::off();
    let json = Form {
        lines: fmt::layer().json().with_writer(std::io::stderr),
        pretty: Arc::clone(&pretty),
        own: false,
    };
    let text = Form {
        lines: fmt::layer().with_ansi(std::io::stderr().is_terminal()).with_writer(std::io::stderr),
        pretty: Arc::clone(&pretty),
        own: true,
    };
    tracing_subscriber::registry()
        .with(json.and_then(text).with_filter(written))
        .with(traces.layer())
        .try_init()?;
    Ok(Logger { filter, pretty, traces })
}
