//! Small tasks that carry what one part says to another: health and settings to the ledger, figures to the gauges,
//! old events out of the log.

use std::{convert::Infallible, sync::Arc, time::Duration};

use revaer_catalog::Catalog;
use revaer_config::{ConfigService, ConfigSnapshot, Revision, RevisionChange, Subscriber};
use revaer_telemetry::{
    Health, Metrics, TorrentCounts,
    logging::{LogFormat, Logger, LoggingError},
};
use revaer_torrent_core::{StateKind, engine::TorrentEngine};
use sqlx::PgPool;
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    ledger::{Fact, Facts},
    orchestrator::Settings,
    settings,
};

/// How long a feeder waits before it tells again what could not be stored.
const AGAIN: Duration = Duration::from_secs(1);
/// Retention is looked at this often.
const PRUNE_EVERY: Duration = Duration::from_mins(10);

/// Tells the ledger every change of the set of degraded components.
pub(crate) async fn health(health: Health, facts: Facts, stop: CancellationToken) -> Result<(), Infallible> {
    let mut changes = health.subscribe();
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            changed = changes.changed() => if changed.is_err() { return Ok(()) },
        }
        // Told until it is stored; a newer set that has come meanwhile is told instead.
        loop {
            let degraded = changes.borrow_and_update().clone();
            if facts.tell(Fact::HealthChanged { degraded }).await.is_ok() {
                break;
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(AGAIN) => {}
            }
        }
    }
}

/// What of the settings the logger follows; the rest was said on the command line or in the environment.
#[derive(Debug, Clone)]
pub struct Logging {
    /// The logger.
    pub logger: Logger,
    /// `telemetry.log_level` is in force.
    pub follows_level: bool,
    /// `telemetry.log_format` is in force.
    pub follows_format: bool,
}

/// Logs and exports traces as the settings say, and otherwise as soon as they say otherwise. What has been traced is
/// delivered at the end.
pub(crate) async fn logging(
    config: ConfigService,
    logging: Logging,
    stop: CancellationToken,
) -> Result<(), LoggingError> {
    let mut settings = config.subscribe("telemetry");
    let (mut shown, mut endpoint) = (None, None);
    while let Some(snapshot) = next(&mut settings, &stop).await {
        let telemetry = &snapshot.app.telemetry;
        if logging.follows_format {
            logging.logger.set_format(match telemetry.log_format {
                revaer_config::LogFormat::Json => LogFormat::Json,
                revaer_config::LogFormat::Pretty => LogFormat::Pretty,
            });
        }
        if logging.follows_level && shown != Some(telemetry.log_level) {
            let level = telemetry.log_level.name();
            // The database driver says every statement at debug: whoever wants that asks by RUST_LOG.
            logging.logger.set_filter(&format!("{level},sqlx=warn"))?;
            tracing::info!(level, "messages of this level are logged");
            shown = Some(telemetry.log_level);
        }
        if endpoint != telemetry.otlp_endpoint {
            endpoint.clone_from(&telemetry.otlp_endpoint);
            if let Err(error) = logging.logger.export_traces(endpoint.as_deref()).await {
                let reason = format!("{:#}", anyhow::Error::from(error));
                tracing::warn!(reason, "traces are not exported");
            }
        }
        settings.applied(snapshot.revision);
    }
    if let Err(error) = logging.logger.export_traces(None).await {
        tracing::debug!(%error, "the last traces are dropped");
    }
    Ok(())
}

async fn next(settings: &mut Subscriber, stop: &CancellationToken) -> Option<Arc<ConfigSnapshot>> {
    stop.run_until_cancelled(settings.changed()).await.flatten()
}

/// Hands each snapshot to the orchestrator.
pub(crate) async fn settings(
    config: ConfigService,
    published: watch::Sender<Settings>,
    stop: CancellationToken,
) -> Result<(), Infallible> {
    let mut snapshots = config.watch();
    snapshots.mark_changed();
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            changed = snapshots.changed() => if changed.is_err() { return Ok(()) },
        }
        publish(&published, &snapshots.borrow_and_update().clone());
    }
}

/// Tells the ledger every revision after `logged`, and every changeset that changed nothing.
pub(crate) async fn revisions(
    config: ConfigService,
    mut logged: i64,
    facts: Facts,
    stop: CancellationToken,
) -> Result<(), Infallible> {
    let mut unchanged = config.unchanged();
    let mut snapshots = config.watch();
    snapshots.mark_changed();
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            changed = snapshots.changed() => if changed.is_err() { return Ok(()) },
            told = unchanged.recv() => {
                // Missed ones are gone: nothing has changed by them.
                if let Ok(told) = told
                    && let Err(error) = facts.tell(changed_fact(told)).await
                {
                    tracing::warn!(%error, "a changeset that changed nothing is not told");
                }
                continue;
            }
        }
        let snapshot = snapshots.borrow_and_update().clone();
        if snapshot.revision.get() > logged {
            let read = |after| {
                let config = config.clone();
                async move { config.changes_since(Revision(after)).await.map_err(|error| error.to_string()) }
            };
            let tell = |change| {
                let facts = facts.clone();
                async move { facts.tell(changed_fact(change)).await.map(drop).map_err(|error| error.to_string()) }
            };
            let telling = log_revisions(&mut logged, snapshot.revision.get(), read, tell);
            match stop.run_until_cancelled(telling).await {
                None => return Ok(()),
                Some(Ok(())) => {}
                Some(Err(reason)) => {
                    tracing::warn!(reason, "settings_changed is told again later");
                    snapshots.mark_changed();
                    tokio::select! {
                        () = stop.cancelled() => return Ok(()),
                        () = tokio::time::sleep(AGAIN) => {}
                    }
                }
            }
        }
    }
}

