//! What a well-formed changeset means against the settings in force. Pure.

use std::path::Path;

use serde_json::Value;
use time::OffsetDateTime;

use crate::{
    changeset::{Changeset, KeyChange, Purpose},
    document::{Change, value_at},
    error::{ConfigError, Fault},
    field::Section,
    snapshot::ConfigSnapshot,
};

/// The documents of a snapshot, to compare with.
pub(crate) struct Documents([Value; 3]);

impl Documents {
    pub(crate) fn of(snapshot: &ConfigSnapshot) -> Self {
        let wire = |value: Result<Value, serde_json::Error>| value.expect("profiles have string keys only");
        Self([
            wire(serde_json::to_value(&snapshot.app)),
            wire(serde_json::to_value(&snapshot.engine)),
            wire(serde_json::to_value(&snapshot.fs)),
        ])
    }

    fn section(&self, section: Section) -> &Value {
        let [app, engine, fs] = &self.0;
        match section {
            Section::App => app,
            Section::Engine => engine,
            Section::Fs => fs,
        }
    }

    /// The changes that make a difference.
    pub(crate) fn differing<'a>(&self, changes: &'a [Change]) -> Vec<&'a Change> {
        changes
            .iter()
            .filter(|change| value_at(self.section(change.section), change.field) != Some(&change.value))
            .collect()
    }

    /// A value as it will be.
    fn wanted<'a>(&'a self, changes: &[&'a Change], section: Section, path: &str) -> (&'a Value, bool) {
        match changes.iter().find(|change| change.section == section && change.field.path == path) {
            Some(change) => (&change.value, true),
            None => (self.section(section).get(path).unwrap_or(&Value::Null), false),
        }
    }
}

/// Everything that is wrong with `changeset` against `current`.
pub(crate) fn faults(current: &ConfigSnapshot, changeset: &Changeset, purpose: Purpose) -> Vec<Fault> {
    let documents = Documents::of(current);
    let differing = documents.differing(&changeset.changes);
    // Whoever is on the host can issue a key whatever the settings say: it is the way back in.
    let mut faults =
        if purpose == Purpose::Host { Vec::new() } else { immutable_faults(current, &differing, changeset) };
    faults.extend(name_faults(&differing));
    faults.extend(coverage_faults(&documents, &differing));
    faults.extend(key_faults(current, changeset, purpose));
    faults
}

/// Adds what was judged to what is wrong with the shape. A member of the wrong shape counts as absent when it is
/// judged: that it is missing would be a second fault for the same mistake.
pub(crate) fn add(faults: &mut Vec<Fault>, mut judged: Vec<Fault>) {
    judged.retain(|fault| faults.iter().all(|one| one.pointer != fault.pointer));
    faults.append(&mut judged);
}

fn immutable_faults(current: &ConfigSnapshot, differing: &[&Change], changeset: &Changeset) -> Vec<Fault> {
    let entries = &current.app.immutable_keys;
    let mut faults = Vec::new();
    for change in differing {
        if let Some(entry) = entries.iter().find(|entry| blocks(entry, change.section, change.field.path)) {
            faults.push(Fault::new(change.pointer(), immutable_message(entry)));
        }
    }
    let keys_differ = changeset.keys.iter().any(|change| match change {
        KeyChange::Upsert(wanted) => {
            !current.key(wanted.key_id.as_str()).is_some_and(|key| wanted.is_met_by(key))
        }
        KeyChange::Delete { key_id, .. } => current.key(key_id.as_str()).is_some(),
    });
    for (section, touched) in [("api_keys", keys_differ), ("secrets", !changeset.secrets.is_empty())] {
        let entry = entries.iter().find(|entry| entry.strip_suffix(".*").unwrap_or(entry) == section);
        if let Some(entry) = entry.filter(|_| touched) {
            faults.push(Fault::new(format!("/{section}"), immutable_message(entry)));
        }
    }
    faults
}

fn immutable_message(entry: &str) -> String {
    format!("is immutable by the entry {entry} of app_profile.immutable_keys")
}

/// Whether an entry of `immutable_keys` blocks the field at `path`.
fn blocks(entry: &str, section: Section, path: &str) -> bool {
    let named = entry.strip_suffix(".*").unwrap_or(entry);
    let full = format!("{}.{path}", section.name());
    let within =
        |whole: &str| whole == named || whole.strip_prefix(named).is_some_and(|rest| rest.starts_with('.'));
    // The list could otherwise never be changed again by an entry that does not name it.
    if path == "immutable_keys" {
        return named == path || named == full;
    }
    within(&full) || within(path)
}

