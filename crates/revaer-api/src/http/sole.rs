//! Headers that say one thing: given twice they say two, and which of them was meant nobody knows.

use axum::http::{HeaderMap, HeaderValue};

use crate::http::problem::Reject;

/// The one value of the header `name`; a refusal where it stands in the request more than once.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a HeaderValue>, Reject> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(Reject::bad_request(format!("send the header {name} once"))
            .param(format!("/header/{name}"), "is given more than once"));
    }
    Ok(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_given_twice_is_refused_and_named() {
        let mut headers = HeaderMap::new();
        assert_eq!(header(&headers, "last-event-id"), Ok(None));
        headers.append("last-event-id", HeaderValue::from_static("1"));
        assert_eq!(header(&headers, "last-event-id").unwrap().unwrap(), "1");
        headers.append("last-event-id", HeaderValue::from_static("1"));
        let refused = header(&headers, "last-event-id").unwrap_err();
        assert_eq!(refused.problem().status, 400);
        assert_eq!(refused.problem().invalid_params[0].pointer, "/header/last-event-id");
    }
}
