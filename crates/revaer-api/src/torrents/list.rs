//! `GET /v1/torrents`: newest first, page by page, by filter.

use axum::{Json, extract::State, http::Uri};
use revaer_api_models::{StateKind, TorrentList};
use revaer_catalog::{Cursor, Filter};

use crate::{
    http::{problem::Reject, query::Query},
    ports::App,
    torrents::{cursor, wire},
};

const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 200;

#[derive(Debug)]
struct Asked {
    filter: Filter,
    after: Option<Cursor>,
    limit: usize,
}

/// Lists torrents, newest first. No row is repeated or missed while torrents change.
#[utoipa::path(
    get, path = "/v1/torrents", tag = "torrents", operation_id = "list_torrents",
    security(("api_key" = []), ("bearer" = [])),
    params(
        ("limit" = Option<u32>, Query, description = "Rows of a page, 1 to 200; else 50"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before, under the same filters"),
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
    let asked = read(&uri)?;
    let page = app.catalog.page(&asked.filter, asked.after, asked.limit);
    Ok(Json(TorrentList {
        torrents: page.torrents.iter().map(wire::summary).collect(),
        next: page.next.map(|next| cursor::encode(&next, &asked.filter)),
    }))
}

fn read(uri: &Uri) -> Result<Asked, Reject> {
    let known = ["limit", "cursor", "state", "tracker", "extension", "tags", "name"];
    let mut query = Query::new(uri, &known)?;
    let limit = query.number("limit", 1, MAX_LIMIT, DEFAULT_LIMIT);
    let mut states: Vec<_> =
        query.words::<StateKind>("state").into_iter().map(wire::core_state_kind).collect();
    // One fixed order, so that a cursor does not depend on how the filter was written.
    states.sort();
    let mut extensions = query.fragments("extension");
    for extension in &mut extensions {
        *extension = extension.trim_start_matches('.').to_owned();
    }
    let filter = Filter {
        states,
        trackers: query.fragments("tracker"),
        extensions,
        tags: query.fragments("tags"),
        names: query.fragments("name"),
    };
    let mut after = None;
    if let Some(text) = query.text("cursor") {
        match cursor::decode(&text, &filter) {
            Ok(cursor) => after = Some(cursor),
            Err(message) => query.fault("cursor", message),
        }
    }
    query.finish()?;
    Ok(Asked { filter, after, limit })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_read_in_any_case_and_order() {
        let one =
            read(&"/v1/torrents?state=seeding,stopped&extension=.MKV&tags=B,a".parse().unwrap()).unwrap();
        let other =
            read(&"/v1/torrents?tags=A,b&extension=mkv&state=STOPPED,Seeding".parse().unwrap()).unwrap();
        assert_eq!(one.filter, other.filter);
        assert_eq!(one.limit, DEFAULT_LIMIT);
    }

    #[test]
    fn nothing_unknown_is_ignored() {
        for bad in
            ["limit=0", "limit=201", "limit=x", "state=asleep", "cursor=x", "order=name", "name=a&name=b"]
        {
            let refused = read(&format!("/v1/torrents?{bad}").parse().unwrap()).unwrap_err();
            assert_eq!(refused.problem().status, 400, "{bad}");
        }
    }
}
