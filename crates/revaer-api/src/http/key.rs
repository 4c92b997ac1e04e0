//! The API key of a request: found in its headers, judged by the settings snapshot in memory.

use axum::http::{HeaderMap, header};
use revaer_api_models::{API_KEY_HEADER, ApiKeyToken, ProblemKind};
use revaer_config::{ApiKeyInfo, AuthError, ConfigSnapshot};

use crate::{
    http::{detached, problem::Reject, refused_keys::Cause, sole},
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

/// Why nobody is identified.
#[derive(Debug)]
pub(crate) struct Unidentified {
    /// What the caller did; `None` where the server failed.
    pub(crate) cause: Option<Cause>,
    /// The key that it named, where there is such a one.
    pub(crate) key_id: Option<String>,
    /// The answer.
    pub(crate) reject: Reject,
}

impl Unidentified {
    const fn by(cause: Cause, reject: Reject) -> Self {
        Self { cause: Some(cause), key_id: None, reject }
    }
}

pub(crate) async fn identify(
    app: &App,
    snapshot: &ConfigSnapshot,
    headers: &HeaderMap,
) -> Result<Caller, Unidentified> {
    let token = find(headers)?;
    let judged = match snapshot.authenticate(token.key_id(), token.secret()) {
        // The row was written by SQL, or the key file is new: its slow hash decides, once.
        Err(AuthError::Unverified) => {
            let failed = |reject| Unidentified { cause: None, key_id: None, reject };
            verify(app, &token).await.map_err(failed)?
        }
        judged => judged,
    };
    match judged {
        Ok(info) => Ok(Caller { info, token }),
        Err(refused) => {
            let (cause, reject) = refusal(refused);
            let key_id = snapshot.key(token.key_id()).map(|key| key.key_id.to_string());
            Err(Unidentified { key_id, ..Unidentified::by(cause, reject) })
        }
    }
}

/// Whether a request names a key at all.
pub(crate) fn is_given(headers: &HeaderMap) -> bool {
    headers.contains_key(API_KEY_HEADER) || headers.contains_key(header::AUTHORIZATION)
}

fn refusal(refused: AuthError) -> (Cause, Reject) {
    let cause = match refused {
        AuthError::Rejected | AuthError::Unverified => Cause::Rejected,
        AuthError::Disabled => Cause::Disabled,
        AuthError::Expired => Cause::Expired,
        AuthError::Busy => Cause::Busy,
    };
    let reject = if cause == Cause::Busy {
        Reject::new(
            ProblemKind::ServiceUnavailable,
            "too many keys are being verified for the first time; try again in a second",
        )
        .with(|problem| problem.retry_after_seconds = Some(1))
    } else {
        unauthorized(
            &refused.to_string(),
            "use another key, or have one made by POST /v1/auth/keys with a key that works",
        )
    };
    (cause, reject)
}

/// Decides by the slow hash. It runs to its end though the client goes: what is counted as running is running.
pub(crate) async fn verify(app: &App, token: &ApiKeyToken) -> Result<Result<ApiKeyInfo, AuthError>, Reject> {
    let (config, token) = (app.config.clone(), token.clone());
    let work = async move { config.authenticate(token.key_id(), token.secret()).await };
    detached::run(&app.tasks, "verify key", work).await
}

/// The key that the headers carry.
fn find(headers: &HeaderMap) -> Result<ApiKeyToken, Unidentified> {
    let malformed = |reject| Unidentified::by(Cause::Malformed, reject);
    let own = sole::header(headers, API_KEY_HEADER).map_err(malformed)?;
    let bearers = sole::header(headers, header::AUTHORIZATION.as_str()).map_err(malformed)?;
    let given = match (own, bearers) {
        (Some(value), _) => value.to_str().ok(),
        (None, Some(value)) => value.to_str().ok().and_then(bearer),
        (None, None) => {
            let reject = unauthorized(
                "no API key was given",
                "send `x-revaer-api-key: <key_id>:<secret>` or `Authorization: Bearer <key_id>:<secret>`",
            );
            return Err(Unidentified::by(Cause::Missing, reject));
        }
    };
    let refused = |what: &str| malformed(unauthorized(what, "send it as <key_id>:<secret>"));
    let given = given.ok_or_else(|| refused("the API key is not in a form that is taken"))?;
    given.parse().map_err(|error| refused(&format!("{error}")))
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
            let refused = find(&headers).unwrap_err().reject;
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
