//! The history: what changed since a revision, page by page, and the documents as they were.

use serde::Serialize;
use serde_json::{Map, Value};
use time::{OffsetDateTime, UtcOffset};

use super::ConfigService;
use crate::{
    document,
    error::ConfigError,
    field::Section,
    snapshot::Revision,
    sql::{self, history::HistoryRow},
};

/// Revisions in one answer.
const MOST: i64 = 1000;
/// Rows in one page, and of one revision, which may have one for each key of a large change: what is beyond is left
/// out.
const MOST_ROWS: i64 = 10_000;

/// One revision: what changed and who did it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevisionChange {
    /// The revision that the change made.
    pub revision: Revision,
    /// The members of the snapshot that changed (and `query_presets`), sorted.
    pub sections: Vec<String>,
    /// Who made it: a key id, or the database role of a plain SQL change.
    pub actor: String,
    /// The request that caused it.
    pub request_id: Option<String>,
}

impl ConfigService {
    /// The revisions after `revision`, oldest first, at most a thousand.
    pub async fn changes_since(&self, revision: Revision) -> Result<Vec<RevisionChange>, ConfigError> {
        let rows = sql::history::changes_after(&self.shared.pool, revision.get(), MOST).await?;
        Ok(rows
            .into_iter()
            .map(|row| RevisionChange {
                revision: Revision(row.revision),
                sections: row.sections,
                actor: row.actor,
                request_id: row.request_id,
            })
            .collect())
    }
}

/// Which part of the history is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryQuery {
    /// The revisions above this one, oldest first. Not looked at where `before` is given.
    pub after: i64,
    /// The revisions below this one, newest first.
    pub before: Option<i64>,
    /// At most so many revisions.
    pub limit: u32,
}

/// A part of the history.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HistoryPage {
    /// In the order that was asked for.
    pub history: Vec<HistoryEntry>,
    /// What to ask for next, as `after` or `before`; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<i64>,
}

/// What one writer did in one revision.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HistoryEntry {
    /// The revision that the change made; what happens to setup tokens makes none, and has the one in force.
    pub revision: i64,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// Who: a key id, a host command, or the database role of a plain SQL change.
    pub actor: String,
    /// The request that caused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Why, in the writer's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What.
    pub changes: Vec<HistoryChange>,
}

/// One row that changed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HistoryChange {
    /// The member of the snapshot, or `query_presets`, or `setup_tokens`.
    pub section: String,
    /// `insert`, `update` or `delete`; for setup tokens what became of them.
    pub op: String,
    /// Which key, secret, preset or token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The members that differ, as they were; null where there was nothing.
    pub old: Value,
    /// The members that differ, as they are; null where there is nothing.
    pub new: Value,
}

impl ConfigService {
    /// A part of the history.
    pub async fn history(&self, query: HistoryQuery) -> Result<HistoryPage, ConfigError> {
        let pool = &self.shared.pool;
        let limit = i64::from(query.limit.max(1));
        // One more than asked for says whether there is a next page.
        let mut revisions = match query.before {
            Some(before) => sql::history::revisions_before(pool, before, limit + 1).await?,
            None => sql::history::revisions_after(pool, query.after, limit + 1).await?,
        };
        let more = i64::try_from(revisions.len()).is_ok_and(|found| found > limit);
        if more {
            revisions.pop();
        }
        let (Some(first), Some(last)) = (revisions.first().copied(), revisions.last().copied()) else {
            return Ok(HistoryPage { history: Vec::new(), next: None });
        };
        let mut pages = revisions.iter().copied();
        let mut rows = Vec::new();
        let mut reached = last;
        let mut cut = false;
        // Revision by revision where there is much of it, so that a page ends with a whole one.
        if sql::history::count_between(pool, first.min(last), first.max(last)).await? <= MOST_ROWS {
            rows = sql::history::rows_between(pool, first.min(last), first.max(last), MOST_ROWS).await?;
            if query.before.is_some() {
                rows.sort_by_key(|row| std::cmp::Reverse(row.revision));
            }
        } else {
            for revision in pages.by_ref() {
                let own = sql::history::rows_between(pool, revision, revision, MOST_ROWS).await?;
                rows.extend(own);
                reached = revision;
                if i64::try_from(rows.len()).unwrap_or(i64::MAX) >= MOST_ROWS {
                    cut = pages.next().is_some();
                    break;
                }
            }
        }
        Ok(HistoryPage { history: entries(rows), next: (more || cut).then_some(reached) })
    }

