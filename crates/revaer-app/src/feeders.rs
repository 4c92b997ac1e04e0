//! Small tasks that carry what one part says to another: health and settings to the ledger, figures to the gauges,
//! old events out of the log.

use std::{convert::Infallible, time::Duration};

use revaer_catalog::Catalog;
use revaer_config::{ConfigError, ConfigService, ConfigSnapshot, Revision};
use revaer_telemetry::{
    Health, Metrics, TorrentCounts,
    logging::{Logger, LoggingError},
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

/// Logs by the level of the settings, and by another one as soon as that changes.
pub(crate) async fn log_level(
    config: ConfigService,
    logger: Logger,
    stop: CancellationToken,
) -> Result<(), LoggingError> {
    let mut snapshots = config.watch();
    snapshots.mark_changed();
    let mut shown = None;
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            changed = snapshots.changed() => if changed.is_err() { return Ok(()) },
        }
        let level = snapshots.borrow_and_update().app.telemetry.log_level;
        if shown != Some(level) {
            // The database driver says every statement at debug: whoever wants that asks by RUST_LOG.
            logger.set_filter(&format!("{},sqlx=warn", level.name()))?;
            tracing::info!(level = level.name(), "messages of this level are logged");
            shown = Some(level);
        }
    }
}

/// Tells the ledger every revision after `logged`, and hands each snapshot to the orchestrator.
pub(crate) async fn revisions(
    config: ConfigService,
    mut logged: i64,
    published: watch::Sender<Settings>,
    facts: Facts,
    stop: CancellationToken,
) -> Result<(), Infallible> {
    let mut snapshots = config.watch();
    snapshots.mark_changed();
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            changed = snapshots.changed() => if changed.is_err() { return Ok(()) },
        }
        let snapshot = snapshots.borrow_and_update().clone();
        publish(&published, &snapshot);
        if snapshot.revision.get() > logged {
            match log_revisions(&config, logged, &snapshot, &facts).await {
                Ok(through) => logged = through,
                Err(reason) => {
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

fn publish(published: &watch::Sender<Settings>, snapshot: &ConfigSnapshot) {
    let settings = settings::for_orchestrator(snapshot);
    published.send_if_modified(|current| {
        let changed = *current != settings;
        *current = settings;
        changed
    });
}

async fn log_revisions(
    config: &ConfigService,
    logged: i64,
    snapshot: &ConfigSnapshot,
    facts: &Facts,
) -> Result<i64, String> {
    let changes =
        config.changes_since(Revision(logged)).await.map_err(|error: ConfigError| error.to_string())?;
    let mut through = logged;
    for change in changes {
        let revision = change.revision.get();
        if revision > through {
            let fact =
                Fact::SettingsChanged { revision, sections: change.sections, request_id: change.request_id };
            facts.tell(fact).await.map_err(|error| error.to_string())?;
            through = revision;
        }
    }
    Ok(through.max(snapshot.revision.get()))
}

/// Keeps the gauges at what is true.
pub(crate) async fn gauges(
    catalog: Catalog,
    engine: std::sync::Arc<dyn TorrentEngine>,
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
