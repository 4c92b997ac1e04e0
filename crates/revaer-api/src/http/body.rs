//! Request bodies: read up to a limit, and as JSON.

use axum::{
    body::{Body, Bytes},
    extract::Request,
    http::{HeaderMap, header},
};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use revaer_api_models::ProblemKind;
use serde_json::Value;

use crate::http::problem::Reject;

/// Most bytes of a JSON body.
pub(crate) const JSON_LIMIT: usize = 1024 * 1024;

/// Whether the body says that it is JSON.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    media_type(headers).is_some_and(|media| media.eq_ignore_ascii_case("application/json"))
}

/// The body's media type without its parameters.
pub(crate) fn media_type(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or(value).trim())
}

/// Reads a JSON body of at most `limit` bytes.
pub(crate) async fn json(request: Request, limit: usize) -> Result<Value, Reject> {
    if !is_json(request.headers()) {
        return Err(not_json());
    }
    let body = read(request.into_body(), limit).await?;
    parse(&body)
}

/// Reads an object, or nothing at all, which stands for an empty one.
pub(crate) async fn json_object_or_nothing(request: Request, limit: usize) -> Result<Value, Reject> {
    let is_json = is_json(request.headers());
    let body = read(request.into_body(), limit).await?;
    if body.iter().all(u8::is_ascii_whitespace) {
        Ok(Value::Object(serde_json::Map::new()))
    } else if is_json {
        parse(&body)
    } else {
        Err(not_json())
    }
}

fn not_json() -> Reject {
    Reject::new(
        ProblemKind::UnsupportedMediaType,
        "this path takes JSON; say so with content-type: application/json",
    )
}

/// Understands JSON.
pub(crate) fn parse(body: &[u8]) -> Result<Value, Reject> {
    serde_json::from_slice(body)
        .map_err(|error| Reject::bad_request(format!("the body is not JSON: {error}")))
}

async fn read(body: Body, limit: usize) -> Result<Bytes, Reject> {
    let declared = axum::body::HttpBody::size_hint(&body).lower();
    if declared > limit as u64 {
        return Err(too_large(limit));
    }
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large(limit)),
        Err(_broken) => Err(Reject::bad_request("the body broke off before its end; send it again")),
    }
}

/// The answer to a body that is over its limit.
pub(crate) fn too_large(limit: usize) -> Reject {
    Reject::new(
        ProblemKind::PayloadTooLarge,
        format!("the body is larger than the {limit} bytes that this path takes"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_is_read_up_to_its_limit_and_no_further() {
        assert_eq!(read(Body::from("12345"), 5).await.unwrap(), "12345");
        let refused = read(Body::from("123456"), 5).await.unwrap_err();
        assert_eq!(refused.problem().status, 413);
        let chunks = futures_util::stream::iter(["123", "456"].map(Ok::<_, std::io::Error>));
        let refused = read(Body::from_stream(chunks), 5).await.unwrap_err();
        assert_eq!(refused.problem().status, 413);
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_no_fault_of_the_server() {
        let chunks = [Ok("{"), Err(std::io::Error::other("gone"))];
        let body = Body::from_stream(futures_util::stream::iter(chunks));
        assert_eq!(read(body, 10).await.unwrap_err().problem().status, 400);
    }
}
