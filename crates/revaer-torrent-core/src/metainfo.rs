//! What a .torrent says, as far as Revaer needs it. The engine reads it (`TorrentEngine::inspect`).

use crate::{Bytes, InfoHashes};

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
    /// The length of everything that is payload.
    pub fn payload_size(&self) -> Bytes {
        self.files.iter().filter(|file| !file.is_padding).map(|file| file.size).sum()
    }
}
