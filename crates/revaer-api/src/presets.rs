//! `/v1/query-presets`: filters of the list of torrents under a name.

use axum::{
    Extension, Json,
    extract::{Path, Request, State},
    http::{StatusCode, Uri},
};
use revaer_api_models::{ListSort, PresetFilter, PutPreset, QueryPreset, QueryPresetList, StateKind};
use revaer_config::{ConfigError, PresetSort, QueryPreset as Stored};

use crate::{
    http::{body, detached, identity::Identity, key::Caller, problem::Reject, query::Query},
    ports::App,
    settings::{context, error},
};

/// Lists the presets, by name.
#[utoipa::path(
    get, path = "/v1/query-presets", tag = "presets", operation_id = "list_presets",
    security(("api_key" = []), ("bearer" = [])),
    responses(
        (status = 200, description = "All presets", body = QueryPresetList),
        (status = "default", description = "Not done", body = revaer_api_models::Problem,
         content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list(State(app): State<App>, uri: Uri) -> Result<Json<QueryPresetList>, Reject> {
    Query::new(&uri, &[])?.finish()?;
    let presets = app.config.snapshot().presets.iter().map(shown).collect();
    Ok(Json(QueryPresetList { presets }))
}

/// Shows a preset.
#[utoipa::path(
    get, path = "/v1/query-presets/{name}", tag = "presets", operation_id = "show_preset",
    security(("api_key" = []), ("bearer" = [])),
    params(("name" = String, Path, description = "Which preset")),
    responses(
        (status = 200, description = "The preset", body = QueryPreset),
        (status = "default", description = "Not done", body = revaer_api_models::Problem,
         content_type = "application/problem+json"),
    )
)]
pub(crate) async fn one(
    State(app): State<App>,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<Json<QueryPreset>, Reject> {
    Query::new(&uri, &[])?.finish()?;
    match app.config.snapshot().preset(&name) {
        Some(preset) => Ok(Json(shown(preset))),
        None => Err(error::reject(&ConfigError::NotFound { what: "query preset", name })),
    }
}

/// Stores a preset, in place of one of that name.
#[utoipa::path(
    put, path = "/v1/query-presets/{name}", tag = "presets", operation_id = "put_preset",
    security(("api_key" = []), ("bearer" = [])),
    params(
        ("name" = String, Path, description = "Its name, 1 to 64 of `A-Z a-z 0-9 . _ -`"),
        ("x-revaer-reason" = Option<String>, Header, description = "Why, for the history"),
    ),
    request_body = PutPreset,
    responses(
        (status = 200, description = "The preset as it is stored", body = QueryPreset),
        (status = "default", description = "Not done", body = revaer_api_models::Problem,
         content_type = "application/problem+json"),
    )
)]
pub(crate) async fn put(
    State(app): State<App>,
    Extension(identity): Extension<Identity>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Json<QueryPreset>, Reject> {
    Query::new(request.uri(), &[])?.finish()?;
    let context = context::of(&caller, &identity, request.headers())?;
    let wanted = body::json(request, body::JSON_LIMIT).await?;
    let config = app.config.clone();
    let work = async move { config.preset_put(&name, wanted, context).await };
    let stored = detached::run(&app.tasks, "store preset", work).await?;
    stored.map(|preset| Json(shown(&preset))).map_err(|refused| error::reject(&refused))
}

/// Deletes a preset.
#[utoipa::path(
    delete, path = "/v1/query-presets/{name}", tag = "presets", operation_id = "delete_preset",
    security(("api_key" = []), ("bearer" = [])),
    params(
        ("name" = String, Path, description = "Which preset"),
        ("x-revaer-reason" = Option<String>, Header, description = "Why, for the history"),
    ),
    responses(
        (status = 204, description = "It is gone"),
        (status = "default", description = "Not done", body = revaer_api_models::Problem,
         content_type = "application/problem+json"),
    )
)]
pub(crate) async fn delete(
    State(app): State<App>,
    Extension(identity): Extension<Identity>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    request: Request,
) -> Result<StatusCode, Reject> {
    Query::new(request.uri(), &[])?.finish()?;
    let context = context::of(&caller, &identity, request.headers())?;
    let config = app.config.clone();
    let work = async move { config.preset_delete(&name, context).await };
    let deleted = detached::run(&app.tasks, "delete preset", work).await?;
    deleted.map_err(|refused| error::reject(&refused))?;
    Ok(StatusCode::NO_CONTENT)
}

fn shown(preset: &Stored) -> QueryPreset {
    let filter = &preset.filter;
    QueryPreset {
        name: preset.name.clone(),
        filter: PresetFilter {
            state: states(&filter.state),
            tracker: filter.tracker.clone(),
            extension: filter.extension.clone(),
            tags: filter.tags.clone(),
            name: filter.name.clone(),
        },
        sort: preset.sort.map(sort),
        updated_at: preset.updated_at,
    }
}

/// States as they are stored: each was judged, by the settings service or by the database.
pub(crate) fn states(stored: &[String]) -> Vec<StateKind> {
    stored.iter().filter_map(|state| state.parse().ok()).collect()
}

/// An order as the list takes it.
pub(crate) const fn sort(sort: PresetSort) -> ListSort {
    match sort {
        PresetSort::Newest => ListSort::Newest,
        PresetSort::Oldest => ListSort::Oldest,
    }
}