    /// The three documents as of a revision, as a changeset that brings them back; `None` where the history does not
    /// know the revision. What they did not have then is left out.
    pub async fn documents_at(&self, revision: i64) -> Result<Option<Value>, ConfigError> {
        if revision < 1 || revision > self.snapshot().revision.get() {
            return Ok(None);
        }
        let mut documents = Map::new();
        for section in Section::ALL {
            let row = sql::history::row_at(&self.shared.pool, section.name(), revision).await?;
            let Some(row) = row else { return Ok(None) };
            documents.insert(section.name().to_owned(), document::settable(section, &row));
        }
        documents.insert("revision".to_owned(), Value::from(revision));
        Ok(Some(Value::Object(documents)))
    }
}

/// Rows that one writer wrote in one revision stand together.
fn entries(rows: Vec<HistoryRow>) -> Vec<HistoryEntry> {
    let mut entries: Vec<HistoryEntry> = Vec::new();
    for row in rows {
        let change = change_of(&row);
        let is_token = row.section == "setup_tokens";
        let same = entries.last_mut().filter(|entry| {
            let tokens = entry.changes.iter().any(|change| change.section == "setup_tokens");
            let together = entry.revision == row.revision
                && entry.actor == row.actor
                && entry.request_id == row.request_id
                && entry.reason == row.reason;
            together && !is_token && !tokens
        });
        match same {
            Some(entry) => entry.changes.push(change),
            None => entries.push(HistoryEntry {
                revision: row.revision,
                at: row.at.to_offset(UtcOffset::UTC),
                actor: row.actor,
                request_id: row.request_id,
                reason: row.reason,
                changes: vec![change],
            }),
        }
    }
    entries
}

fn change_of(row: &HistoryRow) -> HistoryChange {
    let section = Section::ALL.into_iter().find(|section| section.name() == row.section);
    let shown = |row: Option<&Value>| match (section, row) {
        (_, None) => Value::Null,
        (Some(section), Some(row)) => document::shown(section, row),
        (None, Some(row)) => row.clone(),
    };
    let (old, new) = (shown(row.old.as_ref()), shown(row.new.as_ref()));
    let (old, new) = match (&old, &new) {
        (Value::Object(was), Value::Object(is)) => (differing(was, is), differing(is, was)),
        _ => (old, new),
    };
    HistoryChange {
        section: row.section.clone(),
        op: row.op.clone(),
        key: section.is_none().then(|| named(row)),
        old,
        new,
    }
}

/// What a row is known by: a key by its id, though the secrets that it had before are rows of their own.
fn named(row: &HistoryRow) -> String {
    let key_id = [&row.new, &row.old].into_iter().flatten().find_map(|row| row.get("key_id")?.as_str());
    key_id.map_or_else(|| row.row_key.clone(), ToOwned::to_owned)
}

/// The members of `one` that `other` does not have alike.
fn differing(one: &Map<String, Value>, other: &Map<String, Value>) -> Value {
    let mut differ = Map::new();
    for (name, value) in one {
        match (value, other.get(name)) {
            (_, Some(same)) if same == value => {}
            (Value::Object(inner), Some(Value::Object(also))) => {
                differ.insert(name.clone(), differing(inner, also));
            }
            _ => {
                differ.insert(name.clone(), value.clone());
            }
        }
    }
    Value::Object(differ)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_differs_is_shown() {
        let row = HistoryRow {
            revision: 3,
            at: OffsetDateTime::UNIX_EPOCH,
            actor: "admin".to_owned(),
            request_id: None,
            reason: None,
            section: "app_profile".to_owned(),
            op: "update".to_owned(),
            row_key: "true".to_owned(),
            old: Some(json!({"telemetry_log_level": "info", "http_port": 1, "version": 1})),
            new: Some(json!({"telemetry_log_level": "warn", "http_port": 1, "version": 2})),
        };
        let change = change_of(&row);
        assert_eq!(change.old, json!({"telemetry": {"log_level": "info"}, "version": 1}));
        assert_eq!(change.new, json!({"telemetry": {"log_level": "warn"}, "version": 2}));
        assert_eq!(change.key, None);
    }
}
