//! Keeps the server running, and sends it away at the end.

use std::{sync::Arc, time::Duration};

use revaer_telemetry::{Backoff, Component, Health};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    EmbeddedError,
    ending::{self, describe},
    logfile,
    run::Prepared,
};
use crate::child::Child;

/// A server that ran this long had recovered: its next end is a new trouble, not the same.
const STABLE: Duration = Duration::from_secs(30);
const LOG_CHECK: Duration = Duration::from_mins(1);

pub(super) struct Supervisor {
    prepared: Arc<Prepared>,
    child: Child,
    health: Health,
    backoff: Backoff,
    /// Cancelled when a stop has no time left.
    hurry: CancellationToken,
}

impl Supervisor {
    pub(super) fn new(
        prepared: Arc<Prepared>,
        child: Child,
        health: Health,
        hurry: CancellationToken,
    ) -> Self {
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));
        Self { prepared, child, health, backoff, hurry }
    }

    /// Runs until `stopping` is cancelled and the server has stopped.
    pub(super) async fn run(mut self, stopping: CancellationToken) {
        loop {
            let started = Instant::now();
            let Some(ended) = self.watch(&stopping).await else {
                return ending::end(&mut self.child, &self.hurry).await;
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
            match self.prepared.launch(stopping.clone(), self.hurry.clone()).await {
                Ok(child) => return Some(child),
                Err(_) if stopping.is_cancelled() => return None,
                Err(error) => self.report(&explain(&error)),
            }
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
