//! A `SettingsChangeset`, read: everything that is well-formed in it, and every fault of its shape.

pub(crate) mod keys;
pub(crate) mod members;
mod secrets;

use std::collections::HashSet;

use serde_json::Value;

pub(crate) use keys::{KeyChange, KeyUpsert, Nullable};
pub(crate) use secrets::SecretChange;

use self::members::Members;
use crate::{
    document::{Change, PatchReader},
    error::Fault,
    field::Section,
};

/// Entries in `api_keys` and in `secrets`.
const MOST_ENTRIES: usize = 256;

/// What a document is read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A change of an active server.
    Change,
    /// The completion of setup.
    Setup,
    /// A command on the server's own host.
    Host,
}

/// What a document asks for. Holds secrets: never printed.
#[derive(Default)]
pub(crate) struct Changeset {
    pub(crate) changes: Vec<Change>,
    pub(crate) expected_version: Option<i64>,
    pub(crate) keys: Vec<KeyChange>,
    pub(crate) secrets: Vec<SecretChange>,
    pub(crate) passphrase: Option<String>,
}

/// Reads a document; what is wrong with it goes to the second part, the rest to the first.
pub(crate) fn read(body: &Value, purpose: Purpose) -> (Changeset, Vec<Fault>) {
    let mut changeset = Changeset::default();
    let mut faults = Vec::new();
    let Some(body) = body.as_object() else {
        return (changeset, vec![Fault::new("", "must be an object")]);
    };
    for (name, value) in body {
        let section = Section::ALL.into_iter().find(|section| section.name() == name);
        match (section, name.as_str()) {
            (Some(section), _) => PatchReader {
                section,
                during_setup: purpose == Purpose::Setup,
                changes: &mut changeset.changes,
                expected_version: &mut changeset.expected_version,
                faults: &mut faults,
            }
            .read(value),
            (None, "api_keys") => {
                changeset.keys = read_entries("/api_keys", value, &mut faults, keys::read);
                refuse_repeats("/api_keys", changeset.keys.iter().map(KeyChange::name), &mut faults);
            }
            (None, "secrets") => {
                changeset.secrets = read_entries("/secrets", value, &mut faults, secrets::read);
                refuse_repeats("/secrets", changeset.secrets.iter().map(SecretChange::name), &mut faults);
            }
            (None, "passphrase") if purpose == Purpose::Setup => {
                changeset.passphrase = read_passphrase(value, &mut faults);
            }
            _ => {
                let more = if purpose == Purpose::Setup { ", passphrase" } else { "" };
                let message = format!(
                    "is not known; known are app_profile, engine_profile, fs_policy, api_keys, secrets{more}"
                );
                faults.push(Fault::new(format!("/{}", crate::text::pointer_token(name)), message));
            }
        }
    }
    (changeset, faults)
}

fn read_passphrase(value: &Value, faults: &mut Vec<Fault>) -> Option<String> {
    if value.is_null() {
        return None;
    }
    let text = value.as_str().filter(|text| (1..=1024).contains(&text.len()));
    if text.is_none() {
        faults.push(Fault::new("/passphrase", "must be a string of 1 to 1024 bytes"));
    }
    text.map(ToOwned::to_owned)
}

fn read_entries<T>(
    pointer: &str,
    value: &Value,
    faults: &mut Vec<Fault>,
    read_one: impl Fn(usize, &mut Members<'_>) -> Option<T>,
) -> Vec<T> {
    let Some(entries) = value.as_array().filter(|entries| entries.len() <= MOST_ENTRIES) else {
        faults.push(Fault::new(pointer, format!("must be an array of at most {MOST_ENTRIES} entries")));
        return Vec::new();
    };
    let mut read = Vec::with_capacity(entries.len());
    for (index, entry) in entries.iter().enumerate() {
        let at = format!("{pointer}/{index}");
        match Members::new(at.clone(), entry, faults) {
            Some(mut members) => read.extend(read_one(index, &mut members)),
            None => faults.push(Fault::new(at, "must be an object")),
        }
    }
    read
}

/// One entry per name: two would make the order of the array matter.
fn refuse_repeats<'a>(pointer: &str, names: impl Iterator<Item = (usize, &'a str)>, faults: &mut Vec<Fault>) {
    let mut seen = HashSet::new();
    for (index, name) in names {
        if !seen.insert(name) {
            faults.push(Fault::new(format!("{pointer}/{index}"), format!("{name} is named twice")));
        }
    }
}
