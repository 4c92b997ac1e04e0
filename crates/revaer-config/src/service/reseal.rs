//! Another secret key: every sealed secret is sealed anew under it. For a server that is stopped.
//!
//! The new key lies beside the old one (`<key file>.next`) before the transaction that needs it, and takes its place
//! after the commit. A crash between leaves two keys, and the probe in the database says which of them holds: the next
//! start, or the next rotation, finishes or forgets what was begun.

use std::sync::Arc;

use sqlx::PgPool;

use super::{ChangeContext, ConfigService, bootstrap::PROBE, run_blocking};
use crate::{
    error::ConfigError,
    keyring::{KeyFile, SecretKey},
    sql::{secrets, settings},
};

impl ConfigService {
    /// Seals every secret under a new random key, puts it into the key file, and returns how many secrets there are.
    /// API keys keep their secrets; each is verified against its hash once, and then fast again. No server may run on
    /// this database meanwhile.
    pub async fn rotate_secret_key(&self, context: ChangeContext) -> Result<usize, ConfigError> {
        let old = self.secret_key();
        let new = Arc::new(SecretKey::generate()?);
        let mut transaction = self.shared.pool.begin().await?;
        settings::begin_change(&mut transaction, context.writer()).await?;
        let mut resealed = 0;
        for row in secrets::secrets_all(&mut *transaction).await? {
            let Some(value) = old.open(&row.name, &row.sealed) else {
                return Err(ConfigError::Sealed { name: row.name });
            };
            let sealed = new.seal(&row.name, &value)?;
            secrets::secret_set(&mut transaction, &row.name, new.id(), &sealed).await?;
            resealed += usize::from(row.name != PROBE);
        }
        let file = self.shared.key_file.next();
        self.on_key_file({
            let (file, new) = (file.clone(), Arc::clone(&new));
            move || file.store(&new)
        })
        .await?;
        transaction.commit().await?;
        let (own, key) = (self.shared.key_file.clone(), Arc::clone(&new));
        // The commit stands: where the file beside is gone the key is written again, since nothing else has it.
        self.on_key_file(move || file.take_the_place_of(&own).or_else(|_| own.store(&key))).await?;
        self.set_secret_key(new);
        Ok(resealed)
    }

    async fn on_key_file(
        &self,
        work: impl FnOnce() -> Result<(), ConfigError> + Send + 'static,
    ) -> Result<(), ConfigError> {
        let failed = || Err(ConfigError::Crypto { operation: "writing the secret key file" });
        run_blocking(work).await.unwrap_or_else(failed)
    }
}

/// Finishes or forgets a rotation that was cut off, and returns the key that holds. Who is not alone touches no file:
/// the rotation may be under way.
pub(super) async fn settle(
    pool: &PgPool,
    key_file: &KeyFile,
    present: SecretKey,
    alone: bool,
) -> Result<SecretKey, ConfigError> {
    let next_file = key_file.next();
    let reading = next_file.clone();
    let read = run_blocking(move || reading.load()).await;
    let read = read.unwrap_or(Err(ConfigError::Crypto { operation: "reading the secret key file" }))?;
    let Some(next) = read else { return Ok(present) };
    let probe = secrets::secret_read(pool, PROBE).await?;
    let opens = |key: &SecretKey| probe.as_ref().is_some_and(|sealed| key.open(PROBE, sealed).is_some());
    let own = key_file.clone();
    let failed = || Err(ConfigError::Crypto { operation: "writing the secret key file" });
    if !alone {
        return Ok(if opens(&next) { next } else { present });
    }
    if opens(&next) {
        run_blocking(move || next_file.take_the_place_of(&own)).await.unwrap_or_else(failed)?;
        tracing::warn!("a rotation of the secret key was cut off after its commit; it is finished now");
        return Ok(next);
    }
    if opens(&present) || probe.is_none() {
        run_blocking(move || next_file.remove()).await.unwrap_or_else(failed)?;
        tracing::warn!("a rotation of the secret key was cut off before its commit; it is forgotten");
    }
    // Neither opens it: both files stay, for whoever restores the right one.
    Ok(present)
}