/// An entry of the list that names nothing would protect nothing.
fn name_faults(differing: &[&Change]) -> Vec<Fault> {
    let listed = differing.iter().filter(|change| change.field.path == "immutable_keys");
    let entries = listed.flat_map(|change| change.value.as_array().into_iter().flatten().enumerate());
    entries
        .filter(|(_, entry)| !entry.as_str().is_some_and(names_something))
        .map(|(index, _)| Fault::new(format!("/app_profile/immutable_keys/{index}"), "names no setting"))
        .collect()
}

fn names_something(entry: &str) -> bool {
    let named = entry.strip_suffix(".*").unwrap_or(entry);
    let by_field = |section: Section| {
        section.name() == named || section.fields().iter().any(|field| blocks(entry, section, field.path))
    };
    matches!(named, "api_keys" | "secrets") || Section::ALL.into_iter().any(by_field)
}

/// Where `allow_paths` is not empty it covers the download and library roots.
fn coverage_faults(documents: &Documents, differing: &[&Change]) -> Vec<Fault> {
    let (allowed, allowed_changed) = documents.wanted(differing, Section::Fs, "allow_paths");
    let allowed: Vec<&Path> =
        allowed.as_array().into_iter().flatten().filter_map(Value::as_str).map(Path::new).collect();
    if allowed.is_empty() {
        return Vec::new();
    }
    let mut faults = Vec::new();
    for (section, path) in [(Section::Engine, "download_root"), (Section::Fs, "library_root")] {
        let (root, root_changed) = documents.wanted(differing, section, path);
        let Some(root) = root.as_str() else { continue };
        if !(allowed_changed || root_changed) || allowed.iter().any(|one| Path::new(root).starts_with(one)) {
            continue;
        }
        faults.push(if root_changed {
            Fault::new(
                format!("/{}/{path}", section.name()),
                format!("{root} is not within fs_policy.allow_paths; add it there, or choose a path within"),
            )
        } else {
            let message =
                format!("no entry covers {}.{path} ({root}); add it, or move the root too", section.name());
            Fault::new("/fs_policy/allow_paths", message)
        });
    }
    faults
}

fn key_faults(current: &ConfigSnapshot, changeset: &Changeset, purpose: Purpose) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut first = true;
    for change in &changeset.keys {
        let KeyChange::Upsert(wanted) = change else { continue };
        // In setup the first key's secret is made here and shown in the answer.
        let generated = purpose == Purpose::Setup && std::mem::take(&mut first);
        if wanted.secret.is_none() && !generated && current.key(wanted.key_id.as_str()).is_none() {
            let message =
                "a new key needs a secret of at least 32 characters, such as `openssl rand -hex 32` prints";
            faults.push(Fault::new(format!("/api_keys/{}/secret", wanted.index), message));
        }
    }
    faults
}

/// Refuses a change of keys after which nobody could make the next change: not at once, and not later either, when the
/// last keys have come to their ends. Who was on the host may have left keys with ends only; then the last of those
/// ends must not come earlier.
pub(crate) fn keeps_a_key(
    current: &ConfigSnapshot,
    changes: &[KeyChange],
    now: OffsetDateTime,
) -> Result<(), ConfigError> {
    let ends = |keys: &[(String, bool, Option<OffsetDateTime>)]| {
        let usable = keys.iter().filter(|(_, enabled, end)| *enabled && end.is_none_or(|end| end > now));
        usable.map(|(_, _, end)| *end).max_by(|one, other| later(*one, *other))
    };
    let mut keys: Vec<(String, bool, Option<OffsetDateTime>)> =
        current.api_keys.iter().map(|key| (key.key_id.to_string(), key.enabled, key.expires_at)).collect();
    let before = ends(&keys);
    for change in changes {
        let (_, name) = change.name();
        let known = keys.iter().position(|(key_id, ..)| key_id == name).map(|at| keys.swap_remove(at));
        let KeyChange::Upsert(wanted) = change else { continue };
        let (_, enabled, expires_at) = known.unwrap_or((name.to_owned(), true, None));
        let end = wanted.expires_at.map_or(expires_at, Into::into);
        keys.push((name.to_owned(), wanted.enabled.unwrap_or(enabled), end));
    }
    match (before, ends(&keys)) {
        (Some(_), None) => Err(ConfigError::LastKey),
        (Some(before), Some(after)) if later(after, before).is_lt() => Err(ConfigError::LastKey),
        _ => Ok(()),
    }
}

/// No end at all is later than any.
fn later(one: Option<OffsetDateTime>, other: Option<OffsetDateTime>) -> std::cmp::Ordering {
    match (one, other) {
        (None, None) => std::cmp::Ordering::Equal,
        (None, Some(_)) => std::cmp::Ordering::Greater,
        (Some(_), None) => std::cmp::Ordering::Less,
        (Some(one), Some(other)) => one.cmp(&other),
    }
}
