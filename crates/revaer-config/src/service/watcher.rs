//! Changes from elsewhere: a dedicated LISTEN connection that wakes a reader, and a poll for what it missed.
//!
//! The listener never says what changed; the reader compares revisions. So a lost notification, a silent
//! reconnect and a plain poll are one case.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use revaer_telemetry::{Backoff, Component, OnFailure, Tasks};
use sqlx::postgres::{PgListener, PgPoolOptions};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use super::{
    ConfigService, guards,
    load::{self, Loaded},
};
use crate::{error::ConfigError, sql::settings};

const CHANNEL: &str = "revaer_settings_changed";
/// What the listener sends itself.
const PROBE: &str = "revaer_settings_probe";
/// What a lost notification costs at most.
const POLL: Duration = Duration::from_secs(5);
/// What a change costs at most where no notification ever arrives.
const POLL_DEAF: Duration = Duration::from_secs(1);
/// How long a change of this process may take from its commit until it is in force.
const OWN_CHANGE: Duration = Duration::from_millis(250);
/// How often it is looked who has not put a revision in force.
const LOOK: Duration = Duration::from_millis(500);
/// A read that takes longer is a failure: the pool waits much longer for a server that is gone.
const PATIENCE: Duration = Duration::from_secs(3);

impl ConfigService {
    /// Starts to follow changes by other writers, for ever.
    pub fn spawn_watcher(&self, tasks: &Tasks) {
        let (service, token) = (self.clone(), tasks.child_token());
        tasks.spawn::<std::convert::Infallible, _>("config-listener", OnFailure::Shutdown, async move {
            token.clone().run_until_cancelled_owned(service.listen()).await;
            Ok(())
        });
        let (service, token) = (self.clone(), tasks.child_token());
        tasks.spawn::<std::convert::Infallible, _>("config-watcher", OnFailure::Shutdown, async move {
            service.follow(token).await;
            Ok(())
        });
        let (service, token) = (self.clone(), tasks.child_token());
        tasks.spawn::<std::convert::Infallible, _>("config-latency", OnFailure::Shutdown, async move {
            service.watch_laggards(token).await;
            Ok(())
        });
    }

    async fn listen(self) {
        let mut backoff = Backoff::new(Duration::from_millis(100), POLL);
        loop {
            if let Err(error) = self.listen_once(&mut backoff).await {
                tracing::warn!(%error, "the settings listener lost its connection; polling goes on");
            }
            // What cut this connection may have cut the others: the reader finds out now and says so.
            self.shared.wake.notify_one();
            tokio::time::sleep(backoff.advance()).await;
        }
    }

    /// Listens until the connection is lost.
    async fn listen_once(&self, backoff: &mut Backoff) -> sqlx::Result<()> {
        // A connection of its own: it must not take one from the requests, nor wait for one.
        let options = (*self.shared.pool.connect_options()).clone();
        let pool = PgPoolOptions::new().max_connections(1).connect_lazy_with(options);
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.eager_reconnect(false);
        listener.listen_all([CHANNEL, PROBE]).await?;
        backoff.reset();
        // What happened while nobody listened.
        self.shared.wake.notify_one();
        self.probe(&mut listener).await?;
        while listener.try_recv().await?.is_some() {
            // The probe may have been late.
            self.shared.deaf.store(false, Ordering::Relaxed);
            self.shared.wake.notify_one();
        }
        Ok(())
    }

    /// Finds out whether notifications arrive: behind a transaction pooler they do not.
    async fn probe(&self, listener: &mut PgListener) -> sqlx::Result<()> {
        settings::notify(&self.shared.pool, PROBE, "").await?;
        let heard = tokio::time::timeout(PATIENCE, listener.try_recv()).await;
        let deaf = match heard {
            Ok(Ok(Some(_))) => {
                // It may have been a change that came first.
                self.shared.wake.notify_one();
                false
            }
            Ok(Ok(None)) => return Err(sqlx::Error::WorkerCrashed),
            Ok(Err(error)) => return Err(error),
            Err(_elapsed) => true,
        };
        if deaf && !self.shared.deaf.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "notifications of the database do not arrive, as behind a transaction pooler; settings are polled every second: connect to PostgreSQL directly"
            );
        } else if !deaf {
            self.shared.deaf.store(false, Ordering::Relaxed);
        }
        Ok(())
    }

    async fn follow(self, token: CancellationToken) {
        let mut marks = self.shared.marks.1.lock().await;
        let mut looked_at = OffsetDateTime::now_utc();
        loop {
            let refreshed = tokio::time::timeout(PATIENCE, self.refresh()).await;
            match refreshed.unwrap_or(Err(ConfigError::Unavailable(sqlx::Error::PoolTimedOut))) {
                Ok(()) => {
                    self.shared.telemetry.health.clear(Component::ConfigWatcher);
                    self.shared.telemetry.metrics.config_watch_failing(false);
                }
                Err(error) => {
                    let cause = std::error::Error::source(&error)
                        .map(|cause| format!(": {cause}"))
                        .unwrap_or_default();
                    let reason = format!(
                        "{error}{cause}; the settings of revision {} are in force",
                        self.snapshot().revision
                    );
                    self.shared.telemetry.health.degrade(Component::ConfigWatcher, reason);
                    self.shared.telemetry.metrics.config_watch_failing(true);
                    self.shared.telemetry.metrics.config_update_failed();
                }
            }
            let now = OffsetDateTime::now_utc();
            guards::tell_expired(&self.snapshot(), looked_at, now, &self.shared.telemetry);
            looked_at = now;
            if let Ok(Err(error)) = tokio::time::timeout(PATIENCE, self.expire_token()).await {
                tracing::debug!(%error, "whether the setup token has expired is noted later");
            }
            tokio::select! {
                () = token.cancelled() => return,
                () = self.shared.wake.notified() => {}
                Some(mark) = marks.recv() => self.store_mark(mark).await,
                () = tokio::time::sleep(self.poll()) => {}
            }
        }
    }

    fn poll(&self) -> Duration {
        if self.shared.deaf.load(Ordering::Relaxed) { POLL_DEAF } else { POLL }
    }

    async fn watch_laggards(self, token: CancellationToken) {
        let mut tick = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                () = token.cancelled() => return,
                _ = tick.tick() => self.shared.subscribers.look_for_laggards(),
            }
        }
    }

    /// Reads a new snapshot where the revision rose.
    async fn refresh(&self) -> Result<(), ConfigError> {
        let known = self.snapshot().revision;
        let revision = settings::read_revision(&self.shared.pool).await?;
        if revision <= known.get() {
            return Ok(());
        }
        // A change of this process is put in force by whoever made it, who is about to.
        let turn = tokio::time::timeout(OWN_CHANGE, self.shared.writers.acquire()).await;
        if self.snapshot().revision.get() >= revision {
            return Ok(());
        }
        drop(turn);
        let secret_key = self.secret_key();
        let rows = settings::read_all(&self.shared.pool, secret_key.id()).await?;
        let Loaded { snapshot, committed_at } = load::loaded(rows, secret_key)?;
        let snapshot = Arc::new(snapshot);
        if self.publish(&snapshot, committed_at) {
            let revision = snapshot.revision.get();
            tracing::info!(
                event = "config.applied",
                revision,
                "settings that another writer has changed are in force"
            );
        }
        Ok(())
    }
}
