//! The wire: requests, answers, events and problems as JSON, shared by the server and its clients.
//!
//! These types only carry values between JSON and Rust. They hold no decision and no IO: the server converts
//! them to its domain by hand, so that the domain can change while the wire stays.
//! Members that may be absent are left out when they are; times are RFC 3339 in UTC; sizes are bytes;
//! rates are bytes per second, whatever their documented `_bps` suffix suggests.
//! Settings travel as [`serde_json::Value`]: their shape belongs to the settings service.
#![forbid(unsafe_code)]

mod action;
mod api_key;
mod create;
mod event;
mod event_kind;
mod files;
mod fsops;
mod health;
mod history;
mod keys;
mod preset;
mod problem;
mod problem_kind;
mod request_id;
mod setup;
mod state;
mod timestamp;
mod torrent;

pub use action::{Action, LimitChange};
pub use api_key::{ApiKeyToken, ApiKeyTokenError};
pub use create::CreateTorrent;
pub use event::{DiscoveredFile, Event, EventEnvelope, EventState, GAP_EVENT, Gap};
pub use event_kind::{EventKind, UnknownEventKind};
pub use files::{FilePriority, FilePriorityRule, FileSelection, TorrentFile};
pub use fsops::{FsopsStatus, FsopsStep, FsopsStepStatus, FsopsSummary};
pub use health::{
    BuildInfo, ComponentHealth, DatabaseHealth, Dependencies, EngineHealth, FsopsHealth, Guardrail,
    HealthBrief, HealthFull, HealthMetrics, HealthStatus, Mode, Override, Tool, TorrentHealth, Version,
};
pub use history::{SettingsHistory, SettingsHistoryChange, SettingsHistoryEntry};
pub use keys::{ApiKey, ApiKeyList, IssueKey, IssuedKey, KeyRateLimit, RotateKey};
pub use preset::{ListSort, PresetFilter, PutPreset, QueryPreset, QueryPresetList, UnknownListSort};
pub use problem::{InvalidParam, Problem};
pub use problem_kind::ProblemKind;
pub use request_id::{RequestId, RequestIdError};
pub use setup::{SetupCompleted, SetupStartRequest, SetupStarted};
pub use state::{StateKind, TorrentState, UnknownStateKind};
pub use torrent::{InfoHash, Progress, RateLimit, Rates, TorrentDetail, TorrentList, TorrentSummary};

/// Header that carries an [`ApiKeyToken`] as `key_id:secret`.
pub const API_KEY_HEADER: &str = "x-revaer-api-key";
/// Header that carries the one-time setup token.
pub const SETUP_TOKEN_HEADER: &str = "x-revaer-setup-token";
/// Header that says why a change of settings, keys or presets is made, for the history.
pub const REASON_HEADER: &str = "x-revaer-reason";
/// Header that carries a [`RequestId`], in requests and in every answer.
pub const REQUEST_ID_HEADER: &str = "x-request-id";
/// Media type of a [`Problem`] (RFC 9457).
pub const PROBLEM_CONTENT_TYPE: &str = "application/problem+json";
