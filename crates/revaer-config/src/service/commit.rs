//! The transaction of a change: under the lock, read again, compare, write only what differs.

use std::{collections::BTreeSet, sync::Arc};

use sqlx::{PgConnection, Postgres, Transaction};
use time::OffsetDateTime;

use super::{
    ChangeContext, ConfigService, load,
    prepare::PreparedKeys,
    repair::{self, Broken},
};
use crate::{
    changeset::{Changeset, KeyChange, KeyUpsert, SecretChange},
    document::Change,
    error::{ConfigError, Fault},
    field::Section,
    judge::Documents,
    keyring::SecretKey,
    snapshot::{ConfigSnapshot, MOST_PREVIOUS, RateLimit},
    sql::{keys, secrets, settings},
};

/// How often a transaction that the database broke off is tried again.
const RETRIES: usize = 3;

/// An open change: nobody else can change settings until it ends.
pub(super) struct OpenChange {
    pub(super) transaction: Transaction<'static, Postgres>,
    pub(super) current: ConfigSnapshot,
    /// The revision of the stored rows; of `current` it is another one where a row is broken.
    pub(super) revision: i64,
    /// What of the stored rows breaks a rule: `current` has the last good ones instead.
    pub(super) broken: Broken,
}

impl ConfigService {
    /// Takes the lock and reads the settings under it.
    pub(super) async fn open_change(&self, context: &ChangeContext) -> Result<OpenChange, ConfigError> {
        let mut transaction = self.shared.pool.begin().await?;
        settings::begin_change(&mut transaction, context.writer()).await?;
        self.ask_fence(&mut transaction).await?;
        let secret_key = self.secret_key();
        let rows = settings::read_all(&mut *transaction, secret_key.id()).await?;
        let revision = rows.revision;
        let (rows, broken) = repair::last_good(&mut transaction, rows).await?;
        let current = load::snapshot_of(rows, secret_key)?;
        Ok(OpenChange { transaction, current, revision, broken })
    }

    /// The settings as they are in the transaction; of what breaks a rule the last good ones, so that a broken row
    /// holds up nobody who changes another one.
    pub(super) async fn read(
        &self,
        connection: &mut PgConnection,
        secret_key: &Arc<SecretKey>,
    ) -> Result<ConfigSnapshot, ConfigError> {
        let rows = settings::read_all(&mut *connection, secret_key.id()).await?;
        let (rows, _broken) = repair::last_good(connection, rows).await?;
        load::snapshot_of(rows, Arc::clone(secret_key))
    }

    /// Names the transaction that is in the way, where a wait for it ended in vain.
    pub(super) async fn explain(&self, error: ConfigError) -> ConfigError {
        if !matches!(error, ConfigError::Locked { .. }) {
            return error;
        }
        match settings::find_blocker(&self.shared.pool).await {
            Ok(blocker) => ConfigError::Locked { blocker },
            Err(_) => error,
        }
    }
}

/// Whether a failed transaction is worth another try, the `attempt`th having failed.
pub(super) fn is_worth_retrying(error: &ConfigError, attempt: usize) -> bool {
    let ConfigError::Failed(source) = error else { return false };
    let code = source.as_database_error().and_then(sqlx::error::DatabaseError::code);
    // Serialization failure and deadlock.
    attempt < RETRIES && matches!(code.as_deref(), Some("40001" | "40P01"))
}

/// Writes what differs, and returns the sections that did.
pub(super) async fn write(
    connection: &mut PgConnection,
    current: &ConfigSnapshot,
    broken: &Broken,
    changeset: &Changeset,
    prepared: &PreparedKeys,
    secret_key: &SecretKey,
) -> Result<BTreeSet<&'static str>, ConfigError> {
    let mut sections = BTreeSet::new();
    let documents = Documents::of(current);
    let differing = documents.differing(&changeset.changes);
    // What is broken is written though it is what the last good row has.
    let due = |change: &&Change| {
        differing.iter().any(|one| one.pointer() == change.pointer()) || broken.has_setting(&change.pointer())
    };
    for section in Section::ALL {
        let own: Vec<_> =
            changeset.changes.iter().filter(|change| change.section == section).filter(due).collect();
        if !own.is_empty() {
            settings::update_section(connection, section, &own).await?;
            sections.insert(section.name());
        }
    }
    for change in &changeset.keys {
        if write_key(connection, current, broken, change, prepared, secret_key).await? {
            sections.insert("api_keys");
        }
    }
    for change in &changeset.secrets {
        if write_secret(connection, change, secret_key).await? {
            sections.insert("secrets");
        }
    }
    Ok(sections)
}

