//! From rows to a snapshot. Pure.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use time::{OffsetDateTime, UtcOffset};

use crate::{
    document,
    error::{ConfigError, Fault},
    field::Section,
    keyring::{Mac, SecretKey},
    preset::{self, QueryPreset},
    shape,
    snapshot::{
        ApiKeyInfo, ConfigSnapshot, Credential, Credentials, KeyId, MOST_PREVIOUS, Proof, RateLimit, Revision,
    },
    sql::settings::Rows,
};

/// Bytes of a hash, as the database has it.
const LONGEST_HASH: usize = 512;

#[derive(Deserialize)]
struct KeyRow {
    key_id: String,
    label: String,
    enabled: bool,
    secret_hash: String,
    rate_limit_burst: Option<u32>,
    rate_limit_per_seconds: Option<u32>,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    expires_at: Option<OffsetDateTime>,
    mac: Option<String>,
    #[serde(default)]
    previous: Vec<PreviousRow>,
}

#[derive(Deserialize)]
struct PreviousRow {
    secret_hash: String,
    #[serde(with = "time::serde::rfc3339")]
    until: OffsetDateTime,
    mac: Option<String>,
}

/// A snapshot, and when what it shows was committed.
pub(crate) struct Loaded {
    pub(crate) snapshot: ConfigSnapshot,
    pub(crate) committed_at: Instant,
}

/// [`snapshot_of`] with the time of its commit by this process's clock; the database's may be set otherwise.
pub(crate) fn loaded(rows: Rows, secret_key: Arc<SecretKey>) -> Result<Loaded, ConfigError> {
    let age = Duration::try_from_secs_f64(rows.age_seconds).unwrap_or_default();
    let now = Instant::now();
    let committed_at = now.checked_sub(age).unwrap_or(now);
    Ok(Loaded { snapshot: snapshot_of(rows, secret_key)?, committed_at })
}

/// The snapshot of the rows, or the first rule that they break.
pub(crate) fn snapshot_of(rows: Rows, secret_key: Arc<SecretKey>) -> Result<ConfigSnapshot, ConfigError> {
    let (api_keys, by_key) = keys_of(rows.keys)?;
    Ok(ConfigSnapshot {
        revision: Revision(rows.revision),
        app: profile_of(Section::App, rows.app.as_ref())?,
        engine: profile_of(Section::Engine, rows.engine.as_ref())?,
        fs: profile_of(Section::Fs, rows.fs.as_ref())?,
        api_keys,
        secrets: rows.secrets,
        presets: presets_of(&rows.presets)?,
        credentials: Credentials { secret_key, by_key },
    })
}

/// Checks one row and reads it as its profile.
pub(crate) fn profile_of<P: DeserializeOwned>(
    section: Section,
    row: Option<&Value>,
) -> Result<P, ConfigError> {
    let stored = |fault: Fault| ConfigError::InvalidStored { fault };
    let at = || format!("/{}", section.name());
    let row = row.ok_or_else(|| stored(Fault::new(at(), "the row is missing")))?;
    let document = document::from_row(section, row).map_err(|faults| {
        stored(faults.into_iter().next().unwrap_or_else(|| Fault::new(at(), "the row is not valid")))
    })?;
    serde_json::from_value(document).map_err(|error| stored(Fault::new(at(), error.to_string())))
}

fn keys_of(rows: Value) -> Result<(Vec<ApiKeyInfo>, HashMap<String, Credential>), ConfigError> {
    let Value::Array(rows) = rows else { return Err(broken_key("the rows are no array")) };
    let mut infos = Vec::with_capacity(rows.len());
    let mut by_key = HashMap::with_capacity(rows.len());
    for row in rows {
        let (info, credential) = key_of(row)?;
        by_key.insert(info.key_id.to_string(), credential);
        infos.push(info);
    }
    // The database sorts by its own collation.
    infos.sort_unstable_by(|a, b| a.key_id.cmp(&b.key_id));
    Ok((infos, by_key))
}

/// One key from its row, or the rule that it breaks.
pub(crate) fn key_of(row: Value) -> Result<(ApiKeyInfo, Credential), ConfigError> {
    let row: KeyRow = serde_json::from_value(row).map_err(|error| broken_key(&error.to_string()))?;
    let key_id = KeyId::new(&row.key_id).ok_or_else(|| broken_key("a key id is not a name"))?;
    for hash in std::iter::once(&row.secret_hash).chain(row.previous.iter().map(|one| &one.secret_hash)) {
        if !hash.starts_with("$argon2id$") || hash.len() > LONGEST_HASH {
            return Err(broken_key(&format!("the hash of a secret of {key_id} is no argon2id hash")));
        }
    }
    if shape::label(&row.label).is_err() {
        return Err(broken_key(&format!("the label of {key_id} has no or too many characters")));
    }
    let rate_limit = row.rate_limit_burst.zip(row.rate_limit_per_seconds);
    let info = ApiKeyInfo {
        key_id,
        label: row.label,
        enabled: row.enabled,
        rate_limit: rate_limit.map(|(burst, per_seconds)| RateLimit { burst, per_seconds }),
        created_at: row.created_at.to_offset(UtcOffset::UTC),
        expires_at: row.expires_at.map(|time| time.to_offset(UtcOffset::UTC)),
    };
    let mac = |hex: Option<String>| hex.and_then(|hex| Mac::from_slice(&from_hex(&hex)?));
    let secret = Proof { hash: row.secret_hash, mac: mac(row.mac) };
    let previous = row.previous.into_iter();
    let mut previous: Vec<_> = previous
        .map(|one| (Proof { hash: one.secret_hash, mac: mac(one.mac) }, one.until.to_offset(UtcOffset::UTC)))
        .collect();
    // Those that are taken for longest: a request is compared with no more of them.
    previous.sort_unstable_by_key(|(_, until)| std::cmp::Reverse(*until));
    previous.truncate(MOST_PREVIOUS);
    Ok((info, Credential { secret, previous }))
}

/// The presets, or the rule that one of them breaks.
pub(crate) fn presets_of(rows: &Value) -> Result<Vec<QueryPreset>, ConfigError> {
    let Value::Array(rows) = rows else { return Err(broken_preset("the rows are no array")) };
    rows.iter().map(preset_of).collect()
}

/// One preset from its row, or the rule that it breaks.
pub(crate) fn preset_of(row: &Value) -> Result<QueryPreset, ConfigError> {
    let mut stored: QueryPreset =
        QueryPreset::deserialize(row).map_err(|error| broken_preset(&error.to_string()))?;
    // Judged by the rule of requests: what they could not have stored does not take effect.
    let body = serde_json::json!({"filter": row.get("filter"), "sort": row.get("sort")});
    if let Some(fault) = preset::read(&body).err().and_then(|faults| faults.into_iter().next()) {
        return Err(broken_preset(&format!("{} at {}: {}", stored.name, fault.pointer, fault.message)));
    }
    stored.updated_at = stored.updated_at.to_offset(UtcOffset::UTC);
    Ok(stored)
}

fn broken_preset(message: &str) -> ConfigError {
    ConfigError::InvalidStored { fault: Fault::new("/query_presets", message) }
}

fn broken_key(message: &str) -> ConfigError {
    ConfigError::InvalidStored { fault: Fault::new("/api_keys", message) }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}
