//! Magnet links (BEP 9, BEP 53): parsed here, since everything about them can be judged without the engine.
//!
//! Parsing never panics and takes time in proportion to the link. Nothing is dropped silently: what makes the
//! link wrong is an error, what the torrent can do without stands in [`Magnet::ignored`].

use std::net::SocketAddr;

use crate::{InfoHashes, SelectionRules};

mod collect;
mod file_range;
mod ignored;
mod info_hash;
mod percent;
mod render;
mod url;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

/// The longest magnet link that is taken.
pub const MAX_MAGNET_BYTES: usize = 8 * 1024;

/// A magnet link that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Magnet {
    /// The link as it was given, without white space around it.
    pub uri: String,
    /// `xt`: which torrent.
    pub info_hashes: InfoHashes,
    /// `dn`: what it is called until metadata is known; without control characters.
    pub display_name: Option<String>,
    /// `tr`: announce URLs, each once.
    pub trackers: Vec<String>,
    /// `ws`: web seeds (BEP 19), each once.
    pub web_seeds: Vec<String>,
    /// `x.pe`: peers to ask, each once; numeric addresses only.
    pub peers: Vec<SocketAddr>,
    /// `so`: indexes of the files to download (BEP 53), in order and each once; empty means all.
    pub select_only: Vec<u32>,
    /// What the link says and the torrent does without, each with the reason. Holds no announce URL, since those
    /// may carry a passkey.
    pub ignored: Vec<String>,
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
    #[error(
        "the link names no torrent: it needs xt=urn:btih:<40 hex or 32 base32 digits> or xt=urn:btmh:1220<64 hex digits>"
    )]
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
    ///
    /// Scheme, URNs and member names are taken in any case, members may be numbered (`xt.1`), and members that
    /// mean nothing here (`xl`, `kt`, …) are passed over. Two different hashes of one kind are refused.
    pub fn parse(text: &str) -> Result<Self, MagnetError> {
        if text.len() > MAX_MAGNET_BYTES {
            return Err(MagnetError::TooLong { length: text.len() });
        }
        let uri = text.trim();
        let query = after_prefix(uri, "magnet:?").ok_or(MagnetError::Scheme)?;
        let mut members = collect::Members::default();
        for member in query.split('&') {
            members.take(member)?;
        }
        members.into_magnet(uri)
    }

    /// The link in one fixed spelling, which libtorrent 2.0.8 and later read exactly as [`Magnet::parse`] does:
    /// theirs is case-sensitive and takes `+` in a URL for a space, so this is what the engine has to be given.
    ///
    /// It may be longer than [`MAX_MAGNET_BYTES`].
    pub fn to_uri(&self) -> String {
        render::uri(self)
    }

    /// What `so` asks for, as a selection; `None` where the link leaves the choice open.
    pub fn selection(&self) -> Option<SelectionRules> {
        (!self.select_only.is_empty()).then(|| SelectionRules::only(&self.select_only))
    }
}

/// What follows `prefix`, compared without regard to ASCII case.
fn after_prefix<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}
