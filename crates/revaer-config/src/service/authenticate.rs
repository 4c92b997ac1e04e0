//! Keys whose row has no valid MAC: verified against their hash once, and then marked.

use time::OffsetDateTime;

use super::{ConfigService, load};
use crate::{
    error::AuthError,
    password,
    snapshot::ApiKeyInfo,
    sql::{keys, settings},
};

impl ConfigService {
    /// Decides a request. In memory for every key that has a MAC; a key that was written by SQL, or under another
    /// secret key, is verified against its argon2id hash, one at a time with a short queue, and marked.
    pub async fn authenticate(&self, key_id: &str, secret: &str) -> Result<ApiKeyInfo, AuthError> {
        let snapshot = self.snapshot();
        match snapshot.authenticate(key_id, secret) {
            Err(AuthError::Unverified) => {}
            decided => return decided,
        }
        let _place = self.shared.hashing.waiting.try_acquire().map_err(|_| AuthError::Busy)?;
        let credential = snapshot.credentials.by_key.get(key_id).ok_or(AuthError::Rejected)?;
        let (given, stored) = (secret.to_owned(), credential.secret_hash.clone());
        let verified = self.hash(move || Ok(password::verify(&given, &stored))).await;
        if !verified.map_err(|_| AuthError::Busy)? {
            return Err(AuthError::Rejected);
        }
        let admitted = snapshot.admit(key_id, OffsetDateTime::now_utc())?;
        let secret_key = &snapshot.credentials.secret_key;
        let mac = secret_key.mac(key_id, secret);
        let pool = &self.shared.pool;
        let marked = keys::mac_set(pool, key_id, &credential.secret_hash, secret_key.id(), mac.bytes()).await;
        // The request is decided; without the mark the next one is only slow again.
        match marked {
            Ok(()) => self.reload_credentials().await,
            Err(error) => {
                tracing::warn!(%error, key_id, "the mark of a verified API key could not be stored");
            }
        }
        Ok(admitted)
    }

    /// Reads the MACs again without a new revision.
    async fn reload_credentials(&self) {
        let secret_key = self.secret_key();
        let read = settings::read_all(&self.shared.pool, secret_key.id()).await;
        let snapshot = match read.map_err(Into::into).and_then(|rows| load::snapshot_of(rows, secret_key)) {
            Ok(snapshot) => std::sync::Arc::new(snapshot),
            Err(error) => {
                tracing::warn!(%error, "the marks of API keys could not be read again");
                return;
            }
        };
        self.shared.published.send_if_modified(|current| {
            let newer = snapshot.revision >= current.revision;
            if newer {
                *current = snapshot;
            }
            newer
        });
    }
}
