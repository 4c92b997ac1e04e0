//! The filter of a list: comma-separated, case-insensitive conditions, all of which must hold.

use revaer_torrent_core::{Source, StateKind};

use crate::TorrentView;

/// Conditions on a torrent. Texts are lower case; an empty list does not restrict.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Filter {
    /// One of these states.
    pub states: Vec<StateKind>,
    /// One of these is a fragment of one of its trackers' URLs.
    pub trackers: Vec<String>,
    /// One of its files has one of these extensions (without the dot).
    pub extensions: Vec<String>,
    /// It carries all of these tags.
    pub tags: Vec<String>,
    /// One of these is a fragment of its name.
    pub names: Vec<String>,
}

impl Filter {
    /// Whether nothing is restricted.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether `torrent` satisfies every condition.
    pub fn matches(&self, torrent: &TorrentView) -> bool {
        let record = &torrent.record;
        let any = |wanted: &[String], found: &dyn Fn(&String) -> bool| wanted.is_empty() || wanted.iter().any(found);
        (self.states.is_empty() || self.states.contains(&torrent.live.kind))
            && any(&self.extensions, &|one| record.content.extensions.contains(one))
            && self.tags.iter().all(|tag| record.tags.iter().any(|has| has.to_lowercase() == *tag))
            && any(&self.names, &|part| record.name.to_lowercase().contains(part))
            && any(&self.trackers, &|part| {
                record.trackers.iter().any(|url| url.to_lowercase().contains(part))
            })
    }

    /// A short text that tells this filter from another: a cursor made under one is refused under the other.
    pub fn fingerprint(&self) -> String {
        format!(
            "{:?}|{:?}|{:?}|{:?}|{:?}",
            self.states, self.trackers, self.extensions, self.tags, self.names
        )
    }
}

impl TorrentView {
    /// Whether it came as a magnet link.
    pub fn is_magnet(&self) -> bool {
        matches!(self.record.source, Source::Magnet(_))
    }
}
