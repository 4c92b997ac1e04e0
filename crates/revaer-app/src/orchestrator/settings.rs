//! What the orchestrator reads of the settings.

use revaer_torrent_core::{engine::EngineProfile, fsops::Policy};

/// What the orchestrator reads of the settings. Mapped by the composition root.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The engine's profile; `None` in setup mode: the engine rests.
    pub engine: Option<EngineProfile>,
    /// How many torrents may be members of the session at once; `None`: all.
    pub max_active: Option<u32>,
    /// The pipeline's policy.
    pub policy: Policy,
    /// Which trackers are used beside a torrent's own.
    pub trackers: TrackerPolicy,
}

/// Trackers that the operator wants on every torrent that is not private.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrackerPolicy {
    /// These.
    pub extra: Vec<String>,
    /// And none of the torrent's own.
    pub replace: bool,
}

impl TrackerPolicy {
    /// The trackers that a torrent is announced to.
    pub(crate) fn apply(&self, own: &[String], private: bool) -> Vec<String> {
        if private {
            return own.to_vec();
        }
        let mut all: Vec<String> = if self.replace { Vec::new() } else { own.to_vec() };
        for extra in &self.extra {
            if !all.contains(extra) {
                all.push(extra.clone());
            }
        }
        all
    }
}
