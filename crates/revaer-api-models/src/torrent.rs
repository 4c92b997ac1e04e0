//! Torrents as lists and details show them.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{FileSelection, FsopsSummary, TorrentFile, TorrentState};

/// A torrent's identity in the swarm, as lower-case hex. At least one of the two is present.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub struct InfoHash {
    /// SHA-1 of the info dictionary, 40 digits (BEP 3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub v1: Option<String>,
    /// SHA-256 of the info dictionary, 64 digits (BEP 52).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub v2: Option<String>,
}

/// How far the wanted files are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Progress {
    /// Wanted bytes present and verified.
    pub bytes_downloaded: u64,
    /// Wanted bytes in all; 0 until metadata is known.
    pub bytes_total: u64,
    /// 0 to 100, of the wanted bytes.
    pub percent_complete: f64,
    /// Seconds to completion at the present rate, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta_seconds: Option<u64>,
}

/// How fast payload moves now. Rates are bytes per second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Rates {
    /// Payload received per second.
    pub download_bps: u64,
    /// Payload sent per second.
    pub upload_bps: u64,
    /// Uploaded bytes divided by downloaded bytes, over the torrent's life.
    pub ratio: f64,
}

/// A torrent's own rate limits in bytes per second. Absent: no limit. 0: no payload in that direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RateLimit {
    /// Most payload to receive per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub download_bps: Option<u64>,
    /// Most payload to send per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload_bps: Option<u64>,
}

/// A torrent as lists show it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TorrentSummary {
    /// Revaer's own id of it.
    pub id: Uuid,
    /// Display name.
    pub name: String,
    /// Identity in the swarm.
    pub info_hash: InfoHash,
    /// What it is doing.
    pub state: TorrentState,
    /// How far it is.
    pub progress: Progress,
    /// How fast it moves.
    pub rates: Rates,
    /// Where its library entry is, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub library_path: Option<String>,
    /// Directory that receives its content.
    pub download_dir: String,
    /// Whether pieces are asked for in order.
    pub sequential: bool,
    /// Labels given by clients.
    pub tags: Vec<String>,
    /// Announce URLs: its own and those added to it.
    pub trackers: Vec<String>,
    /// Its own rate limits.
    pub rate_limit: RateLimit,
    /// When its record was made.
    #[serde(with = "crate::timestamp")]
    pub added_at: OffsetDateTime,
    /// When its wanted files first were all present.
    #[serde(with = "crate::timestamp::option", default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<OffsetDateTime>,
    /// When anything about it last changed.
    #[serde(with = "crate::timestamp")]
    pub last_updated: OffsetDateTime,
}

/// Everything about one torrent: the summary's members at the top level, and more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TorrentDetail {
    /// The members that lists show too.
    #[serde(flatten)]
    pub summary: TorrentSummary,
    /// Its files; absent until metadata is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<Vec<TorrentFile>>,
    /// Which files are wanted, as asked for.
    pub selection: FileSelection,
    /// Its way into the library; absent until a job exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fsops: Option<FsopsSummary>,
}

/// One page of torrents, newest first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TorrentList {
    /// The torrents of this page.
    pub torrents: Vec<TorrentSummary>,
    /// Cursor of the next page, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

#[cfg(test)]
mod tests;
