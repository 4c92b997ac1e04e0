//! Which events a reader wants.

use revaer_torrent_core::{StateKind, TorrentId};

use crate::Event;

/// Conditions on an event; an empty list does not restrict.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// About one of these; what is about no torrent still passes.
    pub torrents: Vec<TorrentId>,
    /// Of one of these kinds.
    pub kinds: Vec<&'static str>,
    /// Only events that carry a state are judged by it.
    pub states: Vec<StateKind>,
}

impl EventFilter {
    /// Whether the reader wants it.
    pub fn matches(&self, event: &Event) -> bool {
        let torrent =
            event.torrent().is_none_or(|id| self.torrents.is_empty() || self.torrents.contains(&id));
        let kind = self.kinds.is_empty() || self.kinds.contains(&event.kind());
        let state = event.state().is_none_or(|state| self.states.is_empty() || self.states.contains(&state));
        torrent && kind && state
    }
}
