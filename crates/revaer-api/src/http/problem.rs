//! The one place that turns an error into a problem document.
//!
//! A handler answers with a [`Reject`]; the edge renders it, with the path that it happened to. What axum answers
//! on its own (no such path, wrong method) is rendered there too, so that no bare 4xx or 5xx leaves the server.

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use revaer_api_models::{PROBLEM_CONTENT_TYPE, Problem, ProblemKind};

/// Until the next try where nobody knows better: a database that restarts is back by then.
const RETRY_SECONDS: u64 = 5;

/// Why a request is not done.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reject(Box<Problem>);

impl Reject {
    pub(crate) fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self(Box::new(Problem::new(kind).with_detail(detail)))
    }

    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(ProblemKind::BadRequest, detail)
    }

    /// A fault of the server: the cause goes to the log, where the request id finds it.
    pub(crate) fn internal(what: &str, cause: &dyn std::error::Error) -> Self {
        tracing::error!(error = %chain(cause), "{what}");
        Self::new(
            ProblemKind::Internal,
            "the server failed to answer; the log has the reason under this request's x-request-id",
        )
    }

    /// The database is away.
    pub(crate) fn unavailable(what: &str, cause: &dyn std::error::Error) -> Self {
        tracing::warn!(error = %chain(cause), "{what}");
        Self::new(
            ProblemKind::ServiceUnavailable,
            "the database does not answer; try again when /health says ok",
        )
    }

    #[must_use]
    pub(crate) fn param(mut self, pointer: impl Into<String>, message: impl Into<String>) -> Self {
        *self.0 = self.0.with_param(pointer, message);
        self
    }

    /// Changes what only some problems have.
    #[must_use]
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Problem)) -> Self {
        change(&mut self.0);
        self
    }

    #[cfg(test)]
    pub(crate) fn problem(&self) -> &Problem {
        &self.0
    }
}

impl IntoResponse for Reject {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Renders an answer that is an error; others pass unchanged.
pub(crate) fn finish(mut response: Response, path: &str) -> Response {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let problem = match response.extensions_mut().remove::<Reject>() {
        Some(Reject(problem)) => *problem,
        None => of_status(status),
    };
    let mut problem = problem.with_instance(path);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        // What is away for now is worth another try, whoever says so.
        problem.retry_after_seconds.get_or_insert(RETRY_SECONDS);
    }
    let mut rendered = render(&problem);
    copy(response.headers(), rendered.headers_mut(), header::ALLOW);
    rendered
}

/// The document with its headers.
pub(crate) fn render(problem: &Problem) -> Response {
    // Strings, numbers and lists of them: there is nothing in it that JSON cannot hold.
    let body = serde_json::to_vec(problem).unwrap_or_default();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() =
        StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_CONTENT_TYPE));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(seconds) = problem.retry_after_seconds {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if problem.status == 401 {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"revaer\""));
    }
    response
}

/// The problem of a status that nobody has said more about.
pub(crate) fn of_status(status: StatusCode) -> Problem {
    let (kind, detail) = match status.as_u16() {
        400 => (ProblemKind::BadRequest, "the request cannot be parsed"),
        401 => (ProblemKind::Unauthorized, "send a key in the header x-revaer-api-key"),
        403 => (ProblemKind::Forbidden, "this is not allowed from here"),
        404 => (ProblemKind::NotFound, "there is nothing at this path; /docs/openapi.json lists the paths"),
        405 => (ProblemKind::MethodNotAllowed, "this path takes the methods named in the header allow"),
        408 => (ProblemKind::RequestTimeout, "the request took too long; send it again"),
        409 => (ProblemKind::Conflict, "the request contradicts what is"),
        413 => (ProblemKind::PayloadTooLarge, "the body is larger than this path takes"),
        414 => (ProblemKind::UriTooLong, "the URI is longer than 8 KiB; shorten the query"),
        415 => (ProblemKind::UnsupportedMediaType, "the body is of a type that this path does not take"),
        422 => (ProblemKind::ValidationFailed, "the request is not valid"),
        429 => (ProblemKind::RateLimited, "too many requests; wait before the next one"),
        431 => (ProblemKind::HeadersTooLarge, "the header block is larger than 16 KiB; shorten it"),
        503 => (ProblemKind::ServiceUnavailable, "this cannot be done for now; try again"),
        507 => (ProblemKind::InsufficientStorage, "there is not enough space"),
        other if (400..500).contains(&other) => (ProblemKind::BadRequest, "the request was not understood"),
        _ => (
            ProblemKind::Internal,
            "the server failed to answer; the log has the reason under this request's x-request-id",
        ),
    };
    Problem::new(kind).with_detail(detail)
}

fn copy(from: &HeaderMap, to: &mut HeaderMap, name: header::HeaderName) {
    if let Some(value) = from.get(&name) {
        to.insert(name, value.clone());
    }
}

/// An error with all its sources, for the log.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_that_axum_or_hyper_makes_has_a_problem_of_the_same_status() {
        for kind in ProblemKind::ALL {
            let status = StatusCode::from_u16(kind.status()).unwrap();
            assert_eq!(of_status(status).status, kind.status(), "{kind:?}");
        }
    }

    #[test]
    fn an_answer_that_is_no_error_passes_unchanged() {
        let response = finish(StatusCode::ACCEPTED.into_response(), "/x");
        assert_eq!(response.status(), 202);
        assert!(response.headers().is_empty());
    }

    #[test]
    fn the_allow_header_of_a_wrong_method_stays() {
        let answer = (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET,HEAD")]).into_response();
        let response = finish(answer, "/health");
        assert_eq!(response.headers()[header::ALLOW], "GET,HEAD");
        assert_eq!(response.headers()[header::CONTENT_TYPE], PROBLEM_CONTENT_TYPE);
    }
}
