//! What a torrent is wanted to be: where it came from, whether it should run, and where its content lies.

use std::path::{Path, PathBuf};

/// Where a torrent came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A magnet link, as it was given.
    Magnet(String),
    /// A .torrent; its bytes are kept apart, once.
    Metainfo,
}

/// What the operator wants of a torrent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Download what is missing, then seed.
    Running,
    /// Paused by request: a row, not a member of the session.
    Stopped,
    /// A tombstone: it is being removed, and nobody sees it any more.
    Removed {
        /// Whether its downloaded content goes too.
        delete_data: bool,
    },
}

/// Where a torrent's content lies. No two torrents share a content path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentPath {
    /// The directory that is handed to the engine: `<download_dir>`, or `<download_dir>/<id>` where the plain
    /// path belongs to another torrent.
    pub save_dir: PathBuf,
    /// The name of the content beneath it: the torrent's only file, or its root folder.
    pub root_name: String,
}

impl ContentPath {
    /// The content's own root: one file or one directory.
    pub fn root(&self) -> PathBuf {
        self.save_dir.join(Path::new(&self.root_name))
    }
}
