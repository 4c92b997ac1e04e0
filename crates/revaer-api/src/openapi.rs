//! The `OpenAPI` document, made from the handlers and the wire types. `docs/api/openapi.json` is a copy of it.

use std::sync::LazyLock;

use axum::{
    http::{HeaderValue, Uri, header},
    response::{IntoResponse as _, Response},
};
use revaer_api_models as models;
use utoipa::{
    Modify, OpenApi,
    openapi::{
        OpenApi as Document,
        security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme},
    },
};

use crate::{
    events, health,
    http::{problem::Reject, query::Query},
    keys, presets, settings, torrents,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Revaer",
        description = "Takes a magnet link or a .torrent to a correct entry in a library. Sizes are bytes, rates are bytes per second, times are RFC 3339 in UTC. Every 4xx and 5xx is a problem document."
    ),
    servers((url = "/")),
    paths(
        health::brief::brief,
        health::full::full,
        health::metrics::metrics,
        settings::well_known,
        settings::setup::start,
        settings::setup::complete,
        settings::read,
        settings::change,
        settings::history::page,
        settings::history::documents,
        keys::list,
        keys::issue,
        keys::rotate,
        keys::revoke,
        presets::list,
        presets::one,
        presets::put,
        presets::delete,
        torrents::list::list,
        torrents::create::create,
        torrents::detail::detail,
        torrents::remove::remove,
        torrents::action::action,
        events::stream::stream,
        document,
    ),
    components(schemas(models::EventEnvelope, models::Gap, models::Problem)),
    modifiers(&Security, &Aliases)
)]
struct Surface;

struct Security;

impl Modify for Security {
    fn modify(&self, document: &mut Document) {
        let components = document.components.get_or_insert_default();
        let header =
            ApiKey::Header(ApiKeyValue::with_description(models::API_KEY_HEADER, "`<key_id>:<secret>`"));
        components.add_security_scheme("api_key", SecurityScheme::ApiKey(header));
        components.add_security_scheme("bearer", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    }
}

/// Second paths to the same handlers.
const ALIASES: [(&str, &str); 5] = [
    ("/v1/config", "/admin/settings"),
    ("/v1/torrents", "/admin/torrents"),
    ("/v1/torrents/{id}", "/admin/torrents/{id}"),
    ("/v1/torrents/{id}/action", "/admin/torrents/{id}/action"),
    ("/v1/events", "/v1/torrents/events"),
];

struct Aliases;

impl Modify for Aliases {
    fn modify(&self, document: &mut Document) {
        for (path, alias) in ALIASES {
            let Some(mut item) = document.paths.paths.get(path).cloned() else { continue };
            let operations =
                [&mut item.get, &mut item.post, &mut item.patch, &mut item.delete].into_iter().flatten();
            for operation in operations {
                if let Some(id) = &mut operation.operation_id {
                    id.push_str("_alias");
                }
            }
            document.paths.paths.insert(alias.to_owned(), item);
        }
    }
}

/// This document.
#[utoipa::path(
    get, path = "/docs/openapi.json", tag = "health", operation_id = "openapi",
    responses(
        (status = 200, description = "The OpenAPI document", body = Object),
        (status = "default", description = "Not done", body = models::Problem,
         content_type = "application/problem+json"),
    )
)]
pub(crate) async fn document(uri: Uri) -> Result<Response, Reject> {
    static DOCUMENT: LazyLock<String> = LazyLock::new(openapi_json);
    Query::new(&uri, &[])?.finish()?;
    let json = HeaderValue::from_static("application/json");
    Ok(([(header::CONTENT_TYPE, json)], DOCUMENT.as_str()).into_response())
}

/// The `OpenAPI` document, as `docs/api/openapi.json` holds it.
pub fn openapi_json() -> String {
    // It is made of strings and numbers: there is nothing in it that JSON cannot hold.
    let mut text = Surface::openapi().to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}
