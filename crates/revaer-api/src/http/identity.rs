//! The request's id: the client's where it is one, else a fresh one. It ties log lines, history rows and events.

use axum::http::HeaderMap;
use revaer_api_models::{REQUEST_ID_HEADER, RequestId};
use uuid::Uuid;

/// Names the request in spans, rows and events. An extension of every request.
#[derive(Debug, Clone)]
pub(crate) struct Identity(pub(crate) RequestId);

impl Identity {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let given = headers.get(REQUEST_ID_HEADER).and_then(|value| value.to_str().ok());
        let id = given.and_then(|text| text.parse().ok());
        Self(id.unwrap_or_else(|| RequestId::from(Uuid::now_v7())))
    }

    /// The id as the ledger and the history take it.
    pub(crate) fn text(&self) -> String {
        self.0.as_str().to_owned()
    }
}

/// `traceparent` of the W3C trace context, version 00, where the client sends one.
pub(crate) fn traceparent(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get("traceparent")?.to_str().ok()?;
    let parts: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    let hex = parts.iter().all(|part| part.bytes().all(|byte| byte.is_ascii_hexdigit()));
    (lengths == [2, 32, 16, 2] && hex).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(given: Option<&str>, kept: bool) {
        let mut headers = HeaderMap::new();
        if let Some(given) = given {
            headers.insert(REQUEST_ID_HEADER, given.parse().unwrap());
        }
        let id = Identity::of(&headers).text();
        assert_eq!(Some(id.as_str()) == given, kept, "{given:?} became {id}");
    }

    #[test]
    fn the_clients_id_is_kept_where_it_is_one() {
        check(Some("a-1/~"), true);
        check(Some("has a space"), false);
        check(Some(&"x".repeat(129)), false);
        check(None, false);
    }

    #[test]
    fn a_traceparent_is_taken_in_its_own_form_only() {
        let mut headers = HeaderMap::new();
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        headers.insert("traceparent", good.parse().unwrap());
        assert_eq!(traceparent(&headers), Some(good));
        headers.insert("traceparent", "00-xyz".parse().unwrap());
        assert_eq!(traceparent(&headers), None);
    }
}
