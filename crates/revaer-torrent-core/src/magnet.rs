//! Magnet links (BEP 9, BEP 53): parsed here, since everything about them can be judged without the engine.

use std::net::SocketAddr;

use crate::InfoHashes;

/// The longest magnet link that is taken.
pub const MAX_MAGNET_BYTES: usize = 8 * 1024;

/// A magnet link that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Magnet {
    /// The link as it was given.
    pub uri: String,
    /// `xt`: which torrent.
    pub info_hashes: InfoHashes,
    /// `dn`: what it is called until metadata is known.
    pub display_name: Option<String>,
    /// `tr`: announce URLs.
    pub trackers: Vec<String>,
    /// `x.pe`: peers to ask; numeric addresses only.
    pub peers: Vec<SocketAddr>,
    /// `so`: indexes of the files to download (BEP 53); empty means all.
    pub select_only: Vec<u32>,
}

/// Why a text is not a magnet link that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MagnetError {
    /// It is longer than [`MAX_MAGNET_BYTES`].
    #[error("the link is {length} bytes long; at most {MAX_MAGNET_BYTES} are taken")]
    TooLong {
        /// Its length.
        length: usize,
    },
    /// It does not begin with `magnet:?`.
    #[error("a magnet link begins with `magnet:?`")]
    Scheme,
    /// It names no torrent.
    #[error("the link names no torrent: it needs xt=urn:btih:<40 hex or 32 base32 digits> or xt=urn:btmh:1220<64 hex digits>")]
    NoInfoHash,
    /// One of its members does not parse.
    #[error("`{member}` in the link is not understood: {reason}")]
    Member {
        /// Which one.
        member: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Magnet {
    /// Understands a magnet link.
    pub fn parse(text: &str) -> Result<Self, MagnetError> {
        let _ = text;
        Err(MagnetError::Scheme)
    }
}
