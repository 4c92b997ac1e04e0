//! Entries of `secrets`.

use super::members::Members;
use crate::text::is_name;

/// Bytes of a secret's value.
const LONGEST: usize = 65_536;

/// Names that begin with this are the server's own, and never listed.
pub(crate) const RESERVED: &str = "revaer.";

/// A secret that is wanted or unwanted. Holds the value: never printed.
pub(crate) enum SecretChange {
    Set { index: usize, name: String, value: String },
    Delete { index: usize, name: String },
}

impl SecretChange {
    pub(crate) fn name(&self) -> (usize, &str) {
        match self {
            Self::Set { index, name, .. } | Self::Delete { index, name } => (*index, name),
        }
    }
}

pub(super) fn read(index: usize, members: &mut Members<'_>) -> Option<SecretChange> {
    let op = members.required("op", "must be set or delete", |value| {
        value.as_str().filter(|op| matches!(*op, "set" | "delete")).map(ToOwned::to_owned)
    });
    let rule = "must be 1 to 128 of the characters A-Z a-z 0-9 . _ - and not begin with revaer.";
    let name = members.required("name", rule, |value| {
        value
            .as_str()
            .filter(|name| is_name(name, "._-", 128) && !name.starts_with(RESERVED))
            .map(ToOwned::to_owned)
    });
    if op.as_deref() == Some("delete") {
        members.only(&["op", "name"]);
        return Some(SecretChange::Delete { index, name: name? });
    }
    members.only(&["op", "name", "value"]);
    let value = members.required("value", "must be a string of 1 to 65536 bytes", |value| {
        value.as_str().filter(|text| (1..=LONGEST).contains(&text.len())).map(ToOwned::to_owned)
    });
    op?;
    Some(SecretChange::Set { index, name: name?, value: value? })
}
