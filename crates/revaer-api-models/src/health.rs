//! Whether the server is well, briefly and in full.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::StateKind;

/// Well, or not quite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HealthStatus {
    /// Nothing is wrong.
    Ok,
    /// It works with less than it should.
    Degraded,
}

/// Whether the server has been set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Not yet: only setup and health answer.
    Setup,
    /// It is in service.
    Active,
}

/// The database, briefly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DatabaseHealth {
    /// Whether it answers.
    pub status: HealthStatus,
    /// The settings revision in force.
    pub revision: i64,
}

/// The readiness probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HealthBrief {
    /// Always `ok` here: a server without its database answers with a problem.
    pub status: HealthStatus,
    /// Whether it has been set up.
    pub mode: Mode,
    /// The database.
    pub database: DatabaseHealth,
    /// The components that are not well.
    pub degraded: Vec<String>,
}

/// Which program this is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BuildInfo {
    /// The release.
    pub version: String,
    /// The commit it was built from.
    pub sha: String,
    /// The platform it was built for.
    pub target: String,
}

/// One component.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ComponentHealth {
    /// Whether it is well.
    pub status: HealthStatus,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Since when it is as it is.
    #[serde(with = "crate::timestamp::option", default, skip_serializing_if = "Option::is_none")]
    pub since: Option<OffsetDateTime>,
    /// How long it took to answer just now, where it was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<f64>,
}

/// A setting that deserves a second look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Guardrail {
    /// Which guard rail.
    pub guard: String,
    /// What it saw.
    pub reason: String,
    /// Since when.
    #[serde(with = "crate::timestamp")]
    pub since: OffsetDateTime,
}

/// A setting that is stored and not in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Override {
    /// Which one: a pointer into the settings.
    pub pointer: String,
    /// What is in force instead, and what sets it.
    pub message: String,
}

/// What the torrent engine's session has in force, as it says itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EngineHealth {
    /// The port that peers reach; absent while there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listen_port: Option<u16>,
    /// The cap on all downloads together, bytes per second; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub download_cap_bps: Option<u64>,
    /// The same for uploads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload_cap_bps: Option<u64>,
}

/// A helper program.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Tool {
    /// Where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// What it says it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Whether it is there.
    pub found: bool,
}

/// A library or server in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Version {
    /// Its release.
    pub version: String,
}

/// What the server stands on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Dependencies {
    /// The extractor.
    pub sevenzip: Tool,
    /// The repairer.
    pub par2: Tool,
    /// The torrent engine.
    pub libtorrent: Version,
    /// The database server.
    pub postgresql: Version,
}

/// Figures that operators watch; the same as in the metrics document.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HealthMetrics {
    /// From a settings commit to the snapshot in memory, the last time.
    pub config_watch_latency_ms: f64,
    /// From a settings commit to the last subscriber's word, the last time.
    pub config_apply_latency_ms: f64,
    /// Settings that could not be applied.
    pub config_update_failures_total: u64,
    /// Settings that took longer than 2 s to arrive.
    pub config_watch_slow_total: u64,
    /// Guard rails that were touched.
    pub guardrail_violations_total: u64,
    /// Requests refused for their rate.
    pub rate_limit_throttled_total: u64,
}

/// Torrents in figures.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TorrentHealth {
    /// Torrents that are being fetched or offered.
    pub active: u64,
    /// Commands that wait for the engine.
    pub queue_depth: u64,
    /// How many torrents are in each state; states without torrents may be absent.
    pub by_state: BTreeMap<StateKind, u64>,
}

/// Library jobs in figures.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FsopsHealth {
    /// Jobs that wait for their turn.
    pub queued: u64,
    /// Jobs that are being run.
    pub running: u64,
    /// Jobs that cannot go on for now.
    pub waiting: u64,
    /// Jobs that were given up, of the torrents that there are.
    pub failed_total: u64,
    /// Age of the oldest unfinished job; 0 when there is none.
    pub oldest_job_seconds: u64,
}

/// Everything the server knows about its own health.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HealthFull {
    /// `ok` when no component is degraded.
    pub status: HealthStatus,
    /// Whether it has been set up.
    pub mode: Mode,
    /// The settings revision in force.
    pub revision: i64,
    /// Which program this is.
    pub build: BuildInfo,
    /// How long the process has been up.
    pub uptime_seconds: u64,
    /// The components that are not well.
    pub degraded: Vec<String>,
    /// Every component by name.
    pub components: BTreeMap<String, ComponentHealth>,
    /// Settings that deserve a second look.
    pub guardrails: Vec<Guardrail>,
    /// Settings that a flag or variable of the process overrides.
    #[serde(default)]
    pub overrides: Vec<Override>,
    /// What the server stands on.
    pub dependencies: Dependencies,
    /// What the torrent engine's session has in force.
    #[serde(default)]
    pub engine: EngineHealth,
    /// Figures that operators watch.
    pub metrics: HealthMetrics,
    /// Torrents in figures.
    pub torrent: TorrentHealth,
    /// Library jobs in figures.
    pub fsops: FsopsHealth,
}

#[cfg(test)]
mod tests;
