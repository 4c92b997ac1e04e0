//! The route table. Who may call a path is decided in `http::access`, by the same paths.

use axum::{
    Router, middleware,
    routing::{delete, get, post},
};

use crate::{
    events, health, http, keys, openapi,
    ports::{Ports, Shared},
    presets, settings, torrents,
};

/// The whole surface over `ports`.
pub fn router(ports: Ports) -> Router {
    let app = Shared::new(ports);
    let collection = get(torrents::list::list).post(torrents::create::create);
    let one = get(torrents::detail::detail).delete(torrents::remove::remove);
    let action = post(torrents::action::action);
    let configuration = get(settings::read).patch(settings::change);
    let preset = get(presets::one).put(presets::put).delete(presets::delete);
    Router::new()
        .route("/health", get(health::brief::brief))
        .route("/health/full", get(health::full::full))
        .route("/metrics", get(health::metrics::metrics))
        .route("/.well-known/revaer.json", get(settings::well_known))
        .route("/docs/openapi.json", get(openapi::document))
        .route("/admin/setup/start", post(settings::setup::start))
        .route("/admin/setup/complete", post(settings::setup::complete))
        .route("/admin/settings", configuration.clone())
        .route("/v1/config", configuration)
        .route("/admin/settings/history", get(settings::history::page))
        .route("/admin/settings/history/{revision}", get(settings::history::documents))
        .route("/v1/auth/keys", get(keys::list).post(keys::issue))
        .route("/v1/auth/keys/{key_id}", delete(keys::revoke))
        .route("/v1/auth/keys/{key_id}/rotate", post(keys::rotate))
        .route("/v1/query-presets", get(presets::list))
        .route("/v1/query-presets/{name}", preset)
        .route("/v1/torrents", collection.clone())
        .route("/admin/torrents", collection)
        .route("/v1/torrents/{id}", one.clone())
        .route("/admin/torrents/{id}", one)
        .route("/v1/torrents/{id}/action", action.clone())
        .route("/admin/torrents/{id}/action", action)
        .route("/v1/events", get(events::stream::stream))
        .route("/v1/torrents/events", get(events::stream::stream))
        .layer(middleware::from_fn_with_state(app.clone(), http::edge::edge))
        .with_state(app)
}
