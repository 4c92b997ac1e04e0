//! A query preset: a filter and an order of the list of torrents, under a name.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;

use crate::{
    error::Fault,
    text::{has_control, is_name, pointer_token},
};

/// Values of one member of a filter.
const MOST_VALUES: usize = 64;
/// Bytes of one value.
const LONGEST_VALUE: usize = 1024;
/// The members of a filter.
const MEMBERS: [&str; 5] = ["state", "tracker", "extension", "tags", "name"];
/// The states of a torrent, as the list filters by them.
const STATES: [&str; 8] =
    ["failed", "stopped", "checking", "fetching_metadata", "queued", "downloading", "seeding", "completed"];
const SORTS: [&str; 2] = ["added_at:desc", "added_at:asc"];

/// A filter and an order of the list of torrents, under a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueryPreset {
    /// What it is asked for by: `[A-Za-z0-9._-]{1,64}`.
    pub name: String,
    /// Which torrents.
    pub filter: PresetFilter,
    /// In which order; `None`: newest first.
    pub sort: Option<PresetSort>,
    /// When it was last stored.
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
}

/// Conditions on a torrent, as the list takes them; an empty list does not restrict.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PresetFilter {
    /// One of these states.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub state: Vec<String>,
    /// One of these is a fragment of a tracker's URL.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tracker: Vec<String>,
    /// A file has one of these extensions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extension: Vec<String>,
    /// All of these tags.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// One of these is a fragment of the name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub name: Vec<String>,
}

/// An order of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PresetSort {
    /// Newest first.
    #[serde(rename = "added_at:desc")]
    Newest,
    /// Oldest first.
    #[serde(rename = "added_at:asc")]
    Oldest,
}

impl PresetSort {
    /// The word on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Newest => "added_at:desc",
            Self::Oldest => "added_at:asc",
        }
    }
}

/// What a preset is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) filter: Value,
    pub(crate) sort: Option<String>,
}

impl Wanted {
    /// Whether a stored preset is this one already.
    pub(crate) fn is_met_by(&self, stored: &QueryPreset) -> bool {
        let filter = serde_json::to_value(&stored.filter).unwrap_or_default();
        filter == self.filter && stored.sort.map(PresetSort::name) == self.sort.as_deref()
    }
}

/// Whether a text can be the name of a preset.
pub(crate) fn is_preset_name(text: &str) -> bool {
    is_name(text, "._-", 64)
}

/// Reads the body `{filter?, sort?}`: each member of the filter a text with commas, or an array of texts.
pub(crate) fn read(body: &Value) -> Result<Wanted, Vec<Fault>> {
    let Some(body) = body.as_object() else { return Err(vec![Fault::new("", "must be an object")]) };
    let mut faults = Vec::new();
    for name in body.keys().filter(|name| !matches!(name.as_str(), "filter" | "sort")) {
        let pointer = format!("/{}", pointer_token(name));
        faults.push(Fault::new(pointer, "is not known here; known are filter, sort"));
    }
    let filter = match body.get("filter") {
        None => Map::new(),
        Some(Value::Object(members)) => read_filter(members, &mut faults),
        Some(_) => {
            faults.push(Fault::new("/filter", "must be an object"));
            Map::new()
        }
    };
    let sort = match body.get("sort") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) if SORTS.contains(&text.as_str()) => Some(text.clone()),
        Some(_) => {
            faults.push(Fault::new("/sort", format!("must be null or one of {}", SORTS.join(", "))));
            None
        }
    };
    if faults.is_empty() { Ok(Wanted { filter: Value::Object(filter), sort }) } else { Err(faults) }
}

fn read_filter(members: &Map<String, Value>, faults: &mut Vec<Fault>) -> Map<String, Value> {
    let mut filter = Map::new();
    for (name, value) in members {
        let pointer = format!("/filter/{}", pointer_token(name));
        if !MEMBERS.contains(&name.as_str()) {
            faults.push(Fault::new(pointer, format!("is not known here; known are {}", MEMBERS.join(", "))));
            continue;
        }
        let values: Vec<Value> = match value {
            Value::String(text) => {
                text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(Value::from).collect()
            }
            Value::Array(values) => values.clone(),
            _ => {
                faults.push(Fault::new(pointer, "must be a string with commas, or an array of strings"));
                continue;
            }
        };
        if values.len() > MOST_VALUES {
            faults.push(Fault::new(pointer, format!("must have at most {MOST_VALUES} values")));
            continue;
        }
        let mut taken = Vec::with_capacity(values.len());
        for (index, value) in values.iter().enumerate() {
            match read_value(name, value) {
                Ok(text) => taken.push(Value::from(text)),
                Err(message) => faults.push(Fault::new(format!("{pointer}/{index}"), message)),
            }
        }
        if !taken.is_empty() {
            filter.insert(name.clone(), Value::Array(taken));
        }
    }
    filter
}

fn read_value(member: &str, value: &Value) -> Result<String, String> {
    let text = value.as_str().ok_or("must be a string")?;
    if !(1..=LONGEST_VALUE).contains(&text.len()) || has_control(text) {
        return Err(format!("must have 1 to {LONGEST_VALUE} bytes, none of them a control character"));
    }
    if member != "state" {
        return Ok(text.to_owned());
    }
    let state = text.to_ascii_lowercase();
    if STATES.contains(&state.as_str()) {
        Ok(state)
    } else {
        Err(format!("must be one of {}", STATES.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_with_commas_and_arrays_are_one() {
        let by_text = read(&json!({"filter": {"state": "Seeding, queued", "name": ""}})).unwrap();
        let by_list = read(&json!({"filter": {"state": ["seeding", "queued"]}, "sort": null})).unwrap();
        assert_eq!(by_text, by_list);
        let read: PresetFilter = serde_json::from_value(by_list.filter).unwrap();
        assert_eq!(read.state, ["seeding", "queued"]);
    }

    #[test]
    fn every_fault_is_named() {
        let body = json!({
            "filter": {"state": ["asleep"], "tags": [1], "name": {}, "other": [], "tracker": ["a\n"]},
            "sort": "name", "more": 1
        });
        let mut pointers: Vec<_> = read(&body).unwrap_err().into_iter().map(|fault| fault.pointer).collect();
        pointers.sort();
        let expected = [
            "/filter/name",
            "/filter/other",
            "/filter/state/0",
            "/filter/tags/0",
            "/filter/tracker/0",
            "/more",
            "/sort",
        ];
        assert_eq!(pointers, expected);
        assert_eq!(read(&json!([])).unwrap_err()[0].pointer, "");
    }
}
