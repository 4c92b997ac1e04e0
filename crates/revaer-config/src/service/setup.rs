//! The completion of setup: one transaction that uses the token up, applies the changeset, issues the first key and
//! makes the server active.

use std::{sync::Arc, time::Instant};

use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    ChangeContext, ConfigService,
    bootstrap::PROBE,
    commit::{self, OpenChange},
    prepare::{PreparedKeys, Wanted},
    run_blocking,
};
use crate::{
    changeset::{self, Changeset, KeyChange, KeyUpsert, Nullable, Purpose},
    error::{ConfigError, Fault, TokenFault},
    judge,
    keyring::{SecretKey, random},
    profile::Mode,
    snapshot::{ConfigSnapshot, KeyId},
    sql::{secrets, settings, tokens},
    text::base64url,
};

/// The server is set up.
pub struct SetupCompleted {
    /// The settings in force.
    pub snapshot: Arc<ConfigSnapshot>,
    /// `<key_id>:<secret>` of the first key, shown once.
    pub api_key: String,
}

/// The first key, as the answer shows it.
struct FirstKey {
    key_id: KeyId,
    secret: String,
}

impl ConfigService {
    /// Completes setup: uses the token up, applies the changeset, issues the first key and makes the server
    /// active, all in one transaction.
    pub async fn setup_complete(
        &self,
        token: &str,
        body: Value,
        context: ChangeContext,
    ) -> Result<SetupCompleted, ConfigError> {
        let id = match self.verify_token(token).await {
            Ok(id) => id,
            Err(error) => {
                self.note_rejection(token, &error, &context).await;
                return Err(error);
            }
        };
        let (mut changeset, mut faults) = changeset::read(&body, Purpose::Setup);
        let known = self.snapshot();
        judge::add(&mut faults, judge::faults(&known, &changeset, Purpose::Setup));
        let report = self.check_environment(Wanted::of_everything(&known, &changeset.changes)).await;
        faults.extend(report.faults.iter().cloned());
        let mut reservation = None;
        if faults.is_empty() {
            match self.reserve_address(&known, &changeset.changes).await {
                Ok(reserved) => reservation = reserved,
                Err(fault) => faults.push(fault),
            }
        }
        let completed = if faults.is_empty() {
            let first = complete_first_key(&mut changeset, &known)?;
            self.complete(id, &changeset, first, &context).await
        } else {
            Err(ConfigError::invalid(faults))
        };
        match &completed {
            Ok(completed) => {
                tracing::info!(event = "setup_token.consumed", "setup completed");
                if let Some(reservation) = reservation {
                    reservation.keep(completed.snapshot.revision);
                }
            }
            Err(error) => {
                let peer = context.peer.as_deref();
                tracing::warn!(event = "config.rejected", %error, peer, "setup was not completed");
                // Whether a commit without an answer was made is not known: what it may need stays.
                if !matches!(error, ConfigError::Unavailable(_) | ConfigError::Failed(_)) {
                    run_blocking(move || report.undo()).await;
                }
            }
        }
        completed
    }

    async fn complete(
        &self,
        token: Uuid,
        changeset: &Changeset,
        first: FirstKey,
        context: &ChangeContext,
    ) -> Result<SetupCompleted, ConfigError> {
        let secret_key = self.key_for_setup(changeset).await?;
        let prepared = self.prepare_keys(changeset, &secret_key).await?;
        let _turn = self.turn().await?;
        let mut attempt = 0;
        loop {
            match self.try_complete(token, changeset, &prepared, &secret_key, context).await {
                Err(error) if commit::is_worth_retrying(&error, attempt) => attempt += 1,
                Err(error) => return Err(self.explain(error).await),
                Ok(snapshot) => {
                    let api_key = format!("{}:{}", first.key_id, first.secret);
                    return Ok(SetupCompleted { snapshot, api_key });
                }
            }
        }
    }

    /// The key of the passphrase, where one is given; else the one there is.
    async fn key_for_setup(&self, changeset: &Changeset) -> Result<Arc<SecretKey>, ConfigError> {
        let Some(passphrase) = changeset.passphrase.clone() else { return Ok(self.secret_key()) };
        let known = self.snapshot();
        if !known.secrets.is_empty() {
            let message = format!(
                "{} secrets are sealed under the present key; set up without a passphrase, or delete them first",
                known.secrets.len()
            );
            return Err(ConfigError::invalid(vec![Fault::new("/passphrase", message)]));
        }
        // The instance's id is the salt: passphrase and database together give a lost key file back.
        let salt = known.app.id;
        let key = self.hash(move || SecretKey::from_passphrase(&passphrase, salt.as_bytes())).await?;
        Ok(Arc::new(key))
    }