fn changed_fact(change: RevisionChange) -> Fact {
    Fact::SettingsChanged {
        revision: change.revision.get(),
        sections: change.sections,
        request_id: change.request_id,
    }
}

fn publish(published: &watch::Sender<Settings>, snapshot: &ConfigSnapshot) {
    let settings = settings::for_orchestrator(snapshot);
    published.send_if_modified(|current| {
        let changed = *current != settings;
        *current = settings;
        changed
    });
}

/// Tells what `read` answers of the revisions after `logged`, a bounded piece at a time, until `newest` has been told.
async fn log_revisions<R, T>(
    logged: &mut i64,
    newest: i64,
    read: impl Fn(i64) -> R,
    tell: impl Fn(RevisionChange) -> T,
) -> Result<(), String>
where
    R: Future<Output = Result<Vec<RevisionChange>, String>>,
    T: Future<Output = Result<(), String>>,
{
    while *logged < newest {
        let changes = read(*logged).await?;
        if changes.is_empty() {
            break;
        }
        for change in changes {
            let revision = change.revision.get();
            tell(change).await?;
            *logged = revision;
        }
    }
    Ok(())
}

/// Keeps the gauges at what is true.
pub(crate) async fn gauges(
    catalog: Catalog,
    engine: Arc<dyn TorrentEngine>,
    metrics: Metrics,
    stop: CancellationToken,
) -> Result<(), Infallible> {
    let (mut received, mut sent) = (0, 0);
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            _ = tick.tick() => {}
        }
        let counts = catalog.counts();
        let queued = counts.by_state.iter().find(|(kind, _)| *kind == StateKind::Queued);
        metrics.torrents(&TorrentCounts {
            queued: queued.map_or(0, |(_, count)| *count),
            active: counts.loaded,
            by_state: counts.by_state.iter().map(|(kind, count)| (kind.name(), *count)).collect(),
        });
        let status = engine.status();
        let (now_received, now_sent) = (status.payload_received.0, status.payload_sent.0);
        // A session that was started anew counts from zero.
        metrics.engine_bytes(
            now_received.checked_sub(received).unwrap_or(now_received),
            now_sent.checked_sub(sent).unwrap_or(now_sent),
        );
        (received, sent) = (now_received, now_sent);
    }
}

/// Drops events beyond the configured age and number, a bounded piece at a time.
pub(crate) async fn retention(
    pool: PgPool,
    config: ConfigService,
    stop: CancellationToken,
) -> Result<(), sqlx::Error> {
    let mut tick = tokio::time::interval(PRUNE_EVERY);
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            _ = tick.tick() => {}
        }
        let telemetry = config.snapshot().app.telemetry.clone();
        let before = OffsetDateTime::now_utc() - time::Duration::days(telemetry.event_retention_days.into());
        loop {
            let mut connection = pool.acquire().await?;
            let dropped =
                revaer_events::sql::events_prune(&mut connection, before, telemetry.event_retention_rows)
                    .await?;
            if dropped == 0 || stop.is_cancelled() {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    fn change(revision: i64) -> RevisionChange {
        RevisionChange {
            revision: Revision(revision),
            sections: Vec::new(),
            actor: String::new(),
            request_id: None,
        }
    }

    #[tokio::test]
    async fn every_revision_is_told_once_however_many_there_are() {
        let (told, away) = (RefCell::new(Vec::new()), Cell::new(true));
        let read = async |after: i64| Ok((after + 1..=25).take(10).map(change).collect());
        let tell = async |change: RevisionChange| {
            if change.revision.get() == 15 && away.replace(false) {
                return Err("the database is away".to_owned());
            }
            told.borrow_mut().push(change.revision.get());
            Ok(())
        };
        let mut logged = 2;
        assert!(log_revisions(&mut logged, 25, &read, &tell).await.is_err());
        assert_eq!(logged, 14, "what was told is not told again");
        log_revisions(&mut logged, 25, &read, &tell).await.unwrap();
        assert_eq!(logged, 25);
        assert_eq!(*told.borrow(), (3..=25).collect::<Vec<_>>());
        log_revisions(&mut logged, 30, &read, &tell).await.unwrap();
        assert_eq!(logged, 25, "what the history does not have is not waited for");
    }
}
