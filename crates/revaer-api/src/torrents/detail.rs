//! `GET /v1/torrents/{id}`: everything about one torrent.

use axum::{
    Json,
    extract::{Path, State},
    http::Uri,
};
use revaer_api_models::TorrentDetail;

use crate::{
    http::{problem::Reject, query::Query},
    ports::App,
    torrents::{error, files, path_id, wire},
};

/// Shows everything about one torrent.
#[utoipa::path(
    get, path = "/v1/torrents/{id}", tag = "torrents", operation_id = "show_torrent",
    security(("api_key" = []), ("bearer" = [])),
    params(("id" = uuid::Uuid, Path, description = "Which torrent")),
    responses(
        (status = 200, description = "The torrent", body = TorrentDetail),
        (status = "default", description = "Not done", body = revaer_api_models::Problem,
         content_type = "application/problem+json"),
    )
)]
pub(crate) async fn detail(
    State(app): State<App>,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Json<TorrentDetail>, Reject> {
    let id = path_id(&id)?;
    Query::new(&uri, &[])?.finish()?;
    let view = app.catalog.get(id).ok_or_else(|| error::not_found(id))?;
    let files = files::of(&app, &view).await?;
    let summary = wire::summary(&view);
    let library_path = summary.library_path.clone();
    Ok(Json(TorrentDetail {
        summary,
        files,
        selection: wire::selection(&view.record.wish.selection),
        fsops: view.record.fsops.as_ref().map(|job| wire::fsops(job, library_path)),
    }))
}
