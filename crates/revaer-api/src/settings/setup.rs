//! Setup: a token for whoever is on this host, then the first settings and the first key.

use std::time::Duration;

use axum::{
    Extension, Json,
    extract::{Request, State},
    http::{HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use revaer_api_models::{SETUP_TOKEN_HEADER, SetupStarted};
use revaer_config::{ChangeContext, ConfigError, ConfigService, TokenFault};
use serde_json::Value;

use crate::{
    http::{
        body, detached, faults::Faults, identity::Identity, members::Members, problem::Reject, query::Query,
        sole,
    },
    ports::App,
    server::Peer,
    settings::{context, error},
};

const ISSUED_BY: &str = "api";
const LIFETIME_SECONDS: u64 = 900;

/// Issues a setup token; one that lives already is superseded.
#[utoipa::path(
    post, path = "/admin/setup/start", tag = "setup", operation_id = "start_setup",
    request_body = revaer_api_models::SetupStartRequest,
    responses(
        (status = 200, description = "The token, shown once", body = SetupStarted),
        (status = "default", description = "Not done", body = revaer_api_models::Problem,
         content_type = "application/problem+json"),
    )
)]
pub(crate) async fn start(
    State(app): State<App>,
    Extension(identity): Extension<Identity>,
    request: Request,
) -> Result<Response, Reject> {
    Query::new(request.uri(), &[])?.finish()?;
    let headers = request.headers().clone();
    let document = body::json_object_or_nothing(request, body::JSON_LIMIT).await?;
    let (issued_by, ttl) = read_start(&document)?;
    let context = context::by(&issued_by, &identity, &headers)?;
    let config = app.config.clone();
    let work = async move { config.setup_start(&issued_by, ttl, context).await };
    let issued = detached::run(&app.tasks, "issue setup token", work).await?;
    let issued = issued.map_err(|error| error::reject(&error))?;
    Ok(secret(Json(SetupStarted { token: issued.token, expires_at: issued.expires_at }).into_response()))
}

/// Completes setup: uses the token up, applies the changeset, issues the first key and makes the server active,
/// all of it or nothing.
#[utoipa::path(
    post, path = "/admin/setup/complete", tag = "setup", operation_id = "complete_setup",
    params(
        ("x-revaer-setup-token" = String, Header, description = "The token of /admin/setup/start"),
        ("x-revaer-reason" = Option<String>, Header, description = "Why, for the history"),
    ),
    request_body(content = Object, description = "Any subset of the settings, the first key, and a passphrase"),
    responses(
        (status = 200, description = "The settings and the first key, shown once", body = revaer_api_models::SetupCompleted),
        (status = "default", description = "Not done", body = revaer_api_models::Problem,
         content_type = "application/problem+json"),
    )
)]
pub(crate) async fn complete(
    State(app): State<App>,
    Extension(identity): Extension<Identity>,
    request: Request,
) -> Result<Response, Reject> {
    Query::new(request.uri(), &[])?.finish()?;
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0.to_string());
    let context = ChangeContext { peer, ..context::by("setup", &identity, request.headers())? };
    let token = match token(sole::header(request.headers(), SETUP_TOKEN_HEADER)?) {
        Ok(token) => token,
        Err(fault) => {
            app.config.setup_refused(fault, &context).await;
            return Err(error::reject(&ConfigError::Token(fault)));
        }
    };
    let document = body::json(request, body::JSON_LIMIT).await?;
    let config = app.config.clone();
    let work = async move { config.setup_complete(&token, document, context).await };
    let completed = detached::run(&app.tasks, "complete setup", work).await?;
    let completed = completed.map_err(|error| error::reject(&error))?;
    let mut answer = completed.snapshot.to_wire();
    if let Value::Object(members) = &mut answer {
        members.insert("api_key".to_owned(), Value::String(completed.api_key));
    }
    Ok(secret(Json(answer).into_response()))
}

/// What the answer shows is shown once: no cache may keep it.
pub(crate) fn secret(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn token(given: Option<&HeaderValue>) -> Result<String, TokenFault> {
    let value = given.ok_or(TokenFault::Missing)?;
    value.to_str().map(ToOwned::to_owned).map_err(|_| TokenFault::Unknown)
}

fn read_start(document: &Value) -> Result<(String, Duration), Reject> {
    let mut faults = Faults::default();
    let mut read = (None, None);
    match document {
        Value::Object(object) => {
            let mut members = Members::new(object, &["issued_by", "ttl_seconds"], &mut faults);
            read = (members.text("issued_by"), members.number("ttl_seconds"));
        }
        _ => faults.add("", "must be an object"),
    }
    let issued_by = read.0.unwrap_or(ISSUED_BY).to_owned();
    let ttl = Duration::from_secs(read.1.unwrap_or(LIFETIME_SECONDS));
    for fault in ConfigService::setup_start_faults(&issued_by, ttl) {
        faults.add(fault.pointer, fault.message);
    }
    faults.into_result()?;
    Ok((issued_by, ttl))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn everything_about_a_token_is_optional() {
        let defaults = (ISSUED_BY.to_owned(), Duration::from_mins(15));
        assert_eq!(read_start(&json!({})).unwrap(), defaults);
        let given = read_start(&json!({"issued_by": "me", "ttl_seconds": 5})).unwrap();
        assert_eq!(given, ("me".to_owned(), Duration::from_secs(5)));
    }

    #[test]
    fn every_fault_is_named() {
        for body in [
            json!({"issued_by": 1, "ttl_seconds": "x", "more": true}),
            json!({"issued_by": "", "ttl_seconds": 0, "more": true}),
        ] {
            let refused = read_start(&body).unwrap_err();
            let pointers: Vec<_> =
                refused.problem().invalid_params.iter().map(|one| one.pointer.as_str()).collect();
            assert_eq!(pointers, ["/more", "/issued_by", "/ttl_seconds"]);
        }
        assert_eq!(read_start(&json!([])).unwrap_err().problem().status, 422);
    }
}
