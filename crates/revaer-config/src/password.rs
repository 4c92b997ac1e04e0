//! argon2id: hashes of secrets and tokens, and the key of a passphrase. Every function blocks for some 25 ms.

use argon2::{
    Argon2, Params,
    password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString},
};

use crate::{error::ConfigError, keyring::random};

/// What a stored hash may ask for: a row written by hand must not take the memory of the server.
const MOST_MEMORY_KIB: u32 = 262_144;
const MOST_PASSES: u32 = 16;

/// The PHC string of a secret.
pub(crate) fn hash(secret: &str) -> Result<String, ConfigError> {
    let failed = |_| ConfigError::Crypto { operation: "hashing a secret" };
    let salt = SaltString::encode_b64(&random::<16>()?).map_err(failed)?;
    Ok(Argon2::default().hash_password(secret.as_bytes(), &salt).map_err(failed)?.to_string())
}

/// Whether `secret` is the one of `stored`.
pub(crate) fn verify(secret: &str, stored: &str) -> bool {
    let Ok(parsed) = PasswordHash::new(stored) else { return false };
    let affordable = Params::try_from(&parsed)
        .is_ok_and(|params| params.m_cost() <= MOST_MEMORY_KIB && params.t_cost() <= MOST_PASSES);
    affordable && Argon2::default().verify_password(secret.as_bytes(), &parsed).is_ok()
}

/// 32 bytes from a passphrase.
pub(crate) fn derive(passphrase: &str, salt: &[u8]) -> Result<[u8; 32], ConfigError> {
    let mut key = [0; 32];
    Argon2::default()
        .hash_password_into(passphrase.as_bytes(), salt, &mut key)
        .map_err(|_| ConfigError::Crypto { operation: "deriving a key from the passphrase" })?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_verifies_its_own_secret_only() {
        let stored = hash("right").unwrap();
        assert!(stored.starts_with("$argon2id$"));
        assert!(verify("right", &stored));
        assert!(!verify("wrong", &stored));
    }

    #[test]
    fn a_hash_that_asks_for_too_much_is_refused_unread() {
        let greedy =
            "$argon2id$v=19$m=4194304,t=2,p=1$c2FsdHNhbHRzYWx0$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        assert!(!verify("any", greedy));
        assert!(!verify("any", "nonsense"));
    }
}
