//! API keys one at a time: issued, rotated with a grace for the old secret, revoked.

use std::time::Duration;

use serde_json::Value;
use time::OffsetDateTime;

use super::{ChangeContext, ConfigService, apply::Existing};
use crate::{
    changeset::{
        Changeset, KeyChange, KeyUpsert, Nullable, Purpose,
        keys::{expires_at, key_id, label, rate_limit, secret},
        members::Members,
    },
    error::{ConfigError, Fault},
    judge,
    keyring::random,
    profile::Mode,
    snapshot::{ApiKeyInfo, KeyId},
    text::base64url,
};

/// Seconds that a rotated secret is still taken, unless the request says otherwise.
const GRACE_SECONDS: u64 = 300;
const PAST: &str = "lies in the past: the key would never be taken";
/// A month.
const LONGEST_GRACE_SECONDS: u64 = 2_592_000;

/// A key with its secret, shown once.
pub struct IssuedKey {
    /// The key.
    pub info: ApiKeyInfo,
    /// Its secret.
    pub secret: String,
    /// Until when the secret before it is still taken.
    pub grace_until: Option<OffsetDateTime>,
}

/// A key that is wanted by whoever is on the host.
#[derive(Debug, Clone)]
pub struct HostKey {
    /// Its name; `None`: it gets one.
    pub key_id: Option<KeyId>,
    /// What it is for; `None`: as it was, or its name.
    pub label: Option<String>,
    /// When it stops being taken; `None`: never.
    pub expires_at: Option<OffsetDateTime>,
    /// A key of that name gets a new secret and is enabled; else that is refused.
    pub replace: bool,
}

impl ConfigService {
    /// Issues a key from the body `{key_id?, label, rate_limit?, expires_at?}`. Without a name it gets one.
    pub async fn issue_key(&self, body: Value, context: ChangeContext) -> Result<IssuedKey, ConfigError> {
        let mut faults = Vec::new();
        let wanted = read_issue(&body, &mut faults)?;
        self.set_key(wanted, Existing::No, Purpose::Change, faults, &context).await
    }

    /// Gives a key another secret by the body `{grace_seconds?, secret?}`; the ones before are taken for so long at most,
    /// so 0 ends them all at once. A secret that the key has already stays, so that the call can be repeated.
    pub async fn rotate_key(
        &self,
        name: &str,
        body: Value,
        context: ChangeContext,
    ) -> Result<IssuedKey, ConfigError> {
        let mut faults = Vec::new();
        let key_id = self.known_key(name)?;
        let wanted = read_rotation(&body, key_id, &mut faults)?;
        self.set_key(wanted, Existing::Yes, Purpose::Change, faults, &context).await
    }

    /// Deletes a key. The last one that opens the door stays.
    pub async fn revoke_key(&self, name: &str, context: ChangeContext) -> Result<(), ConfigError> {
        let key_id = self.known_key(name)?;
        let keys = vec![KeyChange::Delete { index: 0, key_id }];
        let changeset = Changeset { keys, ..Changeset::default() };
        let faults = judge::faults(&self.snapshot(), &changeset, Purpose::Change);
        if !faults.is_empty() {
            return Err(ConfigError::invalid(faults));
        }
        self.commit_change(&changeset, Purpose::Change, Existing::Yes, &context).await.map(drop)
    }

    /// Issues a key for whoever is on the host: whatever `immutable_keys` says, without a rate limit of its own
    /// beyond the default one.
    pub async fn issue_key_on_host(
        &self,
        key: HostKey,
        context: ChangeContext,
    ) -> Result<IssuedKey, ConfigError> {
        if key.expires_at.is_some_and(|end| end <= OffsetDateTime::now_utc()) {
            return Err(ConfigError::invalid(vec![Fault::new("/expires_at", PAST)]));
        }
        let key_id = key.key_id.map_or_else(made_name, Ok)?;
        let mut wanted = KeyUpsert::named(0, key_id);
        wanted.label = key.label;
        wanted.enabled = Some(true);
        wanted.expires_at = Some(key.expires_at.map_or(Nullable::Null, Nullable::Value));
        let existing = if key.replace { Existing::Any } else { Existing::No };
        self.set_key(wanted, existing, Purpose::Host, Vec::new(), &context).await
    }