    async fn try_complete(
        &self,
        token: Uuid,
        changeset: &Changeset,
        prepared: &PreparedKeys,
        secret_key: &Arc<SecretKey>,
        context: &ChangeContext,
    ) -> Result<Arc<ConfigSnapshot>, ConfigError> {
        let OpenChange { mut transaction, current, broken, .. } = self.open_change(context).await?;
        if current.app.mode != Mode::Setup {
            return Err(ConfigError::NotInSetup);
        }
        let faults = judge::faults(&current, changeset, Purpose::Setup);
        if !faults.is_empty() {
            return Err(ConfigError::invalid(faults));
        }
        check_version(&current, changeset)?;
        if !tokens::token_consume(&mut transaction, token).await? {
            return Err(ConfigError::Token(TokenFault::Consumed));
        }
        commit::write(&mut transaction, &current, &broken, changeset, prepared, secret_key).await?;
        let probe: [u8; 16] = random()?;
        let sealed = secret_key.seal(PROBE, &probe)?;
        secrets::secret_set(&mut transaction, PROBE, secret_key.id(), &sealed).await?;
        let stored = secrets::secret_read(&mut *transaction, PROBE).await?;
        if stored.and_then(|sealed| secret_key.open(PROBE, &sealed)).as_deref() != Some(&probe) {
            return Err(ConfigError::Crypto { operation: "opening the probe secret" });
        }
        settings::activate(&mut transaction).await?;
        let changed = self.read(&mut transaction, secret_key).await?;
        if secret_key.id() != self.secret_key().id() {
            self.replace_key_file(secret_key).await?;
        }
        transaction.commit().await?;
        let snapshot = Arc::new(changed);
        self.publish(&snapshot, Instant::now());
        Ok(snapshot)
    }

    /// Puts a new key into the file before the commit that needs it. Without that commit the server is still in
    /// setup, nothing is sealed yet, and the next completion does with whatever key the file holds.
    async fn replace_key_file(&self, secret_key: &Arc<SecretKey>) -> Result<(), ConfigError> {
        let (file, key) = (self.shared.key_file.clone(), Arc::clone(secret_key));
        let stored = run_blocking(move || file.store(&key)).await;
        let stored = stored.unwrap_or(Err(ConfigError::Crypto { operation: "writing the secret key file" }));
        stored.map_err(|error| {
            let message = format!("{error}; make the file writable, or set up without a passphrase");
            ConfigError::invalid(vec![Fault::new("/passphrase", message)])
        })?;
        self.set_secret_key(Arc::clone(secret_key));
        Ok(())
    }
}

fn check_version(current: &ConfigSnapshot, changeset: &Changeset) -> Result<(), ConfigError> {
    let actual = current.app.version;
    match changeset.expected_version {
        Some(expected) if expected != actual => {
            Err(ConfigError::Conflict { what: "app_profile.version", expected, actual })
        }
        _ => Ok(()),
    }
}

/// Makes sure that there is a first key with a secret, and returns it.
fn complete_first_key(changeset: &mut Changeset, known: &ConfigSnapshot) -> Result<FirstKey, ConfigError> {
    let first = changeset.keys.iter().position(|change| matches!(change, KeyChange::Upsert(_)));
    let index = first.unwrap_or_else(|| {
        let key_id = KeyId::new("admin").expect("admin is a key id");
        let wanted = KeyUpsert::named(changeset.keys.len(), key_id);
        changeset.keys.push(KeyChange::Upsert(wanted));
        changeset.keys.len() - 1
    });
    let Some(KeyChange::Upsert(wanted)) = changeset.keys.get_mut(index) else {
        return Err(ConfigError::LastKey);
    };
    let closed = wanted.enabled == Some(false)
        || matches!(wanted.expires_at, Some(Nullable::Value(end)) if end <= OffsetDateTime::now_utc());
    if closed {
        let message = "the first key has to be enabled and not expired: it is the only way in";
        return Err(ConfigError::invalid(vec![Fault::new(format!("/api_keys/{index}"), message)]));
    }
    if known.key(wanted.key_id.as_str()).is_none() {
        wanted.label.get_or_insert_with(|| "bootstrap".to_owned());
    }
    // A key of this name from before must not stay switched off or expired.
    wanted.enabled = Some(true);
    wanted.expires_at.get_or_insert(Nullable::Null);
    let secret = match &wanted.secret {
        Some(secret) => secret.clone(),
        None => base64url(&random::<32>()?),
    };
    wanted.secret = Some(secret.clone());
    Ok(FirstKey { key_id: wanted.key_id.clone(), secret })
}
