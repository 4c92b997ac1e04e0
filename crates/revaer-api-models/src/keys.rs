//! API keys as they are listed, asked for and issued. A secret is in the answers that issue one, and nowhere else.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::ApiKeyToken;

/// Requests that a key may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeyRateLimit {
    /// Requests at once.
    pub burst: u32,
    /// Seconds in which that many requests come back.
    pub per_seconds: u32,
}

/// A key, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApiKey {
    /// Its name.
    pub key_id: String,
    /// What it is for, in the operator's words.
    pub label: String,
    /// Whether it is taken at all.
    pub enabled: bool,
    /// Its limit; null where it has none.
    #[schema(required)]
    pub rate_limit: Option<KeyRateLimit>,
    /// When it was issued.
    #[serde(with = "crate::timestamp")]
    pub created_at: OffsetDateTime,
    /// When it stops being taken.
    #[serde(with = "crate::timestamp::option", default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<OffsetDateTime>,
}

/// All keys, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApiKeyList {
    /// The keys.
    pub keys: Vec<ApiKey>,
}

/// Body of the request for a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IssueKey {
    /// Its name, 1 to 64 of `A-Z a-z 0-9 _ -`; else the server makes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// What it is for, 1 to 128 characters.
    pub label: String,
    /// Its limit: absent for 120 a second, null for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<KeyRateLimit>,
    /// When it stops being taken; absent or null for never.
    #[serde(with = "crate::timestamp::option", default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<OffsetDateTime>,
}

/// Body of the request for another secret of a key; all optional. Holds a secret: never printed.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RotateKey {
    /// How long the old secret is still taken: 0 to 2592000 seconds; else 300.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_seconds: Option<u32>,
    /// The new secret, 32 to 256 visible ASCII characters; else the server makes one. With it the call can be repeated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// A key with its secret, shown this once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IssuedKey {
    /// Its name.
    pub key_id: String,
    /// The key as `key_id:secret`.
    #[serde(with = "crate::api_key::exposed")]
    #[schema(value_type = String)]
    pub api_key: ApiKeyToken,
    /// What it is for.
    pub label: String,
    /// Its limit; null where it has none.
    #[schema(required)]
    pub rate_limit: Option<KeyRateLimit>,
    /// When it stops being taken.
    #[serde(with = "crate::timestamp::option", default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<OffsetDateTime>,
    /// When the key was first issued.
    #[serde(with = "crate::timestamp")]
    pub created_at: OffsetDateTime,
    /// After a rotation: until when the secret before it is still taken.
    #[serde(with = "crate::timestamp::option", default, skip_serializing_if = "Option::is_none")]
    pub grace_until: Option<OffsetDateTime>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::macros::datetime;

    use super::*;

    #[test]
    fn an_issued_key_shows_its_secret_on_the_wire_and_not_in_logs() {
        let issued = IssuedKey {
            key_id: "laptop".to_owned(),
            api_key: "laptop:tell-nobody".parse().unwrap(),
            label: "my laptop".to_owned(),
            rate_limit: None,
            expires_at: None,
            created_at: datetime!(2025-10-17 12:00:00 UTC),
            grace_until: None,
        };
        let wire = json!({"key_id": "laptop", "api_key": "laptop:tell-nobody", "label": "my laptop",
                          "rate_limit": null, "created_at": "2025-10-17T12:00:00Z"});
        assert_eq!(serde_json::to_value(&issued).unwrap(), wire);
        assert_eq!(serde_json::from_value::<IssuedKey>(wire).unwrap(), issued);
        assert!(!format!("{issued:?}").contains("tell-nobody"));
    }
}
