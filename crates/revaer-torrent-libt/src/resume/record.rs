//! `<id>.meta.json`: what was wanted when the blob beside it was made. Read by people, and by the engine for the
//! info-hash that a torrent which is not loaded has in the name of its part file.

use std::path::PathBuf;

use revaer_torrent_core::{FilePriority, InfoHashes, engine::AppliedSelection};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// The record as it stands in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MetaRecord {
    /// Version of the selection in force; absent while metadata is unknown.
    pub(crate) selection: Option<u64>,
    /// One per file: skip, low, normal or high.
    pub(crate) priorities: Vec<String>,
    /// The directory that libtorrent saves to.
    pub(crate) download_dir: PathBuf,
    /// Whether pieces are asked for in order.
    pub(crate) sequential: bool,
    /// The v1 info-hash, where there is one.
    pub(crate) info_hash_v1: Option<String>,
    /// The v2 info-hash, where there is one.
    pub(crate) info_hash_v2: Option<String>,
    /// When the blob was made.
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) updated_at: OffsetDateTime,
}

impl MetaRecord {
    pub(crate) fn new(
        selection: Option<&AppliedSelection>,
        save_dir: PathBuf,
        sequential: bool,
        hashes: &InfoHashes,
    ) -> Self {
        Self {
            selection: selection.map(|selection| selection.version),
            priorities: selection
                .map(|selection| selection.priorities.iter().map(|one| name(*one).to_owned()).collect())
                .unwrap_or_default(),
            download_dir: save_dir,
            sequential,
            info_hash_v1: hashes.v1.map(|hash| hash.to_string()),
            info_hash_v2: hashes.v2.map(|hash| hash.to_string()),
            updated_at: OffsetDateTime::now_utc(),
        }
    }

    /// The info-hashes, as far as they are in it.
    pub(crate) fn info_hashes(&self) -> InfoHashes {
        InfoHashes {
            v1: self.info_hash_v1.as_deref().and_then(|text| text.parse().ok()),
            v2: self.info_hash_v2.as_deref().and_then(|text| text.parse().ok()),
        }
    }
}

fn name(priority: FilePriority) -> &'static str {
    match priority {
        FilePriority::Skip => "skip",
        FilePriority::Low => "low",
        FilePriority::Normal => "normal",
        FilePriority::High => "high",
    }
}
