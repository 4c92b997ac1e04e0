//! `/health/full`: everything the server knows of its own health.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use axum::{Json, extract::State, http::Uri};
use revaer_api_models::{
    BuildInfo, ComponentHealth, Dependencies, EngineHealth, FsopsHealth, Guardrail, HealthFull,
    HealthMetrics, HealthStatus, Override, Tool, TorrentHealth, Version,
};
use revaer_catalog::FsopsStatus;
use revaer_config::Fault;
use revaer_telemetry::{Component, GuardEntry};
use revaer_torrent_core::{StateKind, engine::EngineStatus};
use time::OffsetDateTime;

use crate::{
    health::{database, mode},
    http::{problem::Reject, query::Query},
    ports::{App, ServerFacts},
    torrents::wire,
};

/// Everything the server knows of its own health. Always 200 while it serves.
#[utoipa::path(
    get, path = "/health/full", tag = "health", operation_id = "health_full",
    responses(
        (status = 200, description = "Every component, dependency and figure", body = HealthFull),
        (status = "default", description = "Not done", body = revaer_api_models::Problem,
         content_type = "application/problem+json"),
    )
)]
pub(crate) async fn full(State(app): State<App>, uri: Uri) -> Result<Json<HealthFull>, Reject> {
    Query::new(&uri, &[])?.finish()?;
    let latency = database::latency(&app.pool).await;
    let components = components(&app, latency);
    let degraded: Vec<String> = Component::ALL
        .into_iter()
        .map(|one| one.name().to_owned())
        .filter(|name| components.get(name).is_some_and(|one| one.status == HealthStatus::Degraded))
        .collect();
    let snapshot = app.config.snapshot();
    let engine = app.engine.status();
    Ok(Json(HealthFull {
        status: if degraded.is_empty() { HealthStatus::Ok } else { HealthStatus::Degraded },
        mode: mode(snapshot.app.mode),
        revision: snapshot.revision.get(),
        build: BuildInfo {
            version: app.facts.version.clone(),
            sha: app.facts.sha.clone(),
            target: app.facts.target.clone(),
        },
        uptime_seconds: app.facts.started_at.elapsed().as_secs(),
        degraded,
        components,
        guardrails: guardrails(&app),
        overrides: overrides(&app),
        dependencies: dependencies(&app.facts, engine.library_version.clone()),
        engine: shown(&engine),
        metrics: figures(&app),
        torrent: torrents(&app),
        fsops: fsops(&app),
    }))
}

/// What is being leaned on.
fn guardrails(app: &App) -> Vec<Guardrail> {
    let shown = |entry: GuardEntry| Guardrail {
        guard: entry.guard.name().to_owned(),
        reason: entry.reason,
        since: entry.since.into(),
    };
    app.guardrails.entries().into_iter().map(shown).collect()
}

/// What is stored and not in force.
fn overrides(app: &App) -> Vec<Override> {
    let shown = |one: &Fault| Override { pointer: one.pointer.clone(), message: one.message.clone() };
    app.config.overrides().iter().map(shown).collect()
}

fn figures(app: &App) -> HealthMetrics {
    let config = app.metrics.config_figures();
    HealthMetrics {
        config_watch_latency_ms: config.watch_latency_ms,
        config_apply_latency_ms: config.apply_latency_ms,
        config_update_failures_total: config.update_failures,
        config_watch_slow_total: config.slow,
        guardrail_violations_total: app.metrics.guardrail_violations(),
        rate_limit_throttled_total: app.metrics.rate_limit_throttled_total(),
    }
}

/// What the session has in force, as it says itself.
fn shown(engine: &EngineStatus) -> EngineHealth {
    let caps = engine.caps();
    EngineHealth {
        listen_port: engine.listen_port,
        download_cap_bps: caps.download.map(|cap| cap.0),
        upload_cap_bps: caps.upload.map(|cap| cap.0),
    }
}

/// The registry's word, and for the database what was seen just now.
fn components(app: &App, latency: Option<Duration>) -> BTreeMap<String, ComponentHealth> {
    let mut components = BTreeMap::new();
    for (component, status) in app.health.snapshot() {
        let is_database = component == Component::Database;
        let mut reason = status.reason;
        if is_database && latency.is_none() && reason.is_none() {
            reason = Some("it does not answer within 2 s; see whether PostgreSQL runs".to_owned());
        }
        let health = ComponentHealth {
            status: if reason.is_some() { HealthStatus::Degraded } else { HealthStatus::Ok },
            reason,
            since: Some(status.since.into()),
            latency_ms: latency.filter(|_| is_database).map(|latency| latency.as_secs_f64() * 1000.0),
        };
        components.insert(component.name().to_owned(), health);
    }
    components
}

fn dependencies(facts: &ServerFacts, libtorrent: String) -> Dependencies {
    let tool = |path: &Option<PathBuf>| Tool {
        path: path.as_ref().map(|path| path.to_string_lossy().into_owned()),
        version: None,
        found: path.is_some(),
    };
    Dependencies {
        sevenzip: tool(&facts.sevenzip),
        par2: tool(&facts.par2),
        libtorrent: Version { version: libtorrent },
        postgresql: Version { version: facts.postgresql_version.clone() },
    }
}

fn fsops(app: &App) -> FsopsHealth {
    let jobs = app.catalog.jobs();
    let count = |status| jobs.by_status.get(&status).copied().unwrap_or_default();
    let age = jobs.oldest_open.map(|made_at| OffsetDateTime::now_utc() - made_at);
    FsopsHealth {
        queued: count(FsopsStatus::Queued),
        running: count(FsopsStatus::Running),
        waiting: count(FsopsStatus::Waiting),
        failed_total: count(FsopsStatus::Failed),
        oldest_job_seconds: age.map_or(0, |age| u64::try_from(age.whole_seconds()).unwrap_or(0)),
    }
}

fn torrents(app: &App) -> TorrentHealth {
    let counts = app.catalog.counts();
    let queued = counts.by_state.iter().find(|(kind, _)| *kind == StateKind::Queued);
    TorrentHealth {
        active: counts.loaded,
        queue_depth: queued.map_or(0, |(_, count)| *count),
        by_state: counts.by_state.iter().map(|(kind, count)| (wire::state_kind(*kind), *count)).collect(),
    }
}