    fn known_key(&self, name: &str) -> Result<KeyId, ConfigError> {
        let unknown = || ConfigError::NotFound { what: "API key", name: name.to_owned() };
        let snapshot = self.snapshot();
        if snapshot.app.mode == Mode::Setup {
            return Err(ConfigError::SetupRequired);
        }
        snapshot.key(name).map(|key| key.key_id.clone()).ok_or_else(unknown)
    }

    async fn set_key(
        &self,
        mut wanted: KeyUpsert,
        existing: Existing,
        purpose: Purpose,
        mut faults: Vec<Fault>,
        context: &ChangeContext,
    ) -> Result<IssuedKey, ConfigError> {
        let snapshot = self.snapshot();
        if snapshot.app.mode == Mode::Setup {
            return Err(ConfigError::SetupRequired);
        }
        let key_id = wanted.key_id.clone();
        let secret = match wanted.secret.take() {
            Some(secret) => secret,
            None => base64url(&random::<32>()?),
        };
        wanted.secret = Some(secret.clone());
        let changeset = Changeset { keys: vec![KeyChange::Upsert(wanted)], ..Changeset::default() };
        faults.extend(judge::faults(&snapshot, &changeset, purpose));
        if !faults.is_empty() {
            return Err(ConfigError::invalid(faults));
        }
        let applied = self.commit_change(&changeset, purpose, existing, context).await?;
        let name = key_id.as_str();
        let info = applied.snapshot.key(name).cloned();
        let credential = applied.snapshot.credentials.by_key.get(name);
        let now = OffsetDateTime::now_utc();
        let grace_until = credential.and_then(|one| one.previous_at(now).map(|(_, until)| until).max());
        info.map(|info| IssuedKey { info, secret, grace_until })
            .ok_or_else(|| ConfigError::NotFound { what: "API key", name: name.to_owned() })
    }
}

fn members<'a>(body: &'a Value, faults: &'a mut Vec<Fault>) -> Result<Members<'a>, ConfigError> {
    let no_object = || ConfigError::invalid(vec![Fault::new("", "must be an object")]);
    Members::new(String::new(), body, faults).ok_or_else(no_object)
}

fn read_issue(body: &Value, faults: &mut Vec<Fault>) -> Result<KeyUpsert, ConfigError> {
    let mut members = members(body, faults)?;
    members.only(&["key_id", "label", "rate_limit", "expires_at"]);
    let named = key_id(&mut members);
    if members.get("label").is_none() {
        members.fault("label", "is missing; say what the key is for, in 1 to 128 characters");
    }
    let label = label(&mut members);
    let (rate_limit, expires_at) = (rate_limit(&mut members), expires_at(&mut members));
    if matches!(expires_at, Some(Nullable::Value(end)) if end <= OffsetDateTime::now_utc()) {
        members.fault("expires_at", PAST);
    }
    let key_id = match named {
        Some(key_id) => key_id,
        None => made_name()?,
    };
    Ok(KeyUpsert { label, rate_limit, expires_at, ..KeyUpsert::named(0, key_id) })
}

fn read_rotation(body: &Value, key_id: KeyId, faults: &mut Vec<Fault>) -> Result<KeyUpsert, ConfigError> {
    let mut members = members(body, faults)?;
    members.only(&["grace_seconds", "secret"]);
    let rule = "must be an integer from 0 to 2592000";
    let grace = members.optional("grace_seconds", rule, |value| {
        value.as_u64().filter(|seconds| *seconds <= LONGEST_GRACE_SECONDS)
    });
    let secret = secret(&mut members);
    let grace = Some(Duration::from_secs(grace.unwrap_or(GRACE_SECONDS)));
    Ok(KeyUpsert { secret, grace, ..KeyUpsert::named(0, key_id) })
}

fn made_name() -> Result<KeyId, ConfigError> {
    let [a, b, c, d] = random::<4>()?;
    let name = format!("key-{:08x}", u32::from_be_bytes([a, b, c, d]));
    KeyId::new(&name).ok_or(ConfigError::Crypto { operation: "naming a key" })
}
