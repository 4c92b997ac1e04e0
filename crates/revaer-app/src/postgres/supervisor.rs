//! Keeps the server running, and sends it away at the end.

use std::{process::ExitStatus, sync::Arc, time::Duration};

use revaer_telemetry::{Backoff, Component, Health};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::{EmbeddedError, logfile, run::Prepared};
use crate::child::{Child, Signal};

/// A server that ran this long had recovered: its next end is a new trouble, not the same.
const STABLE: Duration = Duration::from_secs(30);
const LOG_CHECK: Duration = Duration::from_mins(1);
/// What each way of asking to stop is given; see `pg_ctl(1)`: fast, immediate.
const FAST: Duration = Duration::from_secs(10);
const IMMEDIATE: Duration = Duration::from_secs(5);

pub(super) struct Supervisor {
    prepared: Arc<Prepared>,
    child: Child,
    health: Health,
    backoff: Backoff,
}

impl Supervisor {
    pub(super) fn new(prepared: Arc<Prepared>, child: Child, health: Health) -> Self {
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));
        Self { prepared, child, health, backoff }
    }

    /// Runs until `stopping` is cancelled and the server has stopped.
    pub(super) async fn run(mut self, stopping: CancellationToken) {
        loop {
            let started = Instant::now();
            let Some(ended) = self.watch(&stopping).await else {
                return self.stop().await;
            };
            if started.elapsed() > STABLE {
                self.backoff.reset();
            }
            self.report(&format!("embedded postgresql ended ({ended}) and is started again"));
            match self.restart(&stopping).await {
                Some(child) => self.child = child,
                None => return,
            }
            self.health.clear(Component::Database);
        }
    }

    /// Waits for the server's end; `None`: it is to be stopped.
    async fn watch(&mut self, stopping: &CancellationToken) -> Option<String> {
        loop {
            tokio::select! {
                ended = self.child.wait() => return Some(describe(ended)),
                () = stopping.cancelled() => return None,
                () = tokio::time::sleep(LOG_CHECK) => self.trim_log().await,
            }
        }
    }

    async fn restart(&mut self, stopping: &CancellationToken) -> Option<Child> {
        loop {
            let pause = self.backoff.advance();
            stopping.run_until_cancelled(tokio::time::sleep(pause)).await?;
            match self.prepared.launch(stopping.clone()).await {
                Ok(child) => return Some(child),
                Err(_) if stopping.is_cancelled() => return None,
                Err(error) => self.report(&explain(&error)),
            }
        }
    }

    async fn stop(&mut self) {
        for (signal, patience) in [(Signal::INT, FAST), (Signal::QUIT, IMMEDIATE), (Signal::KILL, IMMEDIATE)]
        {
            if let Err(error) = self.child.kill_group(signal) {
                tracing::warn!(%error, "can not signal embedded postgresql");
            }
            if let Ok(ended) = timeout(patience, self.child.wait()).await {
                tracing::info!(status = describe(ended), "embedded postgresql stopped");
                return;
            }
            tracing::warn!(?signal, "embedded postgresql did not stop in time");
        }
    }

    async fn trim_log(&self) {
        let log = self.prepared.places.log.clone();
        let trimmed = self.prepared.tasks().spawn_blocking("postgres log", move || logfile::trim(&log)).await;
        if let Ok(Err(error)) = trimmed {
            tracing::warn!(%error, "can not shorten the log of embedded postgresql");
        }
    }

    fn report(&self, reason: &str) {
        tracing::error!(reason, "database down");
        self.health.degrade(Component::Database, reason);
    }
}

fn describe(ended: std::io::Result<ExitStatus>) -> String {
    ended.map_or_else(|error| error.to_string(), |status| status.to_string())
}

fn explain(error: &EmbeddedError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
