//! The setup token: the id of its row, then 256 random bits. The row holds the hash of the second part.

use uuid::Uuid;

use crate::{error::ConfigError, keyring::random, text::base64url};

pub(crate) struct SetupToken {
    pub(crate) id: Uuid,
    pub(crate) secret: String,
}

impl SetupToken {
    pub(crate) fn generate() -> Result<Self, ConfigError> {
        let id = uuid::Builder::from_random_bytes(random()?).into_uuid();
        Ok(Self { id, secret: base64url(&random::<32>()?) })
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (id, secret) = text.trim().split_once('.')?;
        let fits = secret.len() == 43 && id.len() == 32;
        fits.then_some(())?;
        Some(Self { id: Uuid::try_parse(id).ok()?, secret: secret.to_owned() })
    }

    /// What the operator gets to see, once.
    pub(crate) fn reveal(&self) -> String {
        format!("{}.{}", self.id.simple(), self.secret)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_back_and_nonsense_is_not() {
        let token = SetupToken::generate().unwrap();
        let read = SetupToken::parse(&token.reveal()).unwrap();
        assert_eq!((read.id, read.secret), (token.id, token.secret));
        for nonsense in ["", ".", "abc", "a.b"] {
            assert!(SetupToken::parse(nonsense).is_none());
        }
    }
}
