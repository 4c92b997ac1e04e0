//! Making a fresh server usable: a token, then the first settings and key.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::ApiKeyToken;

/// Body of the request for a setup token; all optional.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SetupStartRequest {
    /// Who asks, for the history; else `api`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issued_by: Option<String>,
    /// How long the token is good for: 1 to 86400 seconds; else 900.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_seconds: Option<u32>,
}

/// A setup token. It is good once; another request supersedes it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SetupStarted {
    /// What to send in the setup token header. A secret: `Debug` hides it.
    pub token: String,
    /// Until when it is good.
    #[serde(with = "crate::timestamp")]
    pub expires_at: OffsetDateTime,
}

impl fmt::Debug for SetupStarted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetupStarted")
            .field("token", &"<redacted>")
            .field("expires_at", &self.expires_at)
            .finish()
    }
}

/// Answer to a completed setup: the settings snapshot's members, and the first key, shown this once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SetupCompleted {
    /// The members of the settings snapshot.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub snapshot: Map<String, Value>,
    /// The first key as `key_id:secret`.
    #[serde(with = "crate::api_key::exposed")]
    #[schema(value_type = String)]
    pub api_key: ApiKeyToken,
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_token_is_on_the_wire_and_not_in_logs() {
        let started =
            SetupStarted { token: "tell-nobody".to_owned(), expires_at: datetime!(2025-10-17 12:00:00 UTC) };
        assert_eq!(
            serde_json::to_value(&started).unwrap(),
            json!({"token": "tell-nobody", "expires_at": "2025-10-17T12:00:00Z"})
        );
        assert!(!format!("{started:?}").contains("tell-nobody"));
    }

    #[test]
    fn a_completed_setup_is_the_snapshot_and_the_key() {
        let wire = json!({"revision": 2, "app_profile": {"instance_name": "revaer"}, "api_key": "admin:tell-nobody"});
        let completed: SetupCompleted = serde_json::from_value(wire.clone()).unwrap();
        assert_eq!(completed.api_key.key_id(), "admin");
        assert!(!completed.snapshot.contains_key("api_key"));
        assert_eq!(serde_json::to_value(&completed).unwrap(), wire);
        assert!(!format!("{completed:?}").contains("tell-nobody"));
    }

    #[test]
    fn an_empty_body_asks_for_the_defaults() {
        assert_eq!(serde_json::from_str::<SetupStartRequest>("{}").unwrap(), SetupStartRequest::default());
        assert!(serde_json::from_str::<SetupStartRequest>(r#"{"ttl":5}"#).is_err());
    }
}
