//! `DELETE /v1/torrents/{id}`: the same as the action `remove`.

use axum::{
    Extension,
    extract::{Path, State},
    http::{StatusCode, Uri},
};
use revaer_catalog::Intent;

use crate::{
    http::{identity::Identity, problem::Reject, query::Query},
    ports::App,
    torrents::{error, path_id},
};

/// Removes a torrent; with `delete_data=true` also what it downloaded, never a library entry.
#[utoipa::path(
    delete, path = "/v1/torrents/{id}", tag = "torrents", operation_id = "remove_torrent",
    security(("api_key" = []), ("bearer" = [])),
    params(
        ("id" = uuid::Uuid, Path, description = "Which torrent"),
        ("delete_data" = Option<bool>, Query, description = "Delete what it downloaded too"),
        ("delete_library" = Option<bool>, Query, description = "Also where the content is the library entry itself"),
    ),
    responses(
        (status = 204, description = "It is gone, and stays gone"),
        (status = "default", description = "Not done", body = revaer_api_models::Problem,
         content_type = "application/problem+json"),
    )
)]
pub(crate) async fn remove(
    State(app): State<App>,
    Extension(identity): Extension<Identity>,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<StatusCode, Reject> {
    let id = path_id(&id)?;
    let mut query = Query::new(&uri, &["delete_data", "delete_library"])?;
    let intent = Intent::Remove {
        id,
        delete_data: query.flag("delete_data"),
        delete_library: query.flag("delete_library"),
    };
    query.finish()?;
    app.intents.submit(intent, Some(identity.text())).await.map_err(|refused| error::reject(&refused))?;
    Ok(StatusCode::NO_CONTENT)
}
