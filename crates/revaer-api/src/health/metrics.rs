//! `/metrics`: the Prometheus text format.

use axum::{
    extract::State,
    http::{HeaderValue, Uri, header},
    response::{IntoResponse as _, Response},
};
use revaer_api_models::ProblemKind;
use revaer_telemetry::TorrentCounts;
use revaer_torrent_core::StateKind;

use crate::{
    http::{problem::Reject, query::Query},
    ports::App,
};

const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Figures for Prometheus.
#[utoipa::path(
    get, path = "/metrics", tag = "health", operation_id = "metrics",
    responses(
        (status = 200, description = "The Prometheus text format", body = String, content_type = "text/plain"),
        (status = "default", description = "Not done", body = revaer_api_models::Problem,
         content_type = "application/problem+json"),
    )
)]
pub(crate) async fn metrics(State(app): State<App>, uri: Uri) -> Result<Response, Reject> {
    Query::new(&uri, &[])?.finish()?;
    if !app.config.snapshot().app.telemetry.prometheus {
        let detail = "metrics are switched off; set app_profile.telemetry.prometheus to serve them";
        return Err(Reject::new(ProblemKind::NotFound, detail));
    }
    let counts = app.catalog.counts();
    let queued = counts.by_state.iter().find(|(kind, _)| *kind == StateKind::Queued);
    app.metrics.torrents(&TorrentCounts {
        by_state: counts.by_state.iter().map(|(kind, count)| (kind.name(), *count)).collect(),
        active: counts.loaded,
        queued: queued.map_or(0, |(_, count)| *count),
    });
    let mut response = app.metrics.render(&app.health).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(TEXT_FORMAT));
    Ok(response)
}
