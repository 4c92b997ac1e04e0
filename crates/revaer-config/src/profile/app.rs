//! `app_profile`: who this instance is, where it listens, what it logs.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Whether the instance was set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Only setup is served, on loopback.
    Setup,
    /// Everything is served.
    Active,
}

impl Mode {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Setup => "setup",
            Self::Active => "active",
        }
    }
}

/// The least severe messages that are logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the levels of tracing")]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl LogLevel {
    /// The name on the wire, which is also a filter directive.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// For people.
    Pretty,
}

/// Logging, metrics and the event log's depth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Telemetry {
    /// The least severe messages that are logged; `RUST_LOG` wins over it.
    pub log_level: LogLevel,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Whether `/metrics` is served.
    pub prometheus: bool,
    /// Where traces are exported to; none where absent.
    pub otlp_endpoint: Option<String>,
    /// Days that a lifecycle event is kept.
    pub event_retention_days: u32,
    /// Lifecycle events that are kept at most.
    pub event_retention_rows: u64,
}

/// Feature switches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "the switches are the contract's")]
pub struct Features {
    /// Extraction is possible at all; the policy's `extract` must be on too.
    pub fs_extract: bool,
    /// PAR2 is possible at all; the policy's `par2` must be on too.
    pub par2: bool,
    /// A slow event subscriber loses `progress` first; without it, it is cut at once.
    pub sse_backpressure: bool,
    /// `/metrics`, `/health/full` and the well-known document ask for a key.
    pub protect_observability: bool,
    /// Unlimited keys and rates degrade their guards.
    pub warn_unlimited_rates: bool,
    /// Where a hard link is impossible, a copy is made.
    pub hardlink_fallback_copy: bool,
}

/// Who this instance is, where it listens, what it logs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppProfile {
    /// Identifies this instance for good.
    pub id: Uuid,
    /// Shown to people.
    pub instance_name: String,
    /// Whether it was set up.
    pub mode: Mode,
    /// Rises with every change of this document; names the state a change was made against.
    pub version: i64,
    /// The address of the HTTP server.
    pub bind_addr: IpAddr,
    /// The TCP port of the HTTP server.
    pub http_port: u16,
    /// Logging, metrics and the event log's depth.
    pub telemetry: Telemetry,
    /// Feature switches.
    pub features: Features,
    /// Settings that a changeset may not change.
    pub immutable_keys: Vec<String>,
    /// Host names the HTTP server answers to besides its addresses.
    pub allowed_hosts: Vec<String>,
    /// Web origins that may read answers.
    pub cors_origins: Vec<String>,
}
