//! `GET /v1/torrents`: page by page, by the filter and the order of the query, or of a preset that it names.

use axum::{Json, extract::State, http::Uri};
use revaer_api_models::{ListSort, StateKind, TorrentList};
use revaer_catalog::{Cursor, Filter, Order};
use revaer_config::{ConfigSnapshot, QueryPreset};

use crate::{
    http::{
        problem::Reject,
        query::{Query, fragments},
    },
    ports::App,
    presets,
    torrents::{cursor, wire},
};

const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 200;
const KNOWN: [&str; 9] =
    ["limit", "cursor", "preset", "sort", "state", "tracker", "extension", "tags", "name"];

#[derive(Debug)]
struct Asked {
    filter: Filter,
    order: Order,
    after: Option<Cursor>,
    limit: usize,
}

/// Lists torrents, newest first unless `sort` says otherwise. No row is repeated or missed while torrents change.
#[utoipa::path(
    get, path = "/v1/torrents", tag = "torrents", operation_id = "list_torrents",
    security(("api_key" = []), ("bearer" = [])),
    params(
        ("limit" = Option<u32>, Query, description = "Rows of a page, 1 to 200; else 50"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before, under the same filters and order"),
        ("preset" = Option<String>, Query, description = "A query preset: its filter and order, where the query has none of its own"),
        ("sort" = Option<ListSort>, Query, description = "The order; else newest first"),
        ("state" = Option<String>, Query, description = "Comma list: one of these states"),
        ("tracker" = Option<String>, Query, description = "Comma list: a host or fragment of an announce URL"),
        ("extension" = Option<String>, Query, description = "Comma list: a file has one of these extensions"),
        ("tags" = Option<String>, Query, description = "Comma list: all of these tags"),
        ("name" = Option<String>, Query, description = "Comma list: a fragment of the name"),
    ),
    responses(
        (status = 200, description = "One page", body = TorrentList),
        (status = "default", description = "Not done", body = revaer_api_models::Problem,
         content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list(State(app): State<App>, uri: Uri) -> Result<Json<TorrentList>, Reject> {
    let asked = read(&uri, &app.config.snapshot())?;
    let page = app.catalog.page(&asked.filter, asked.order, asked.after, asked.limit);
    Ok(Json(TorrentList {
        torrents: page.torrents.iter().map(wire::summary).collect(),
        next: page.next.map(|next| cursor::encode(&next, &asked.filter, asked.order)),
    }))
}

fn read(uri: &Uri, settings: &ConfigSnapshot) -> Result<Asked, Reject> {
    let mut query = Query::new(uri, &KNOWN)?;
    let preset = preset(&mut query, settings);
    let sort = match (query.text("sort"), preset) {
        (Some(text), _) => text.parse().unwrap_or_else(|error: revaer_api_models::UnknownListSort| {
            query.fault("sort", error.to_string());
            ListSort::default()
        }),
        (None, Some(preset)) => preset.sort.map(presets::sort).unwrap_or_default(),
        (None, None) => ListSort::default(),
    };
    let order = match sort {
        ListSort::Newest => Order::Newest,
        ListSort::Oldest => Order::Oldest,
    };
    let limit = query.number("limit", 1, MAX_LIMIT, DEFAULT_LIMIT);
    let filter = filter(&mut query, preset);
    let mut after = None;
    if let Some(text) = query.text("cursor") {
        match cursor::decode(&text, &filter, order) {
            Ok(cursor) => after = Some(cursor),
            Err(message) => query.fault("cursor", message),
        }
    }
    query.finish()?;
    Ok(Asked { filter, order, after, limit })
}

fn preset<'s>(query: &mut Query, settings: &'s ConfigSnapshot) -> Option<&'s QueryPreset> {
    let name = query.text("preset")?;
    let preset = settings.preset(&name);
    if preset.is_none() {
        query.fault("preset", "there is no query preset of this name; GET /v1/query-presets lists them");
    }
    preset
}

/// Each condition of the query, or else of the preset, in one fixed form: a cursor does not depend on how the filter
/// was written.
fn filter(query: &mut Query, preset: Option<&QueryPreset>) -> Filter {
    let stored = preset.map(|preset| &preset.filter);
    let mut either = |name: &str, stored: Option<&Vec<String>>| match stored {
        Some(words) if !query.has(name) => fragments(words.iter().map(String::as_str)),
        _ => query.fragments(name),
    };
    let trackers = either("tracker", stored.map(|filter| &filter.tracker));
    let extensions = either("extension", stored.map(|filter| &filter.extension));
    let tags = either("tags", stored.map(|filter| &filter.tags));
    let names = either("name", stored.map(|filter| &filter.name));
    let mut states: Vec<_> = match stored {
        Some(filter) if !query.has("state") => presets::states(&filter.state),
        _ => query.words::<StateKind>("state"),
    }
    .into_iter()
    .map(wire::core_state_kind)
    .collect();
    states.sort();
    states.dedup();
    let bare = extensions.iter().map(|extension| extension.trim_start_matches('.'));
    Filter { states, trackers, extensions: fragments(bare), tags, names }
}
