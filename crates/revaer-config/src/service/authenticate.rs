//! Keys whose row has no valid MAC: verified against their hash once, and then marked.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use time::OffsetDateTime;

use super::{ConfigService, OWN};
use crate::{
    error::AuthError,
    keyring::Mac,
    password,
    snapshot::{ApiKeyInfo, ConfigSnapshot, Proof},
    sql::{keys, settings},
};

/// What storing a mark may take: the watcher does it, and has other work.
const PATIENCE: Duration = Duration::from_secs(3);

/// The mark of a secret that was verified against its hash.
pub(super) struct Mark {
    key_id: String,
    secret_hash: String,
    mac: Mac,
}

impl ConfigService {
    /// Decides a request. In memory for every key that has a MAC; a key that was written by SQL, or under another
    /// secret key, is verified against its argon2id hash, one at a time with a short queue, and marked.
    pub async fn authenticate(&self, key_id: &str, secret: &str) -> Result<ApiKeyInfo, AuthError> {
        let snapshot = self.snapshot();
        match snapshot.authenticate(key_id, secret) {
            Err(AuthError::Unverified) => {}
            decided => return decided,
        }
        let credential = snapshot.credentials.by_key.get(key_id).ok_or(AuthError::Rejected)?;
        let now = OffsetDateTime::now_utc();
        let present = (&credential.secret, None);
        let unmarked = std::iter::once(present)
            .chain(credential.previous_at(now).map(|(proof, until)| (proof, Some(until))))
            .filter(|(proof, _)| proof.mac.is_none());
        let _place = self.shared.hashing.waiting.try_acquire().map_err(|_| AuthError::Busy)?;
        for (proof, until) in unmarked {
            if self.verify(secret, proof).await? {
                let admitted = match until {
                    None => snapshot.admit(key_id, now)?,
                    Some(until) => snapshot.admit_until(key_id, now, until)?,
                };
                let mac = snapshot.credentials.secret_key.mac(key_id, secret);
                self.remember(Mark { key_id: key_id.to_owned(), secret_hash: proof.hash.clone(), mac });
                return Ok(admitted);
            }
        }
        Err(AuthError::Rejected)
    }

    async fn verify(&self, secret: &str, proof: &Proof) -> Result<bool, AuthError> {
        let (given, stored) = (secret.to_owned(), proof.hash.clone());
        self.hash(move || Ok(password::verify(&given, &stored))).await.map_err(|_| AuthError::Busy)
    }

    /// Takes the mark of a verified secret over into memory, and has it stored. The request is decided by now; without
    /// the stored mark the next process is slow once more.
    fn remember(&self, mark: Mark) {
        {
            let _order = self.shared.publishing.lock().unwrap_or_else(PoisonError::into_inner);
            let mut snapshot = ConfigSnapshot::clone(&self.snapshot());
            if !snapshot.mark(&mark.key_id, &mark.secret_hash, &mark.mac) {
                return;
            }
            self.shared.published.send_replace(Arc::new(snapshot));
        }
        if self.shared.marks.0.try_send(mark).is_err() {
            tracing::debug!("the mark of a verified API key is not stored; it is made again after a restart");
        }
    }

    /// Stores a mark; a lock that somebody holds on the key is not waited for.
    pub(super) async fn store_mark(&self, mark: Mark) {
        let secret_key = self.secret_key();
        let stored = async {
            let mut transaction = self.shared.pool.begin().await?;
            settings::name_writer(&mut transaction, OWN).await?;
            keys::mac_set(
                &mut transaction,
                &mark.key_id,
                &mark.secret_hash,
                secret_key.id(),
                mark.mac.bytes(),
            )
            .await?;
            transaction.commit().await
        };
        match tokio::time::timeout(PATIENCE, stored).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, key_id = mark.key_id, "the mark of a verified API key could not be stored");
            }
            Err(_elapsed) => {
                tracing::warn!(
                    key_id = mark.key_id,
                    "the mark of a verified API key could not be stored in time"
                );
            }
        }
    }
}
