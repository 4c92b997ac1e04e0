//! Who makes a change and why, for the history.

use axum::http::HeaderMap;
use revaer_api_models::REASON_HEADER;
use revaer_config::ChangeContext;

use crate::http::{identity::Identity, key::Caller, problem::Reject, sole};

/// Characters of a reason.
const LONGEST_REASON: usize = 256;

/// The context of a change by whoever holds a key, made against the revision of `If-Match` where there is one.
pub(crate) fn of(caller: &Caller, identity: &Identity, headers: &HeaderMap) -> Result<ChangeContext, Reject> {
    let if_match = super::if_match(headers)?;
    Ok(ChangeContext { if_match, ..by(&caller.info.key_id.to_string(), identity, headers)? })
}

/// The context of a change by `actor`.
pub(crate) fn by(actor: &str, identity: &Identity, headers: &HeaderMap) -> Result<ChangeContext, Reject> {
    Ok(ChangeContext {
        actor: actor.to_owned(),
        request_id: Some(identity.text()),
        reason: reason(headers)?,
        peer: None,
        if_match: None,
    })
}

/// The header `x-revaer-reason`; UTF-8 is taken too.
fn reason(headers: &HeaderMap) -> Result<Option<String>, Reject> {
    let Some(value) = sole::header(headers, REASON_HEADER)? else { return Ok(None) };
    let text = std::str::from_utf8(value.as_bytes()).map(str::trim).ok();
    let fits = |text: &&str| {
        (1..=LONGEST_REASON).contains(&text.chars().count()) && !text.chars().any(char::is_control)
    };
    match text.filter(fits) {
        Some(text) => Ok(Some(text.to_owned())),
        None => Err(Reject::bad_request(format!("correct the header {REASON_HEADER}, or leave it out"))
            .param(format!("/header/{REASON_HEADER}"), "must be 1 to 256 visible characters and spaces")),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn check(given: &[u8], expected: Result<Option<&str>, u16>) {
        let mut headers = HeaderMap::new();
        headers.insert(REASON_HEADER, HeaderValue::from_bytes(given).unwrap());
        let read = reason(&headers).map_err(|refused| {
            assert_eq!(refused.problem().invalid_params[0].pointer, "/header/x-revaer-reason");
            refused.problem().status
        });
        assert_eq!(read.as_ref().map(Option::as_deref), expected.as_ref().map(|text| *text));
    }

    #[test]
    fn a_reason_is_a_line_of_words() {
        assert_eq!(reason(&HeaderMap::new()), Ok(None));
        check(b"night rates", Ok(Some("night rates")));
        check("für die Nacht".as_bytes(), Ok(Some("für die Nacht")));
        check(&[b'x'; 256], Ok(Some(&"x".repeat(256))));
        for bad in [b"".as_slice(), b"  ", &[b'x'; 257], b"a\tb", b"\xff"] {
            check(bad, Err(400));
        }
    }
}
