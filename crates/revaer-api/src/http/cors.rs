//! Web pages of other origins, where the settings list them: they may call the server with a key that they hold.
//! There are no cookies, so credentials are never allowed. Without a list there is not one header of this.

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::Response,
};

use crate::http::sole;

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE");
/// Headers that requests may carry.
const TAKEN: HeaderValue = HeaderValue::from_static(
    "x-revaer-api-key, authorization, content-type, if-match, last-event-id, x-request-id, x-revaer-reason, \
     x-revaer-setup-token, traceparent",
);
/// Headers of answers that pages may read.
const SHOWN: HeaderValue = HeaderValue::from_static(
    "etag, location, retry-after, x-request-id, x-ratelimit-limit, x-ratelimit-remaining, x-ratelimit-reset",
);
/// Seconds for which a browser may remember what it was told: a changed list is followed after a minute at most.
const REMEMBERED: HeaderValue = HeaderValue::from_static("60");

/// What the answer to one request says of its origin.
#[derive(Debug)]
pub(crate) struct Cors {
    /// Whether any origin is listed: then answers differ by origin.
    varies: bool,
    /// The request's origin, where it is listed.
    origin: Option<HeaderValue>,
}

impl Cors {
    pub(crate) fn of(listed: &[String], headers: &HeaderMap) -> Self {
        let is_listed = |origin: &&HeaderValue| {
            let origin = origin.to_str().ok().map(normal);
            origin.is_some_and(|origin| listed.iter().any(|one| normal(one) == origin))
        };
        let origin = sole::header(headers, header::ORIGIN.as_str()).ok().flatten();
        let varies = !listed.is_empty();
        Self { varies, origin: origin.filter(|origin| varies && is_listed(origin)).cloned() }
    }

    /// The answer to a browser that asks whether it may send a request; `None` where this is no such question, or
    /// one of an origin that is not listed.
    pub(crate) fn preflight(&self, request: &Request) -> Option<Response> {
        let asks = request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        if request.method() != Method::OPTIONS || !asks || self.origin.is_none() {
            return None;
        }
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, TAKEN);
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, REMEMBERED);
        Some(response)
    }

    /// Sets the headers that every answer has.
    pub(crate) fn write(self, headers: &mut HeaderMap) {
        if self.varies {
            headers.append(header::VARY, HeaderValue::from_static("origin"));
        }
        if let Some(origin) = self.origin {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, SHOWN);
        }
    }
}

/// In lower case and without the port that its scheme implies, as browsers write it.
fn normal(origin: &str) -> String {
    let origin = origin.to_ascii_lowercase();
    let implied = if origin.starts_with("https:") { ":443" } else { ":80" };
    match origin.strip_suffix(implied) {
        Some(bare) => bare.to_owned(),
        None => origin,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(listed: &[&str], origins: &[&'static str]) -> Option<String> {
        let listed: Vec<String> = listed.iter().map(|&one| one.to_owned()).collect();
        let mut headers = HeaderMap::new();
        for origin in origins {
            headers.append(header::ORIGIN, HeaderValue::from_static(origin));
        }
        let mut answer = HeaderMap::new();
        Cors::of(&listed, &headers).write(&mut answer);
        assert_eq!(answer.contains_key(header::VARY), !listed.is_empty());
        assert!(!answer.contains_key(header::ACCESS_CONTROL_ALLOW_CREDENTIALS));
        answer.get(header::ACCESS_CONTROL_ALLOW_ORIGIN).map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn a_listed_origin_is_echoed_and_no_other() {
        let listed = ["https://UI.example", "http://localhost:3000", "https://other.example:443"];
        for origin in ["https://ui.example", "http://localhost:3000", "https://other.example"] {
            assert_eq!(allowed(&listed, &[origin]).as_deref(), Some(origin));
        }
        for origin in [
            "http://ui.example",
            "https://ui.example:8443",
            "https://ui.example.evil",
            "http://localhost:30000",
            "http://localhost",
            "null",
            "",
        ] {
            assert_eq!(allowed(&listed, &[origin]), None, "{origin}");
        }
        assert_eq!(allowed(&listed, &["https://ui.example", "https://ui.example"]), None);
        assert_eq!(allowed(&listed, &[]), None);
        assert_eq!(allowed(&[], &["https://ui.example"]), None);
    }
}
