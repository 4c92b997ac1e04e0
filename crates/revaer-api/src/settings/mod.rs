//! Settings over HTTP: the snapshot as everyone with a key sees it, and changes of it.

pub(crate) mod context;
pub(crate) mod error;
pub(crate) mod history;
pub(crate) mod setup;

use axum::{
    Extension, Json,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Uri, header},
    response::{IntoResponse as _, Response},
};
use revaer_config::{ConfigSnapshot, Fault};
use serde_json::{Value, json};

use crate::{
    http::{body, detached, identity::Identity, key::Caller, problem::Reject, query::Query, sole},
    ports::App,
};

/// The settings in force. The header `etag` names their revision.
#[utoipa::path(
    get, path = "/v1/config", tag = "settings", operation_id = "read_settings",
    security(("api_key" = []), ("bearer" = [])),
    responses(
        (status = 200, description = "The settings snapshot; nothing in it is secret", body = Object),
        (status = "default", description = "Not done", body = revaer_api_models::Problem,
         content_type = "application/problem+json"),
    )
)]
pub(crate) async fn read(State(app): State<App>, request: Request) -> Result<Response, Reject> {
    Query::new(request.uri(), &[])?.finish()?;
    Ok(shown(&app.config.snapshot()))
}

/// The settings in force, for whoever looks this instance up.
#[utoipa::path(
    get, path = "/.well-known/revaer.json", tag = "settings", operation_id = "well_known",
    responses(
        (status = 200, description = "The settings snapshot; nothing in it is secret", body = Object),
        (status = "default", description = "Not done", body = revaer_api_models::Problem,
         content_type = "application/problem+json"),
    )
)]
pub(crate) async fn well_known(State(app): State<App>, uri: Uri) -> Result<Response, Reject> {
    Query::new(&uri, &[])?.finish()?;
    Ok(shown(&app.config.snapshot()))
}

/// Changes settings: all of the changeset as one revision, or none of it.
#[utoipa::path(
    patch, path = "/v1/config", tag = "settings", operation_id = "change_settings",
    security(("api_key" = []), ("bearer" = [])),
    params(
        ("if-match" = Option<String>, Header, description = "The revision that the change was made against"),
        ("x-revaer-reason" = Option<String>, Header, description = "Why, for the history"),
    ),
    request_body(content = Object, description = "Any subset of the settings, keys and secrets"),
    responses(
        (status = 200, description = "The settings in force now; `notices` names what is stored and overridden by a flag", body = Object),
        (status = "default", description = "Not done", body = revaer_api_models::Problem,
         content_type = "application/problem+json"),
    )
)]
pub(crate) async fn change(
    State(app): State<App>,
    Extension(identity): Extension<Identity>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Reject> {
    Query::new(request.uri(), &[])?.finish()?;
    let context = context::of(&caller, &identity, request.headers())?;
    let changeset: Value = body::json(request, body::JSON_LIMIT).await?;
    let config = app.config.clone();
    let work = async move { config.apply(changeset, context).await };
    let applied = detached::run(&app.tasks, "apply settings", work).await?;
    let applied = applied.map_err(|error| error::reject(&error))?;
    let mut answer = applied.snapshot.to_wire();
    if let (Value::Object(members), false) = (&mut answer, applied.notices.is_empty()) {
        members.insert("notices".to_owned(), notices(&applied.notices));
    }
    Ok(shown_with(answer, &applied.snapshot))
}

/// Settings that were stored and are not in force.
fn notices(notices: &[Fault]) -> Value {
    let notice = |one: &Fault| json!({"pointer": one.pointer, "message": one.message});
    notices.iter().map(notice).collect()
}

/// The snapshot as an answer.
fn shown(snapshot: &ConfigSnapshot) -> Response {
    shown_with(snapshot.to_wire(), snapshot)
}

fn shown_with(answer: Value, snapshot: &ConfigSnapshot) -> Response {
    let mut response = Json(answer).into_response();
    revision_headers(response.headers_mut(), snapshot);
    response
}

fn revision_headers(headers: &mut HeaderMap, snapshot: &ConfigSnapshot) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{}\"", snapshot.revision)) {
        headers.insert(header::ETAG, tag);
    }
}

/// The revision of `If-Match: "<revision>"`; `*` and an absent header ask for nothing.
fn if_match(headers: &HeaderMap) -> Result<Option<i64>, Reject> {
    let Some(value) = sole::header(headers, "if-match")? else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let quoted = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let revision = quoted.and_then(|digits| digits.parse().ok());
    let message = "must be a revision in quotes, as the header etag of GET /admin/settings gives it";
    revision
        .map(Some)
        .ok_or_else(|| Reject::bad_request("correct the header if-match").param("/header/if-match", message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn if_match_names_one_revision() {
        let check = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_MATCH, text.parse().unwrap());
            if_match(&headers).map_err(|reject| reject.problem().status)
        };
        assert_eq!(if_match(&HeaderMap::new()), Ok(None));
        assert_eq!(check("\"12\""), Ok(Some(12)));
        assert_eq!(check("*"), Ok(None));
        for bad in ["12", "\"x\"", "\"\"", "\"1\", \"2\""] {
            assert_eq!(check(bad), Err(400), "{bad}");
        }
    }
}
