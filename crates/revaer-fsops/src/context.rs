//! What a running job has around it: the stop signal, the listener, and the points at which a crash is survivable.

use std::{
    cell::Cell,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use revaer_telemetry::Metrics;
use revaer_torrent_core::{
    Bytes,
    fsops::{JobReport, Step},
};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use crate::FsError;

/// Called with the name of each point that the pipeline passes. The server passes none; crash tests end the process
/// here.
#[derive(Clone, Default)]
pub struct Checkpoints(Option<Arc<Listener>>);

type Listener = dyn Fn(&str) + Send + Sync;

impl Checkpoints {
    /// Calls `listener` at every point.
    pub fn new(listener: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(listener)))
    }
}

impl fmt::Debug for Checkpoints {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.0.is_some() { "Checkpoints(heard)" } else { "Checkpoints(none)" })
    }
}

/// At most four reports a second.
const REPORT_EVERY: Duration = Duration::from_millis(250);

pub(crate) struct Context<'a> {
    pub(crate) token: &'a CancellationToken,
    pub(crate) metrics: &'a Metrics,
    pub(crate) checkpoints: &'a Checkpoints,
    pub(crate) report: &'a (dyn Fn(JobReport) + Send + Sync),
    last_report: Cell<Option<Instant>>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(
        token: &'a CancellationToken,
        metrics: &'a Metrics,
        checkpoints: &'a Checkpoints,
        report: &'a (dyn Fn(JobReport) + Send + Sync),
    ) -> Self {
        Self { token, metrics, checkpoints, report, last_report: Cell::new(None) }
    }

    /// A point at which the process may die.
    pub(crate) fn point(&self, name: impl FnOnce() -> String) {
        if let Some(listener) = &self.checkpoints.0 {
            listener(&name());
        }
    }

    /// Ends the job here when the server is stopping.
    pub(crate) fn checkpoint(&self) -> Result<(), FsError> {
        if self.token.is_cancelled() { Err(FsError::Interrupted) } else { Ok(()) }
    }

    /// Says how far a step is, unless it said so a moment ago.
    pub(crate) fn progress(&self, step: Step, done: u64, total: u64) {
        let now = Instant::now();
        if self.last_report.get().is_some_and(|last| now.duration_since(last) < REPORT_EVERY) {
            return;
        }
        self.last_report.set(Some(now));
        (self.report)(JobReport::Progress { step, bytes_done: Bytes(done), bytes_total: Bytes(total) });
    }
}

/// The wall clock, for the journal.
pub(crate) fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}
