//! `/v1/auth/keys`: API keys listed, issued, given another secret, revoked. Secrets are shown once, to whoever asked.

use axum::{
    Extension, Json,
    extract::{Path, Request, State},
    http::{StatusCode, Uri},
    response::{IntoResponse as _, Response},
};
use revaer_api_models::{ApiKey, ApiKeyList, ApiKeyToken, IssueKey, IssuedKey, KeyRateLimit, RotateKey};
use revaer_config::{ApiKeyInfo, RateLimit};

use crate::{
    http::{body, detached, identity::Identity, key::Caller, problem::Reject, query::Query},
    ports::App,
    settings::{context, error, setup::secret},
};

/// Lists the keys, by name, without their secrets.
#[utoipa::path(
    get, path = "/v1/auth/keys", tag = "keys", operation_id = "list_keys",
    security(("api_key" = []), ("bearer" = [])),
    responses(
        (status = 200, description = "All keys", body = ApiKeyList),
        (status = "default", description = "Not done", body = revaer_api_models::Problem,
         content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list(State(app): State<App>, uri: Uri) -> Result<Json<ApiKeyList>, Reject> {
    Query::new(&uri, &[])?.finish()?;
    let keys = app.config.snapshot().api_keys.iter().map(listed).collect();
    Ok(Json(ApiKeyList { keys }))
}

/// Issues a key. The answer is the only one that shows its secret.
#[utoipa::path(
    post, path = "/v1/auth/keys", tag = "keys", operation_id = "issue_key",
    security(("api_key" = []), ("bearer" = [])),
    params(("x-revaer-reason" = Option<String>, Header, description = "Why, for the history")),
    request_body = IssueKey,
    responses(
        (status = 201, description = "The key with its secret, shown once", body = IssuedKey),
        (status = "default", description = "Not done", body = revaer_api_models::Problem,
         content_type = "application/problem+json"),
    )
)]
pub(crate) async fn issue(
    State(app): State<App>,
    Extension(identity): Extension<Identity>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Reject> {
    Query::new(request.uri(), &[])?.finish()?;
    let context = context::of(&caller, &identity, request.headers())?;
    let wanted = body::json(request, body::JSON_LIMIT).await?;
    let config = app.config.clone();
    let work = async move { config.issue_key(wanted, context).await };
    let issued = detached::run(&app.tasks, "issue key", work).await?;
    let issued = shown(issued.map_err(|refused| error::reject(&refused))?)?;
    Ok(secret((StatusCode::CREATED, Json(issued)).into_response()))
}

/// Gives a key another secret; the old one is taken a while longer. With a secret brought along the call can be
/// repeated.
#[utoipa::path(
    post, path = "/v1/auth/keys/{key_id}/rotate", tag = "keys", operation_id = "rotate_key",
    security(("api_key" = []), ("bearer" = [])),
    params(
        ("key_id" = String, Path, description = "Which key"),
        ("x-revaer-reason" = Option<String>, Header, description = "Why, for the history"),
    ),
    request_body = RotateKey,
    responses(
        (status = 200, description = "The key with its new secret, shown once", body = IssuedKey),
        (status = "default", description = "Not done", body = revaer_api_models::Problem,
         content_type = "application/problem+json"),
    )
)]
pub(crate) async fn rotate(
    State(app): State<App>,
    Extension(identity): Extension<Identity>,
    Extension(caller): Extension<Caller>,
    Path(key_id): Path<String>,
    request: Request,
) -> Result<Response, Reject> {
    Query::new(request.uri(), &[])?.finish()?;
    let context = context::of(&caller, &identity, request.headers())?;
    let wanted = body::json_object_or_nothing(request, body::JSON_LIMIT).await?;
    let config = app.config.clone();
    let work = async move { config.rotate_key(&key_id, wanted, context).await };
    let rotated = detached::run(&app.tasks, "rotate key", work).await?;
    let rotated = shown(rotated.map_err(|refused| error::reject(&refused))?)?;
    Ok(secret(Json(rotated).into_response()))
}

/// Revokes a key: the next request with it is refused. The last one that opens the door stays.
#[utoipa::path(
    delete, path = "/v1/auth/keys/{key_id}", tag = "keys", operation_id = "revoke_key",
    security(("api_key" = []), ("bearer" = [])),
    params(
        ("key_id" = String, Path, description = "Which key"),
        ("x-revaer-reason" = Option<String>, Header, description = "Why, for the history"),
    ),
    responses(
        (status = 204, description = "It is not taken any more"),
        (status = "default", description = "Not done", body = revaer_api_models::Problem,
         content_type = "application/problem+json"),
    )
)]
pub(crate) async fn revoke(
    State(app): State<App>,
    Extension(identity): Extension<Identity>,
    Extension(caller): Extension<Caller>,
    Path(key_id): Path<String>,
    request: Request,
) -> Result<StatusCode, Reject> {
    Query::new(request.uri(), &[])?.finish()?;
    let context = context::of(&caller, &identity, request.headers())?;
    let config = app.config.clone();
    let work = async move { config.revoke_key(&key_id, context).await };
    let revoked = detached::run(&app.tasks, "revoke key", work).await?;
    revoked.map_err(|refused| error::reject(&refused))?;
    Ok(StatusCode::NO_CONTENT)
}

fn listed(key: &ApiKeyInfo) -> ApiKey {
    ApiKey {
        key_id: key.key_id.to_string(),
        label: key.label.clone(),
        enabled: key.enabled,
        rate_limit: key.rate_limit.map(rate_limit),
        created_at: key.created_at,
        expires_at: key.expires_at,
    }
}

fn shown(issued: revaer_config::IssuedKey) -> Result<IssuedKey, Reject> {
    let key = listed(&issued.info);
    let api_key = ApiKeyToken::new(key.key_id.as_str(), issued.secret)
        .map_err(|error| Reject::internal("an issued key is not in the form of keys", &error))?;
    Ok(IssuedKey {
        key_id: key.key_id,
        api_key,
        label: key.label,
        rate_limit: key.rate_limit,
        expires_at: key.expires_at,
        created_at: key.created_at,
        grace_until: issued.grace_until,
    })
}

const fn rate_limit(limit: RateLimit) -> KeyRateLimit {
    KeyRateLimit { burst: limit.burst, per_seconds: limit.per_seconds }
}