async fn write_key(
    connection: &mut PgConnection,
    current: &ConfigSnapshot,
    broken: &Broken,
    change: &KeyChange,
    prepared: &PreparedKeys,
    secret_key: &SecretKey,
) -> Result<bool, ConfigError> {
    let (_, key_id) = change.name();
    let before = current.key(key_id);
    let KeyChange::Upsert(wanted) = change else {
        if before.is_none() && !broken.has_key(key_id) {
            return Ok(false);
        }
        keys::key_delete(connection, key_id).await?;
        return Ok(true);
    };
    let stored = current.credentials.by_key.get(key_id);
    let secret = prepared.get(key_id).filter(|new| {
        let same = |mac: &crate::keyring::Mac| mac.matches(&new.mac);
        !stored.and_then(|one| one.secret.mac.as_ref()).is_some_and(same)
    });
    let row = row_of(wanted, before, secret.map(|new| new.secret_hash.as_str()));
    let Some(before) = before else {
        keys::key_insert(connection, &row).await?;
        set_mark(connection, key_id, secret, secret_key).await?;
        return Ok(true);
    };
    let same = row.label == before.label
        && row.enabled == before.enabled
        && row.rate_limit == before.rate_limit
        && row.expires_at == before.expires_at
        && secret.is_none()
        && !broken.has_key(key_id);
    let grace_seconds = wanted.grace.unwrap_or_default().as_secs_f64();
    if same {
        // The same secret again may still end the ones before it earlier.
        let ended =
            wanted.grace.is_some() && keys::previous_end_within(connection, key_id, grace_seconds).await?;
        if ended {
            keys::previous_prune(connection, key_id).await?;
        }
        return Ok(ended);
    }
    if secret.is_some() {
        let taken = stored.map_or(0, |one| one.previous_at(OffsetDateTime::now_utc()).count());
        if grace_seconds > 0.0 && taken >= MOST_PREVIOUS {
            let message = format!(
                "{MOST_PREVIOUS} secrets of before are still taken; rotate with grace_seconds 0, which ends them, or wait"
            );
            return Err(ConfigError::invalid(vec![Fault::new("/grace_seconds", message)]));
        }
        keys::previous_end_within(connection, key_id, grace_seconds).await?;
        if grace_seconds > 0.0 {
            keys::previous_add(connection, key_id, grace_seconds).await?;
        }
        keys::previous_prune(connection, key_id).await?;
    }
    keys::key_update(connection, &row).await?;
    set_mark(connection, key_id, secret, secret_key).await?;
    Ok(true)
}

async fn set_mark(
    connection: &mut PgConnection,
    key_id: &str,
    secret: Option<&super::prepare::Prepared>,
    secret_key: &SecretKey,
) -> Result<(), ConfigError> {
    if let Some(new) = secret {
        keys::mac_set(connection, key_id, &new.secret_hash, secret_key.id(), new.mac.bytes()).await?;
    }
    Ok(())
}

fn row_of<'a>(
    wanted: &'a KeyUpsert,
    before: Option<&'a crate::snapshot::ApiKeyInfo>,
    secret_hash: Option<&'a str>,
) -> keys::KeyRow<'a> {
    let key_id = wanted.key_id.as_str();
    keys::KeyRow {
        key_id,
        label: wanted.label.as_deref().or(before.map(|key| key.label.as_str())).unwrap_or(key_id),
        enabled: wanted.enabled.or(before.map(|key| key.enabled)).unwrap_or(true),
        secret_hash,
        rate_limit: match wanted.rate_limit {
            Some(limit) => limit.into(),
            None => before.map_or(Some(RateLimit::DEFAULT), |key| key.rate_limit),
        },
        expires_at: match wanted.expires_at {
            Some(end) => end.into(),
            None => before.and_then(|key| key.expires_at),
        },
    }
}

async fn write_secret(
    connection: &mut PgConnection,
    change: &SecretChange,
    secret_key: &SecretKey,
) -> Result<bool, ConfigError> {
    let (_, name) = change.name();
    let stored = secrets::secret_read(&mut *connection, name).await?;
    match change {
        SecretChange::Delete { .. } if stored.is_none() => Ok(false),
        SecretChange::Delete { .. } => {
            secrets::secret_delete(connection, name).await?;
            Ok(true)
        }
        SecretChange::Set { value, .. } => {
            let opened = stored.and_then(|sealed| secret_key.open(name, &sealed));
            if opened.is_some_and(|opened| opened == value.as_bytes()) {
                return Ok(false);
            }
            let sealed = secret_key.seal(name, value.as_bytes())?;
            secrets::secret_set(connection, name, secret_key.id(), &sealed).await?;
            Ok(true)
        }
    }
}
