//! What a .torrent says, as far as Revaer needs it. The engine reads it (`TorrentEngine::inspect`).

use std::collections::BTreeSet;

use crate::{Bytes, FilePriority, InfoHashes};

/// The facts of a .torrent or of an info dictionary that a peer sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metainfo {
    /// Its identity.
    pub info_hashes: InfoHashes,
    /// The name it gives itself, made safe as a file name by libtorrent.
    pub name: String,
    /// Whether its content is a directory (more than one file, or one file in a folder).
    pub is_directory: bool,
    /// Files in the torrent's order, padding files included: indexes are the engine's.
    pub files: Vec<ContentFile>,
    /// Length of a piece; the last one may be shorter.
    pub piece_length: Bytes,
    /// Number of pieces.
    pub piece_count: u32,
    /// Only its own trackers may be used (BEP 27).
    pub private: bool,
    /// Announce URLs in tier order.
    pub trackers: Vec<String>,
}

/// One file of a torrent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentFile {
    /// Path beneath the save directory, `/`-separated, beginning with the root folder where there is one.
    pub path: String,
    /// Its length.
    pub size: Bytes,
    /// Where its first byte lies in the torrent's byte sequence.
    pub offset: Bytes,
    /// A padding file (BEP 47): never wanted, never shown, never on disk.
    pub is_padding: bool,
    /// A symbolic link (BEP 47): takes no payload, and is never placed into a library.
    pub is_symlink: bool,
}

impl Metainfo {
    /// The length of the wanted files. `priorities` shorter than the file list mean "wanted" for the rest, as for
    /// [`Layout::progress`](crate::Layout::progress), which has to come to the same sum.
    pub fn wanted_size(&self, priorities: &[FilePriority]) -> Bytes {
        let is_wanted = |index| priorities.get(index).is_none_or(|priority| *priority != FilePriority::Skip);
        self.files
            .iter()
            .enumerate()
            .filter(|(index, file)| !file.is_padding && is_wanted(*index))
            .map(|(_, file)| file.size)
            .sum()
    }

    /// Extensions of the files, lower case, without the dot, each once, in alphabetical order. A name that only begins
    /// or ends with its dot has none.
    pub fn extensions(&self) -> Vec<String> {
        let shown = self.files.iter().filter(|file| !file.is_padding);
        let found: BTreeSet<String> =
            shown.filter_map(|file| extension(&file.path)).map(str::to_lowercase).collect();
        found.into_iter().collect()
    }
}

fn extension(path: &str) -> Option<&str> {
    let name = path.rsplit('/').next()?;
    let (stem, extension) = name.rsplit_once('.')?;
    (!stem.is_empty() && !extension.is_empty()).then_some(extension)
}

#[cfg(test)]
mod tests;
