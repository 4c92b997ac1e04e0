//! The history of the settings: who changed what, when and why.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// A part of the history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SettingsHistory {
    /// Oldest first; newest first where it was asked for with `before`.
    pub history: Vec<SettingsHistoryEntry>,
    /// What to send as `after` (or `before`) for the next page; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<i64>,
}

/// What one writer did in one revision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SettingsHistoryEntry {
    /// The revision that the change made; what happens to setup tokens makes none, and has the one in force.
    pub revision: i64,
    /// When.
    #[serde(with = "crate::timestamp")]
    pub at: OffsetDateTime,
    /// Who: a key id, a host command, or the database role of a change by plain SQL.
    pub actor: String,
    /// The request that caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Why, in the writer's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What.
    pub changes: Vec<SettingsHistoryChange>,
}

/// One row that changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SettingsHistoryChange {
    /// The member of the settings, or `query_presets`, or `setup_tokens`.
    pub section: String,
    /// `insert`, `update` or `delete`; for setup tokens what became of them.
    pub op: String,
    /// Which key, secret, preset or token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The members that differ, as they were; null where there was nothing. Secrets are masked.
    #[schema(value_type = Object, nullable)]
    pub old: Value,
    /// The members that differ, as they are; null where there is nothing. Secrets are masked.
    #[schema(value_type = Object, nullable)]
    pub new: Value,
}
