//! The filter of a list: comma-separated, case-insensitive conditions, all of which must hold.

use std::borrow::Cow;

use memchr::memmem::Finder;
use revaer_torrent_core::StateKind;

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
        self.name_search().finds(&folded(&torrent.record.name)) && self.matches_but_name(torrent)
    }

    /// The condition on the name, made ready to be asked of a hundred thousand.
    pub(crate) fn name_search(&self) -> NameSearch<'_> {
        NameSearch { parts: self.names.iter().map(Finder::new).collect() }
    }

    /// The other conditions, the cheap ones first.
    pub(crate) fn matches_but_name(&self, torrent: &TorrentView) -> bool {
        let record = &torrent.record;
        (self.states.is_empty() || self.states.contains(&torrent.live.kind))
            && (self.extensions.is_empty()
                || self.extensions.iter().any(|one| record.content.extensions.contains(one)))
            && self.tags.iter().all(|tag| record.tags.iter().any(|has| is_same(has, tag)))
            && (self.trackers.is_empty()
                || record
                    .trackers
                    .iter()
                    .map(|url| folded(url))
                    .any(|url| self.trackers.iter().any(|part| url.contains(part.as_str()))))
    }

    /// A short text that tells this filter from another: a cursor made under one is refused under the other.
    pub fn fingerprint(&self) -> String {
        format!(
            "{:?}|{:?}|{:?}|{:?}|{:?}",
            self.states, self.trackers, self.extensions, self.tags, self.names
        )
    }
}

/// The fragments of a filter on names, each prepared once for the whole scan.
#[derive(Debug)]
pub(crate) struct NameSearch<'f> {
    parts: Vec<Finder<'f>>,
}

impl NameSearch<'_> {
    /// Whether a name, given in lower case, has one of the fragments.
    pub(crate) fn finds(&self, name: &str) -> bool {
        self.parts.is_empty() || self.parts.iter().any(|part| part.find(name.as_bytes()).is_some())
    }
}

/// In lower case; costs no allocation where it already is.
pub(crate) fn folded(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase() || !byte.is_ascii()) {
        Cow::Owned(text.to_lowercase())
    } else {
        Cow::Borrowed(text)
    }
}

/// Whether `text` is `wanted`, which is in lower case; the length alone rules out most.
fn is_same(text: &str, wanted: &str) -> bool {
    if text.is_ascii() { text.eq_ignore_ascii_case(wanted) } else { text.to_lowercase() == wanted }
}
