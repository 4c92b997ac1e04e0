//! Entries of `api_keys`.

use std::time::Duration;

use serde_json::Value;
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

use super::members::Members;
use crate::{
    shape,
    snapshot::{ApiKeyInfo, KeyId, RateLimit},
    text::is_visible_ascii,
};

/// Characters of a secret that a client brings.
const SECRET: std::ops::RangeInclusive<usize> = 32..=256;

const KEY_ID_RULE: &str = "must be 1 to 64 of the characters A-Z a-z 0-9 _ -";

/// A member that may be null, where absent means "as it was".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nullable<T> {
    Null,
    Value(T),
}

impl<T> From<Nullable<T>> for Option<T> {
    fn from(nullable: Nullable<T>) -> Self {
        match nullable {
            Nullable::Null => None,
            Nullable::Value(value) => Some(value),
        }
    }
}

/// A key that is wanted; an absent member keeps its value. Holds a secret: never printed.
pub(crate) struct KeyUpsert {
    pub(crate) index: usize,
    pub(crate) key_id: KeyId,
    pub(crate) label: Option<String>,
    pub(crate) enabled: Option<bool>,
    pub(crate) secret: Option<String>,
    pub(crate) rate_limit: Option<Nullable<RateLimit>>,
    pub(crate) expires_at: Option<Nullable<OffsetDateTime>>,
    /// A rotation: how long the secrets before this one are taken at most. Otherwise a new secret ends them at once.
    pub(crate) grace: Option<Duration>,
}

impl KeyUpsert {
    /// A key of which only the name is given.
    pub(crate) fn named(index: usize, key_id: KeyId) -> Self {
        Self {
            index,
            key_id,
            label: None,
            enabled: None,
            secret: None,
            rate_limit: None,
            expires_at: None,
            grace: None,
        }
    }

    /// Whether it asks for nothing that `key` is not already; a secret that it brings may be another one.
    pub(crate) fn is_met_by(&self, key: &ApiKeyInfo) -> bool {
        self.secret.is_none()
            && self.label.as_ref().is_none_or(|label| *label == key.label)
            && self.enabled.is_none_or(|enabled| enabled == key.enabled)
            && self.rate_limit.is_none_or(|limit| Option::from(limit) == key.rate_limit)
            && self.expires_at.is_none_or(|end| Option::from(end) == key.expires_at)
    }
}

pub(crate) enum KeyChange {
    Upsert(KeyUpsert),
    Delete { index: usize, key_id: KeyId },
}

impl KeyChange {
    pub(crate) fn name(&self) -> (usize, &str) {
        match self {
            Self::Upsert(wanted) => (wanted.index, wanted.key_id.as_str()),
            Self::Delete { index, key_id } => (*index, key_id.as_str()),
        }
    }
}

pub(super) fn read(index: usize, members: &mut Members<'_>) -> Option<KeyChange> {
    let op = members.required("op", "must be upsert or delete", |value| {
        value.as_str().filter(|op| matches!(*op, "upsert" | "delete")).map(ToOwned::to_owned)
    });
    let key_id = members.required("key_id", KEY_ID_RULE, |value| KeyId::new(value.as_str()?));
    if op.as_deref() == Some("delete") {
        members.only(&["op", "key_id"]);
        return Some(KeyChange::Delete { index, key_id: key_id? });
    }
    members.only(&["op", "key_id", "label", "enabled", "secret", "rate_limit", "expires_at"]);
    let label = label(members);
    let enabled = members.optional("enabled", "must be true or false", Value::as_bool);
    let secret = secret(members);
    let (rate_limit, expires_at) = (rate_limit(members), expires_at(members));
    op?;
    Some(KeyChange::Upsert(KeyUpsert {
        label,
        enabled,
        secret,
        rate_limit,
        expires_at,
        ..KeyUpsert::named(index, key_id?)
    }))
}

pub(crate) fn label(members: &mut Members<'_>) -> Option<String> {
    let rule = "must have 1 to 128 characters, none of them a control character";
    members.optional("label", rule, |value| {
        value.as_str().filter(|text| shape::label(text).is_ok()).map(ToOwned::to_owned)
    })
}

pub(crate) fn key_id(members: &mut Members<'_>) -> Option<KeyId> {
    members.optional("key_id", KEY_ID_RULE, |value| KeyId::new(value.as_str()?))
}

pub(crate) fn secret(members: &mut Members<'_>) -> Option<String> {
    members.optional("secret", "must be 32 to 256 visible ASCII characters", |value| {
        let fits = |text: &&str| SECRET.contains(&text.len()) && is_visible_ascii(text);
        value.as_str().filter(fits).map(ToOwned::to_owned)
    })
}

pub(crate) fn rate_limit(members: &mut Members<'_>) -> Option<Nullable<RateLimit>> {
    let rule = "must be null or {burst, per_seconds}, integers from 1 to 4294967295";
    members.optional("rate_limit", rule, read_rate_limit)
}

pub(crate) fn expires_at(members: &mut Members<'_>) -> Option<Nullable<OffsetDateTime>> {
    members.optional("expires_at", "must be null or an RFC 3339 time", read_time)
}

fn read_rate_limit(value: &Value) -> Option<Nullable<RateLimit>> {
    if value.is_null() {
        return Some(Nullable::Null);
    }
    let limit: RateLimit = serde_json::from_value(value.clone()).ok()?;
    (limit.burst >= 1 && limit.per_seconds >= 1).then_some(Nullable::Value(limit))
}

fn read_time(value: &Value) -> Option<Nullable<OffsetDateTime>> {
    if value.is_null() {
        return Some(Nullable::Null);
    }
    let time = OffsetDateTime::parse(value.as_str()?, &Rfc3339).ok()?.checked_to_offset(UtcOffset::UTC)?;
    // The database keeps microseconds.
    let time = time.replace_nanosecond(time.nanosecond() / 1000 * 1000).ok()?;
    (1970..9999).contains(&time.year()).then_some(Nullable::Value(time))
}
