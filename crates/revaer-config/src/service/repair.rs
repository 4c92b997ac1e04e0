//! Rows that got in and break a rule: in their place come the last good ones of the history.

use serde_json::Value;
use sqlx::PgConnection;

use super::load;
use crate::{
    document,
    error::{ConfigError, Fault},
    field::Section,
    profile::{AppProfile, EngineProfile, FsPolicy},
    sql::{history, settings::Rows},
};

/// How far back the history is searched for a row that still holds.
const HISTORY_DEPTH: i64 = 100;

/// What is broken, by what a change of it would name.
#[derive(Debug, Default)]
pub(super) struct Broken {
    /// The faults of documents, each at its setting.
    documents: Vec<Fault>,
    /// The ids of keys, with what is wrong.
    keys: Vec<(String, Fault)>,
    /// The presets, with what is wrong.
    presets: Vec<Fault>,
}

impl Broken {
    /// The first thing that is broken.
    pub(super) fn first(&self) -> Option<&Fault> {
        let keys = self.keys.iter().map(|(_, fault)| fault);
        self.documents.iter().chain(keys).chain(&self.presets).next()
    }

    /// Whether the stored value of a setting is broken, or one within it.
    pub(super) fn has_setting(&self, pointer: &str) -> bool {
        let within = |fault: &Fault| {
            fault.pointer.strip_prefix(pointer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.documents.iter().any(within)
    }

    /// Whether the stored row of a key is broken.
    pub(super) fn has_key(&self, key_id: &str) -> bool {
        self.keys.iter().any(|(broken, _)| broken == key_id)
    }
}

/// The rows with the last good ones in place of those that break a rule. Their revision is not the stored one then: the
/// watcher has to go on looking for one that holds.
pub(super) async fn last_good(
    connection: &mut PgConnection,
    mut rows: Rows,
) -> Result<(Rows, Broken), ConfigError> {
    let mut broken = Broken::default();
    for section in Section::ALL {
        let row = match section {
            Section::App => &mut rows.app,
            Section::Engine => &mut rows.engine,
            Section::Fs => &mut rows.fs,
        };
        let Err(ConfigError::InvalidStored { fault }) = check(section, row.as_ref()) else { continue };
        let faults = row.as_ref().and_then(|row| document::from_row(section, row).err());
        broken.documents.extend(faults.unwrap_or_else(|| vec![fault]));
        let candidates = history::last_rows(&mut *connection, section.name(), HISTORY_DEPTH).await?;
        *row = candidates.into_iter().find(|candidate| check(section, Some(candidate)).is_ok());
    }
    if let Value::Array(keys) = &mut rows.keys {
        for row in std::mem::take(keys) {
            match load::key_of(row.clone()) {
                Err(ConfigError::InvalidStored { fault }) => {
                    broken.keys.push((text(&row, "key_id").to_owned(), fault));
                    keys.extend(last_good_key(&mut *connection, &row).await?);
                }
                _ => keys.push(row),
            }
        }
    }
    if let Value::Array(presets) = &mut rows.presets {
        for row in std::mem::take(presets) {
            match load::preset_of(&row) {
                Err(ConfigError::InvalidStored { fault }) => {
                    broken.presets.push(fault);
                    let name = text(&row, "name");
                    let rows =
                        history::last_rows_of(&mut *connection, "query_presets", name, HISTORY_DEPTH).await?;
                    presets.extend(rows.into_iter().find(|row| load::preset_of(row).is_ok()));
                }
                _ => presets.push(row),
            }
        }
    }
    if broken.first().is_some() {
        rows.revision -= 1;
    }
    Ok((rows, broken))
}

/// What the history says of a key, with the secrets of its row: the history does not hold those. A row whose secret
/// is nonsense lets nobody in.
async fn last_good_key(connection: &mut PgConnection, row: &Value) -> Result<Option<Value>, ConfigError> {
    for mut candidate in
        history::last_rows_of(connection, "api_keys", text(row, "key_id"), HISTORY_DEPTH).await?
    {
        let Some(members) = candidate.as_object_mut() else { continue };
        for member in ["secret_hash", "mac", "previous"] {
            if let Some(value) = row.get(member) {
                members.insert(member.to_owned(), value.clone());
            }
        }
        if load::key_of(candidate.clone()).is_ok() {
            return Ok(Some(candidate));
        }
    }
    Ok(None)
}

fn text<'a>(row: &'a Value, member: &str) -> &'a str {
    row.get(member).and_then(Value::as_str).unwrap_or_default()
}

fn check(section: Section, row: Option<&Value>) -> Result<(), ConfigError> {
    match section {
        Section::App => load::profile_of::<AppProfile>(section, row).map(drop),
        Section::Engine => load::profile_of::<EngineProfile>(section, row).map(drop),
        Section::Fs => load::profile_of::<FsPolicy>(section, row).map(drop),
    }
}
