//! Settings: what the operator wants of the whole server, in `PostgreSQL`, typed, checked, audited and hot.
//!
//! [`ConfigService`] is the only door. Everyone reads [`ConfigSnapshot`]s from memory, whole, one per revision;
//! changes go in as changesets ([`ConfigService::apply`]), through setup, or by plain SQL, and reach every
//! subscriber of [`ConfigService::watch`] the same way.
//!
//! Invariants: a configuration that does not validate never takes effect; a changeset commits whole or not at
//! all; no secret and no hash is in a snapshot's wire form, a log, the history or an error.
//!
//! Adding a setting: a column in a migration, a line in `field.rs`, a member in `profile/`.

mod changeset;
mod document;
mod environment;
mod error;
mod field;
mod glob;
mod judge;
mod keyring;
mod password;
mod preset;
mod profile;
mod rule;
mod service;
mod shape;
mod snapshot;
mod sql;
mod text;
mod token;

pub use error::{AuthError, ConfigError, Fault, TokenFault};
pub use preset::{PresetFilter, PresetSort, QueryPreset};
pub use profile::{
    AppProfile, Encryption, EngineProfile, Features, FsPolicy, Implementation, LogFormat, LogLevel, Mode,
    MoveMode, Par2, Telemetry, Tracker,
};
pub use service::{
    AddressKeeper, Applied, BootstrapOptions, ChangeContext, ConfigService, Fence, Fencing, HistoryPage,
    HistoryQuery, HostKey, IssuedKey, IssuedToken, Reservation, Reserving, RevisionChange, SetupCompleted,
    Subscriber,
};
pub use snapshot::{ApiKeyInfo, ConfigSnapshot, KeyId, RateLimit, Revision};
