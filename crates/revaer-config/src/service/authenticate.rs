//! Keys whose row has no valid MAC: verified against their hash once, and then marked.

use time::OffsetDateTime;

use super::{ConfigService, load};
use crate::{
    error::AuthError,
    password,
    snapshot::{ApiKeyInfo, ConfigSnapshot, Proof},
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
        let now = OffsetDateTime::now_utc();
        if credential.secret.mac.is_none() && self.verify(secret, &credential.secret).await? {
            let admitted = snapshot.admit(key_id, now)?;
            self.mark(&snapshot, key_id, secret, &credential.secret).await;
            return Ok(admitted);
        }
        match credential.previous_at(now) {
            Some((proof, until)) if proof.mac.is_none() && self.verify(secret, proof).await? => {
                let admitted = snapshot.admit_until(key_id, now, until)?;
                self.mark(&snapshot, key_id, secret, proof).await;
                Ok(admitted)
            }
            _ => Err(AuthError::Rejected),
        }
    }

    async fn verify(&self, secret: &str, proof: &Proof) -> Result<bool, AuthError> {
        let (given, stored) = (secret.to_owned(), proof.hash.clone());
        self.hash(move || Ok(password::verify(&given, &stored))).await.map_err(|_| AuthError::Busy)
    }

    /// Stores the mark of a verified secret. The request is decided; without the mark the next one is only slow again.
    async fn mark(&self, snapshot: &ConfigSnapshot, key_id: &str, secret: &str, proof: &Proof) {
        let secret_key = &snapshot.credentials.secret_key;
        let mac = secret_key.mac(key_id, secret);
        let marked = async {
            let mut connection = self.shared.pool.acquire().await?;
            keys::mac_set(&mut connection, key_id, &proof.hash, secret_key.id(), mac.bytes()).await
        };
        match marked.await {
            Ok(()) => self.reload_credentials().await,
            Err(error) => {
                tracing::warn!(%error, key_id, "the mark of a verified API key could not be stored");
            }
        }
    }

    /// Reads the MACs again without a new revision.
    async fn reload_credentials(&self) {
        let secret_key = self.secret_key();
        let read = settings::read_all(&self.shared.pool, secret_key.id()).await;
        match read.map_err(Into::into).and_then(|rows| load::loaded(rows, secret_key)) {
            Ok(loaded) => {
                self.publish_again(loaded);
            }
            Err(error) => tracing::warn!(%error, "the marks of API keys could not be read again"),
        }
    }
}
