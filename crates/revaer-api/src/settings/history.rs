//! `/admin/settings/history`: who changed what, when and why; and the settings as they were.

use axum::{
    Json,
    extract::{Path, State},
    http::Uri,
};
use revaer_api_models::{ProblemKind, SettingsHistory, SettingsHistoryChange, SettingsHistoryEntry};
use revaer_config::{HistoryPage, HistoryQuery};
use serde_json::Value;

use crate::{
    http::{problem::Reject, query::Query},
    ports::App,
    settings::error,
};

const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 200;

/// Shows the history of the settings: what changed, old and new, secrets masked.
#[utoipa::path(
    get, path = "/admin/settings/history", tag = "settings", operation_id = "settings_history",
    security(("api_key" = []), ("bearer" = [])),
    params(
        ("after" = Option<u64>, Query, description = "Revisions above this one, oldest first; else 0"),
        ("before" = Option<u64>, Query, description = "Revisions below this one, newest first, instead of `after`"),
        ("limit" = Option<u32>, Query, description = "Revisions of a page, 1 to 200; else 50"),
    ),
    responses(
        (status = 200, description = "A part of the history", body = SettingsHistory),
        (status = "default", description = "Not done", body = revaer_api_models::Problem,
         content_type = "application/problem+json"),
    )
)]
pub(crate) async fn page(State(app): State<App>, uri: Uri) -> Result<Json<SettingsHistory>, Reject> {
    let asked = read(&uri)?;
    let page = app.config.history(asked).await.map_err(|refused| error::reject(&refused))?;
    Ok(Json(shown(page)))
}

/// Shows the settings as of a revision, as a changeset that brings them back.
#[utoipa::path(
    get, path = "/admin/settings/history/{revision}", tag = "settings", operation_id = "settings_at",
    security(("api_key" = []), ("bearer" = [])),
    params(("revision" = u64, Path, description = "Which revision")),
    responses(
        (status = 200, description = "`revision`, and the sections `app_profile`, `engine_profile` and `fs_policy` as of it", body = Object),
        (status = "default", description = "Not done", body = revaer_api_models::Problem,
         content_type = "application/problem+json"),
    )
)]
pub(crate) async fn documents(
    State(app): State<App>,
    Path(revision): Path<String>,
    uri: Uri,
) -> Result<Json<Value>, Reject> {
    Query::new(&uri, &[])?.finish()?;
    let revision: i64 = revision.parse().map_err(|_| {
        Reject::bad_request("correct the revision in the path").param("/path/revision", "must be a number")
    })?;
    let documents = app.config.documents_at(revision).await.map_err(|refused| error::reject(&refused))?;
    documents.map(Json).ok_or_else(|| {
        Reject::new(
            ProblemKind::NotFound,
            format!("there is no revision {revision}; GET /admin/settings/history lists those there are"),
        )
        .param("/path/revision", "the history knows no such revision")
    })
}

fn read(uri: &Uri) -> Result<HistoryQuery, Reject> {
    let mut query = Query::new(uri, &["after", "before", "limit"])?;
    let after = query.parsed("after", "must be a revision, 0 or above", 0..=i64::MAX);
    let before = query.parsed("before", "must be a revision, 0 or above", 0..=i64::MAX);
    let limit = query.parsed("limit", "must be a number from 1 to 200", 1..=MAX_LIMIT);
    if after.is_some() && before.is_some() {
        query.fault("after", "cannot be given together with before");
    }
    query.finish()?;
    Ok(HistoryQuery { after: after.unwrap_or(0), before, limit: limit.unwrap_or(DEFAULT_LIMIT) })
}

fn shown(page: HistoryPage) -> SettingsHistory {
    let entries = page.history.into_iter().map(|entry| {
        let changes = entry.changes.into_iter().map(|change| SettingsHistoryChange {
            section: change.section,
            op: change.op,
            key: change.key,
            old: change.old,
            new: change.new,
        });
        SettingsHistoryEntry {
            revision: entry.revision,
            at: entry.at,
            actor: entry.actor,
            request_id: entry.request_id,
            reason: entry.reason,
            changes: changes.collect(),
        }
    });
    SettingsHistory { history: entries.collect(), next: page.next }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(query: &str) -> Result<HistoryQuery, u16> {
        read(&format!("/admin/settings/history{query}").parse().unwrap())
            .map_err(|refused| refused.problem().status)
    }

    #[test]
    fn a_page_begins_above_or_below_a_revision() {
        let above = |after, limit| Ok(HistoryQuery { after, before: None, limit });
        assert_eq!(ask(""), above(0, 50));
        assert_eq!(ask("?after=7&limit=200"), above(7, 200));
        let below = HistoryQuery { after: 0, before: Some(i64::MAX), limit: 50 };
        assert_eq!(ask("?before=9223372036854775807"), Ok(below));
        for bad in ["?after=-1", "?after=x", "?limit=0", "?limit=201", "?after=1&before=2", "?since=1"] {
            assert_eq!(ask(bad), Err(400), "{bad}");
        }
    }
}
