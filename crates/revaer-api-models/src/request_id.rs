//! The id that ties one request to its log lines, history rows and events.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An id of one request: 1 to 128 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, min_length = 1, max_length = 128)]
pub struct RequestId(String);

impl RequestId {
    /// Most characters that an id may have.
    pub const MAX_LEN: usize = 128;

    /// The id as it stands in the header.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that cannot be a request id. It is not repeated here: it may hold anything.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a request id has 1 to 128 visible ASCII characters")]
pub struct RequestIdError;

impl TryFrom<String> for RequestId {
    type Error = RequestIdError;

    fn try_from(id: String) -> Result<Self, Self::Error> {
        let fits = (1..=Self::MAX_LEN).contains(&id.len());
        if fits && id.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(id))
        } else {
            Err(RequestIdError)
        }
    }
}

impl FromStr for RequestId {
    type Err = RequestIdError;

    fn from_str(id: &str) -> Result<Self, Self::Err> {
        if id.len() > Self::MAX_LEN {
            return Err(RequestIdError);
        }
        id.to_owned().try_into()
    }
}

impl From<uuid::Uuid> for RequestId {
    fn from(id: uuid::Uuid) -> Self {
        Self(id.to_string())
    }
}

impl From<RequestId> for String {
    fn from(id: RequestId) -> Self {
        id.0
    }
}

impl AsRef<str> for RequestId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn visible_ascii_of_1_to_128_is_an_id() {
        for id in ["a", "~!", &"x".repeat(128)] {
            assert_eq!(id.parse::<RequestId>().unwrap().as_str(), id);
        }
        for id in ["", "a b", "a\n", "é", "\u{7f}", &"x".repeat(129)] {
            assert_eq!(id.parse::<RequestId>(), Err(RequestIdError), "{id:?}");
        }
    }

    #[test]
    fn json_is_validated_too() {
        assert!(serde_json::from_str::<RequestId>(r#""ok""#).is_ok());
        assert!(serde_json::from_str::<RequestId>(r#""not ok""#).is_err());
    }
}
