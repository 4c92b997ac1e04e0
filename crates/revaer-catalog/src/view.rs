//! What readers see of a torrent: its record, and what changes too often to be stored.

use std::sync::Arc;

use revaer_torrent_core::{Bytes, BytesPerSecond, StateKind};

use crate::TorrentRecord;

/// What changes all the time and is never stored by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Live {
    /// The state as the wire shows it.
    pub kind: StateKind,
    /// Bytes of wanted content that are there.
    pub done: Bytes,
    /// Payload received over its life.
    pub downloaded: Bytes,
    /// Payload sent over its life.
    pub uploaded: Bytes,
    /// Payload received per second.
    pub download_rate: BytesPerSecond,
    /// Payload sent per second.
    pub upload_rate: BytesPerSecond,
    /// Whether it is a member of the engine's session.
    pub loaded: bool,
}

impl Live {
    /// What is shown before the engine has said anything: the last observation.
    pub fn from_record(record: &TorrentRecord) -> Self {
        Self {
            kind: record.last.kind,
            done: record.last.done,
            downloaded: record.last.downloaded,
            uploaded: record.last.uploaded,
            download_rate: BytesPerSecond(0),
            upload_rate: BytesPerSecond(0),
            loaded: false,
        }
    }
}

/// A torrent as readers see it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct TorrentView {
    /// What is stored.
    pub record: Arc<TorrentRecord>,
    /// What is true now.
    pub live: Live,
}

impl TorrentView {
    /// Time until the wanted content is there at the present rate, in seconds; `None` while nothing flows.
    pub fn eta_seconds(&self) -> Option<u64> {
        let left = self.record.content.wanted_bytes?.saturating_sub(self.live.done).0;
        (left > 0 && self.live.download_rate.0 > 0).then(|| left.div_ceil(self.live.download_rate.0))
    }

    /// 0–100, of the wanted content; 100 where nothing is missing.
    pub fn percent_complete(&self) -> f64 {
        match self.record.content.wanted_bytes {
            None => 0.0,
            Some(Bytes(0)) => 100.0,
            // Rounded down to a tenth of a per cent, so that 100 means complete.
            Some(Bytes(total)) => {
                let tenths = u128::from(self.live.done.0.min(total)) * 1_000 / u128::from(total);
                f64::from(u32::try_from(tenths).unwrap_or(1_000)) / 10.0
            }
        }
    }

    /// Payload sent for each byte received; the wanted size stands in where nothing was received.
    #[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
    pub fn ratio(&self) -> f64 {
        let base = match self.live.downloaded {
            Bytes(0) => self.record.content.wanted_bytes.unwrap_or(Bytes(0)).0,
            Bytes(received) => received,
        };
        if base == 0 { 0.0 } else { ((self.live.uploaded.0 as f64 / base as f64) * 1000.0).round() / 1000.0 }
    }
}
