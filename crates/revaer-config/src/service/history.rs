//! What changed since a revision: for the `settings_changed` events.

use super::ConfigService;
use crate::{error::ConfigError, snapshot::Revision, sql};

/// Revisions in one answer.
const MOST: i64 = 1000;

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
