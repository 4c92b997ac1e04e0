//! `engine_profile`: how the torrent engine behaves.

use std::{net::IpAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

/// The engine behind the torrents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Implementation {
    /// libtorrent-rasterbar.
    Libtorrent,
}

/// Protocol encryption with peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encryption {
    /// Peers without it are refused.
    Require,
    /// Tried first.
    Prefer,
    /// Never used.
    Disable,
}

/// How trackers are announced to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tracker {
    /// Sent to trackers instead of the engine's own.
    pub user_agent: Option<String>,
    /// The address announced instead of the one the tracker sees.
    pub announce_ip: Option<IpAddr>,
    /// The port announced instead of the listen port.
    pub announce_port: Option<u16>,
    /// All trackers of a tier at once.
    pub announce_to_all_trackers: bool,
    /// All tiers at once.
    pub announce_to_all_tiers: bool,
    /// Added to every torrent that is not private.
    pub extra_trackers: Vec<String>,
    /// A torrent's own trackers are dropped in favor of `extra_trackers`.
    pub replace_trackers: bool,
}

/// How the torrent engine behaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "the switches are the contract's")]
pub struct EngineProfile {
    /// The engine.
    pub implementation: Implementation,
    /// The port for peers; without one 6881, else the next free.
    pub listen_port: Option<u16>,
    /// The addresses to listen on for peers; without any, all.
    pub listen_interfaces: Option<Vec<IpAddr>>,
    /// The distributed hash table (BEP 5).
    pub dht: bool,
    /// Local service discovery (BEP 14).
    pub lsd: bool,
    /// Port mapping by `UPnP`.
    pub upnp: bool,
    /// Port mapping by NAT-PMP.
    pub natpmp: bool,
    /// Protocol encryption with peers.
    pub encryption: Encryption,
    /// Torrents that transfer at once; without a number, all.
    pub max_active: Option<u32>,
    /// Bytes per second over all torrents; 0 stops payload, without a number there is no cap.
    pub max_download_bps: Option<u64>,
    /// Bytes per second over all torrents; 0 stops payload, without a number there is no cap.
    pub max_upload_bps: Option<u64>,
    /// New torrents download in order unless they say otherwise.
    pub sequential_default: bool,
    /// Where resume data is kept.
    pub resume_dir: PathBuf,
    /// Where new torrents download to.
    pub download_root: PathBuf,
    /// How trackers are announced to.
    pub tracker: Tracker,
    /// Seconds between two saves of a torrent's resume data.
    pub resume_save_seconds: u32,
    /// The caps hold for peers in local networks too.
    pub limit_local_peers: bool,
}
