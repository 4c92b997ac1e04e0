//! The one table of settings: where each stands on the wire and in the database, and its rule.

use crate::rule::Rule;

#[cfg(test)]
mod agreement;

/// A settings document: one row, one member of the snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    App,
    Engine,
    Fs,
}

impl Section {
    pub(crate) const ALL: [Self; 3] = [Self::App, Self::Engine, Self::Fs];

    /// The member of the snapshot.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::App => "app_profile",
            Self::Engine => "engine_profile",
            Self::Fs => "fs_policy",
        }
    }

    pub(crate) fn table(self) -> &'static str {
        match self {
            Self::App => "settings_app_profile",
            Self::Engine => "settings_engine_profile",
            Self::Fs => "settings_fs_policy",
        }
    }

    pub(crate) fn fields(self) -> &'static [Field] {
        match self {
            Self::App => APP,
            Self::Engine => ENGINE,
            Self::Fs => FS,
        }
    }

    pub(crate) fn field(self, path: &str) -> Option<&'static Field> {
        self.fields().iter().find(|field| field.path == path)
    }
}

/// Who sets a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Setter {
    /// Whoever holds a key.
    Operator,
    /// The server; a changeset may not name it.
    Server,
    /// The server; in a changeset it is a condition.
    Condition,
    /// The completion of setup.
    Setup,
}

/// One setting.
#[derive(Debug)]
pub(crate) struct Field {
    /// The members from the section down, joined by dots: `telemetry.log_level`.
    pub(crate) path: &'static str,
    pub(crate) column: &'static str,
    pub(crate) rule: Rule,
    pub(crate) nullable: bool,
    pub(crate) setter: Setter,
}

const fn field(path: &'static str, column: &'static str, rule: Rule) -> Field {
    Field { path, column, rule, nullable: false, setter: Setter::Operator }
}

const fn nullable(path: &'static str, column: &'static str, rule: Rule) -> Field {
    Field { path, column, rule, nullable: true, setter: Setter::Operator }
}

const fn kept(path: &'static str, rule: Rule, setter: Setter) -> Field {
    Field { path, column: path, rule, nullable: false, setter }
}

const PORT: Rule = Rule::Int(1, 65_535);
/// Above 2^53 - 1 a number is not exact in every JSON reader.
const RATE: Rule = Rule::Int(0, 9_007_199_254_740_991);
const YEAR_SECONDS: Rule = Rule::Int(0, 31_536_000);
const WEB: Rule = Rule::Url(&["http", "https"]);

const APP: &[Field] = &[
    kept("id", Rule::Uuid, Setter::Server),
    field("instance_name", "instance_name", Rule::Label),
    kept("mode", Rule::OneOf(&["setup", "active"]), Setter::Setup),
    kept("version", Rule::Int(1, i64::MAX), Setter::Condition),
    field("bind_addr", "bind_addr", Rule::Ip),
    field("http_port", "http_port", PORT),
    field(
        "telemetry.log_level",
        "telemetry_log_level",
        Rule::OneOf(&["error", "warn", "info", "debug", "trace"]),
    ),
    field("telemetry.log_format", "telemetry_log_format", Rule::OneOf(&["json", "pretty"])),
    field("telemetry.prometheus", "telemetry_prometheus", Rule::Bool),
    nullable("telemetry.otlp_endpoint", "telemetry_otlp_endpoint", WEB),
    field("telemetry.event_retention_days", "telemetry_event_retention_days", Rule::Int(1, 36_500)),
    field("telemetry.event_retention_rows", "telemetry_event_retention_rows", Rule::Int(1, 1_000_000_000)),
    field("features.fs_extract", "features_fs_extract", Rule::Bool),
    field("features.par2", "features_par2", Rule::Bool),
    field("features.sse_backpressure", "features_sse_backpressure", Rule::Bool),
    field("features.protect_observability", "features_protect_observability", Rule::Bool),
    field("features.warn_unlimited_rates", "features_warn_unlimited_rates", Rule::Bool),
    field("features.hardlink_fallback_copy", "features_hardlink_fallback_copy", Rule::Bool),
    field("immutable_keys", "immutable_keys", Rule::List(0, &Rule::KeyPath)),
    field("allowed_hosts", "allowed_hosts", Rule::List(0, &Rule::Host)),
    field("cors_origins", "cors_origins", Rule::List(0, &Rule::Origin)),
];

const ENGINE: &[Field] = &[
    field("implementation", "implementation", Rule::OneOf(&["libtorrent"])),
    nullable("listen_port", "listen_port", PORT),
    nullable("listen_interfaces", "listen_interfaces", Rule::List(1, &Rule::Ip)),
    field("dht", "dht", Rule::Bool),
    field("lsd", "lsd", Rule::Bool),
    field("upnp", "upnp", Rule::Bool),
    field("natpmp", "natpmp", Rule::Bool),
    field("encryption", "encryption", Rule::OneOf(&["require", "prefer", "disable"])),
    // libtorrent counts torrents in a 32-bit signed integer.
    nullable("max_active", "max_active", Rule::Int(0, 2_147_483_647)),
    nullable("max_download_bps", "max_download_bps", RATE),
    nullable("max_upload_bps", "max_upload_bps", RATE),
    field("sequential_default", "sequential_default", Rule::Bool),
    field("resume_dir", "resume_dir", Rule::Path),
    field("download_root", "download_root", Rule::Path),
    nullable("tracker.user_agent", "tracker_user_agent", Rule::Label),
    nullable("tracker.announce_ip", "tracker_announce_ip", Rule::Ip),
    nullable("tracker.announce_port", "tracker_announce_port", PORT),
    field("tracker.announce_to_all_trackers", "tracker_announce_to_all_trackers", Rule::Bool),
    field("tracker.announce_to_all_tiers", "tracker_announce_to_all_tiers", Rule::Bool),
    field(
        "tracker.extra_trackers",
        "tracker_extra_trackers",
        Rule::List(0, &Rule::Url(&["http", "https", "udp"])),
    ),
    field("tracker.replace_trackers", "tracker_replace_trackers", Rule::Bool),
    field("resume_save_seconds", "resume_save_seconds", Rule::Int(1, 86_400)),
    field("limit_local_peers", "limit_local_peers", Rule::Bool),
];

const FS: &[Field] = &[
    field("library_root", "library_root", Rule::Path),
    field("extract", "extract", Rule::Bool),
    field("par2", "par2", Rule::OneOf(&["off", "verify", "repair"])),
    field("flatten", "flatten", Rule::Bool),
    field("move_mode", "move_mode", Rule::OneOf(&["copy", "move", "hardlink"])),
    field("checksum", "checksum", Rule::Bool),
    field("cleanup_keep", "cleanup_keep", Rule::List(0, &Rule::Glob)),
    field("cleanup_drop", "cleanup_drop", Rule::List(0, &Rule::Glob)),
    nullable("chmod_file", "chmod_file", Rule::ModeBits),
    nullable("chmod_dir", "chmod_dir", Rule::ModeBits),
    nullable("owner", "owner", Rule::Account),
    nullable("group", "group_name", Rule::Account),
    nullable("umask", "umask", Rule::Umask),
    field("allow_paths", "allow_paths", Rule::List(0, &Rule::Path)),
    field("job_age_limit_seconds", "job_age_limit_seconds", YEAR_SECONDS),
    nullable("step_latency_limit_seconds", "step_latency_limit_seconds", YEAR_SECONDS),
];
