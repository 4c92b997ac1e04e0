//! What a change of settings means to the guard rails, and what became of API keys. Whoever made the change.

use revaer_telemetry::{Component, Guard, Telemetry};
use time::OffsetDateTime;

use crate::snapshot::ConfigSnapshot;

/// 5 Gbit/s in bytes per second: a cap beyond it caps nothing that most hosts have.
const MOST_BPS: u64 = 625_000_000;
const UNLIMITED: &str = "unlimited";
const CAPS: &str = "caps";

/// What is wrong with a cap on the whole engine, if anything.
fn cap_fault(direction: &str, cap: Option<u64>) -> Option<String> {
    match cap {
        None => Some(format!("the engine's {direction} cap is off")),
        Some(0) => Some(format!("the engine's {direction} cap is 0: no payload moves in that direction")),
        Some(bps) if bps > MOST_BPS => {
            Some(format!("the engine's {direction} cap of {bps} B/s is above {MOST_BPS} B/s (5 Gbit/s)"))
        }
        Some(_) => None,
    }
}

fn caps(snapshot: &ConfigSnapshot) -> [(&'static str, Option<u64>); 2] {
    [("download", snapshot.engine.max_download_bps), ("upload", snapshot.engine.max_upload_bps)]
}

fn unlimited_reason(key_id: &str) -> String {
    format!("the API key {key_id} has no rate limit; give it one with a rate_limit of {{burst, per_seconds}}")
}

/// The first snapshot of a process: entries for what somebody must have chosen, without counting it again.
pub(super) fn begin(snapshot: &ConfigSnapshot, telemetry: &Telemetry) {
    for key in snapshot.api_keys.iter().filter(|key| key.rate_limit.is_none()) {
        let key_id = key.key_id.as_str();
        telemetry.guardrails.keep(Guard::UnlimitedKey, key_id, &unlimited_reason(key_id));
    }
    // A cap that is off is the default, and nobody's choice.
    for (direction, cap) in caps(snapshot).into_iter().filter(|(_, cap)| cap.is_some()) {
        if let Some(reason) = cap_fault(direction, cap) {
            telemetry.guardrails.keep(Guard::EngineRate, direction, &reason);
        }
    }
    warn(snapshot, telemetry);
}

/// A change of settings.
pub(super) fn observe(before: &ConfigSnapshot, after: &ConfigSnapshot, telemetry: &Telemetry) {
    for key in &after.api_keys {
        let key_id = key.key_id.as_str();
        let was_unlimited = before.key(key_id).is_some_and(|old| old.rate_limit.is_none());
        match key.rate_limit {
            None if !was_unlimited => {
                telemetry.guardrails.raise(Guard::UnlimitedKey, key_id, &unlimited_reason(key_id));
            }
            None => {}
            Some(_) => telemetry.guardrails.lower(Guard::UnlimitedKey, key_id),
        }
    }
    for gone in before.api_keys.iter().filter(|key| after.key(key.key_id.as_str()).is_none()) {
        telemetry.guardrails.lower(Guard::UnlimitedKey, gone.key_id.as_str());
    }
    for ((direction, old), (_, new)) in caps(before).into_iter().zip(caps(after)) {
        match cap_fault(direction, new) {
            Some(reason) if old != new => telemetry.guardrails.raise(Guard::EngineRate, direction, &reason),
            Some(_) => {}
            None => telemetry.guardrails.lower(Guard::EngineRate, direction),
        }
    }
    warn(after, telemetry);
    tell_key_changes(before, after, telemetry);
}

/// Degrades what leans on a guard rail, where the operator wants that.
fn warn(snapshot: &ConfigSnapshot, telemetry: &Telemetry) {
    let wanted = snapshot.app.features.warn_unlimited_rates;
    let say = |component, cause, reasons: Vec<String>| {
        if wanted && !reasons.is_empty() {
            telemetry.health.degrade_by(component, cause, reasons.join("; "));
        } else {
            telemetry.health.clear_by(component, cause);
        }
    };
    let unlimited = snapshot.api_keys.iter().filter(|key| key.rate_limit.is_none());
    let unlimited = unlimited.map(|key| unlimited_reason(key.key_id.as_str())).collect();
    say(Component::ApiKeys, UNLIMITED, unlimited);
    let faults =
        caps(snapshot).into_iter().filter_map(|(direction, cap)| cap_fault(direction, cap)).collect();
    say(Component::EngineRateGuard, CAPS, faults);
}

/// Counts and logs what became of each key, by a changeset or by plain SQL.
fn tell_key_changes(before: &ConfigSnapshot, after: &ConfigSnapshot, telemetry: &Telemetry) {
    let revision = after.revision.get();
    for key in &after.api_keys {
        let key_id = key.key_id.as_str();
        let hash = |snapshot: &ConfigSnapshot| {
            snapshot.credentials.by_key.get(key_id).map(|credential| credential.secret.hash.clone())
        };
        match before.key(key_id) {
            None => {
                tracing::info!(event = "api_key.issued", key_id, revision, "an API key was issued");
                telemetry.metrics.api_key_changed("issued");
            }
            Some(old) if old.enabled && !key.enabled => {
                tracing::info!(event = "api_key.revoked", key_id, revision, "an API key was disabled");
                telemetry.metrics.api_key_changed("revoked");
            }
            Some(_) if hash(before) != hash(after) => {
                tracing::info!(event = "api_key.rotated", key_id, revision, "an API key has another secret");
                telemetry.metrics.api_key_changed("rotated");
            }
            Some(old) if old != key => {
                tracing::info!(event = "api_key.updated", key_id, revision, "an API key was changed");
                telemetry.metrics.api_key_changed("updated");
            }
            Some(_) => {}
        }
    }
    for gone in before.api_keys.iter().filter(|key| after.key(key.key_id.as_str()).is_none()) {
        let key_id = gone.key_id.as_str();
        tracing::info!(event = "api_key.revoked", key_id, revision, "an API key was deleted");
        telemetry.metrics.api_key_changed("revoked");
    }
}

/// Counts and logs the keys that stopped being taken after `since` and until `now`.
pub(super) fn tell_expired(
    snapshot: &ConfigSnapshot,
    since: OffsetDateTime,
    now: OffsetDateTime,
    telemetry: &Telemetry,
) {
    let expired = |end: &OffsetDateTime| since < *end && *end <= now;
    for key in
        snapshot.api_keys.iter().filter(|key| key.enabled && key.expires_at.as_ref().is_some_and(expired))
    {
        tracing::info!(event = "api_key.expired", key_id = key.key_id.as_str(), "an API key has expired");
        telemetry.metrics.api_key_changed("expired");
    }
}
