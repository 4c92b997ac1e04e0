//! An API key as it travels in a header. Printing one never shows its secret.

use std::{fmt, str::FromStr};

/// `key_id:secret`. `Debug` and `Display` show the id and hide the secret, and it is not `Serialize`:
/// only [`ApiKeyToken::expose`] gives it away.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKeyToken {
    key_id: String,
    secret: String,
}

/// Why a text is no API key. Its text is never repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ApiKeyTokenError {
    /// There is no colon in it.
    #[error("an api key reads key_id:secret, and there is no colon in this one")]
    NoColon,
    /// The part before the colon is no key id.
    #[error("the key id before the colon has 1 to 64 characters of A-Z a-z 0-9 _ -")]
    KeyId,
    /// The part after the colon is no secret.
    #[error("the secret after the colon has 1 to 256 visible ASCII characters")]
    Secret,
}

impl ApiKeyToken {
    /// Most characters that a key id may have.
    pub const MAX_KEY_ID_LEN: usize = 64;
    /// Most characters that a secret may have; generated ones have 43.
    pub const MAX_SECRET_LEN: usize = 256;

    /// Joins an id and a secret.
    pub fn new(key_id: impl Into<String>, secret: impl Into<String>) -> Result<Self, ApiKeyTokenError> {
        let (key_id, secret) = (key_id.into(), secret.into());
        if !Self::is_key_id(&key_id) {
            return Err(ApiKeyTokenError::KeyId);
        }
        let fits = (1..=Self::MAX_SECRET_LEN).contains(&secret.len());
        if !fits || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ApiKeyTokenError::Secret);
        }
        Ok(Self { key_id, secret })
    }

    /// Whether a text can be a key id: 1 to 64 of `A-Z a-z 0-9 _ -`.
    pub fn is_key_id(text: &str) -> bool {
        (1..=Self::MAX_KEY_ID_LEN).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
    }

    /// The public part.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The secret part. Never log it.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// The whole key in clear text, for a header or the one place that shows it.
    pub fn expose(&self) -> String {
        format!("{}:{}", self.key_id, self.secret)
    }
}

impl FromStr for ApiKeyToken {
    type Err = ApiKeyTokenError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (key_id, secret) = text.split_once(':').ok_or(ApiKeyTokenError::NoColon)?;
        Self::new(key_id, secret)
    }
}

impl fmt::Display for ApiKeyToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:<redacted>", self.key_id)
    }
}

impl fmt::Debug for ApiKeyToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKeyToken({self})")
    }
}

/// For the answers that show a new key once: `#[serde(with = "crate::api_key::exposed")]`.
pub(crate) mod exposed {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use super::ApiKeyToken;

    pub(crate) fn serialize<S: Serializer>(key: &ApiKeyToken, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&key.expose())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ApiKeyToken, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_an_id_and_a_secret() {
        let key: ApiKeyToken = "admin-1_A:s3cr:et".parse().unwrap();
        assert_eq!((key.key_id(), key.secret()), ("admin-1_A", "s3cr:et"));
        assert_eq!(key.expose(), "admin-1_A:s3cr:et");
    }

    #[test]
    fn printing_a_key_hides_its_secret() {
        let key = ApiKeyToken::new("admin", "hunter2hunter2").unwrap();
        assert_eq!(key.to_string(), "admin:<redacted>");
        assert_eq!(format!("{key:?}"), "ApiKeyToken(admin:<redacted>)");
    }

    #[test]
    fn what_is_no_key_is_refused_without_repeating_it() {
        let long = format!("{}:s", "k".repeat(65));
        let long_secret = format!("k:{}", "s".repeat(257));
        for (text, error) in [
            ("topsecret", ApiKeyTokenError::NoColon),
            (":topsecret", ApiKeyTokenError::KeyId),
            ("a b:topsecret", ApiKeyTokenError::KeyId),
            (long.as_str(), ApiKeyTokenError::KeyId),
            ("k:", ApiKeyTokenError::Secret),
            ("k:top secret", ApiKeyTokenError::Secret),
            ("k:topsecret\n", ApiKeyTokenError::Secret),
            (long_secret.as_str(), ApiKeyTokenError::Secret),
        ] {
            assert_eq!(text.parse::<ApiKeyToken>(), Err(error));
            assert!(!error.to_string().contains("topsecret"));
        }
    }
}
