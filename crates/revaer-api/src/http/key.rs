//! The API key of a request: found in its headers, judged by the settings snapshot in memory.

use axum::http::{HeaderMap, header};
use revaer_api_models::{API_KEY_HEADER, ApiKeyToken, ProblemKind};
use revaer_config::{ApiKeyInfo, AuthError, ConfigSnapshot};

use crate::{
    http::{detached, problem::Reject, sole},
    ports::App,
};

/// Who a request comes from. An extension of every request that needed a key.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// The key without its secret.
    pub(crate) info: ApiKeyInfo,
    /// The key as it was sent: a stream judges it again whenever the settings change.
    pub(crate) token: ApiKeyToken,
}

pub(crate) async fn identify(
    app: &App,
    snapshot: &ConfigSnapshot,
    headers: &HeaderMap,
) -> Result<Caller, Reject> {
    let token = find(headers)?;
    let judged = match snapshot.authenticate(token.key_id(), token.secret()) {
        // The row was written by SQL, or the key file is new: its slow hash decides, once.
        Err(AuthError::Unverified) => verify(app, &token).await?,
        judged => judged,
    };
    match judged {
        Ok(info) => Ok(Caller { info, token }),
        Err(AuthError::Busy) => Err(Reject::new(
            ProblemKind::ServiceUnavailable,
            "too many keys are being verified for the first time; try again in a second",
        )
        .with(|problem| problem.retry_after_seconds = Some(1))),
        Err(refused) => Err(unauthorized(
            &refused.to_string(),
            "use another key, or have one made by POST /v1/auth/keys with a key that works",
        )),
    }
}

/// Decides by the slow hash. It runs to its end though the client goes: what is counted as running is running.
pub(crate) async fn verify(app: &App, token: &ApiKeyToken) -> Result<Result<ApiKeyInfo, AuthError>, Reject> {
    let (config, token) = (app.config.clone(), token.clone());
    let work = async move { config.authenticate(token.key_id(), token.secret()).await };
    detached::run(&app.tasks, "verify key", work).await
}

/// The key that the headers carry.
fn find(headers: &HeaderMap) -> Result<ApiKeyToken, Reject> {
    let own = sole::header(headers, API_KEY_HEADER)?;
    let given = match (own, sole::header(headers, header::AUTHORIZATION.as_str())?) {
        (Some(value), _) => value.to_str().ok(),
        (None, Some(value)) => value.to_str().ok().and_then(bearer),
        (None, None) => {
            return Err(unauthorized(
                "no API key was given",
                "send `x-revaer-api-key: <key_id>:<secret>` or `Authorization: Bearer <key_id>:<secret>`",
            ));
        }
    };
    let what_to_do = "send it as <key_id>:<secret>";
    let given =
        given.ok_or_else(|| unauthorized("the API key is not in a form that is taken", what_to_do))?;
    given.parse().map_err(|error| unauthorized(&format!("{error}"), what_to_do))
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn unauthorized(what: &str, next: &str) -> Reject {
    Reject::new(ProblemKind::Unauthorized, format!("{what}; {next}"))
        .param(format!("/header/{API_KEY_HEADER}"), what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(headers: &[(&'static str, &str)], key_id: Option<&str>) {
        let map: HeaderMap =
            headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        assert_eq!(find(&map).ok().as_ref().map(ApiKeyToken::key_id), key_id, "{headers:?}");
    }

    #[test]
    fn two_keys_are_refused_whichever_comes_first() {
        for name in ["x-revaer-api-key", "authorization"] {
            let mut headers = HeaderMap::new();
            headers.append(name, "Bearer a:s".parse().unwrap());
            headers.append(name, "Bearer b:s".parse().unwrap());
            let refused = find(&headers).unwrap_err();
            assert_eq!(refused.problem().status, 400);
            assert_eq!(refused.problem().invalid_params[0].pointer, format!("/header/{name}"));
        }
    }

    #[test]
    fn a_key_is_taken_from_either_header_and_its_own_wins() {
        check(&[("x-revaer-api-key", "a:s")], Some("a"));
        check(&[("authorization", "Bearer b:s")], Some("b"));
        check(&[("authorization", "bearer b:s")], Some("b"));
        check(&[("x-revaer-api-key", "a:s"), ("authorization", "Bearer b:s")], Some("a"));
        check(&[("authorization", "Basic YTpi")], None);
        check(&[("x-revaer-api-key", "nocolon")], None);
        check(&[], None);
    }
}
