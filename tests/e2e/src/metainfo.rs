//! A small maker of torrent files, independent of the engine under test: v1 (BEP 3), v2 and hybrid (BEP 52).

mod files;
mod merkle;
mod v1;
mod v2;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddrV4;
use std::path::Path;

use anyhow::Result;
use sha1::Digest as _;

use crate::bencode::Value;
use crate::tree::hex;

/// Which kinds of piece hashes a torrent has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// SHA-1 pieces over all files.
    V1,
    /// A SHA-256 tree per file.
    V2,
    /// Both, with padding files between.
    Hybrid,
}

/// A finished torrent file and its names.
#[derive(Debug, Clone)]
pub struct Metainfo {
    /// The bytes of the torrent file.
    pub bytes: Vec<u8>,
    /// The root's name.
    pub name: String,
    /// v1 info-hash in hex.
    pub v1: Option<String>,
    /// v2 info-hash in hex.
    pub v2: Option<String>,
    /// Bytes of all files, padding excepted.
    pub size: u64,
}

/// How to make it.
#[derive(Debug, Clone)]
pub struct Maker {
    /// Kind.
    pub version: Version,
    /// A power of two, at least 16 KiB.
    pub piece_length: u64,
    /// Announce URL.
    pub announce: Option<String>,
}

impl Maker {
    /// Pieces of 256 KiB, no tracker.
    pub fn new(version: Version) -> Self {
        Self { version, piece_length: 256 * 1024, announce: None }
    }

    /// With a tracker.
    #[must_use]
    pub fn announce(mut self, url: &str) -> Self {
        self.announce = Some(url.to_owned());
        self
    }

    /// With another piece length.
    #[must_use]
    pub fn piece_length(mut self, bytes: u64) -> Self {
        self.piece_length = bytes;
        self
    }

    /// Reads the payload at `root` and makes its torrent file.
    pub fn make(&self, root: &Path) -> Result<Metainfo> {
        let content = files::Content::read(root)?;
        let mut info = BTreeMap::from([
            (b"name".to_vec(), Value::from(content.name.as_str())),
            (b"piece length".to_vec(), Value::size(self.piece_length)),
        ]);
        let mut torrent = BTreeMap::new();
        if self.version != Version::V2 {
            info.extend(v1::members(&content, self.piece_length, self.version == Version::Hybrid)?);
        }
        if self.version != Version::V1 {
            let tree = v2::Tree::read(&content, self.piece_length)?;
            info.extend(tree.members());
            torrent.insert(b"piece layers".to_vec(), tree.layers());
        }
        let info = Value::Dict(info);
        let encoded = info.encode();
        torrent.insert(b"info".to_vec(), info);
        if let Some(announce) = &self.announce {
            torrent.insert(b"announce".to_vec(), Value::from(announce.as_str()));
        }
        Ok(Metainfo {
            bytes: Value::Dict(torrent).encode(),
            v1: (self.version != Version::V2).then(|| hex(&sha1::Sha1::digest(&encoded))),
            v2: (self.version != Version::V1).then(|| hex(&sha2::Sha256::digest(&encoded))),
            size: content.size(),
            name: content.name,
        })
    }
}

impl Metainfo {
    /// A magnet link (BEP 9) that names no tracker but these peers (`x.pe`).
    pub fn magnet(&self, peers: &[SocketAddrV4]) -> String {
        let mut topics = Vec::new();
        if let Some(v1) = &self.v1 {
            topics.push(format!("xt=urn:btih:{v1}"));
        }
        if let Some(v2) = &self.v2 {
            // 0x12 0x20: multihash of SHA-256 with 32 bytes.
            topics.push(format!("xt=urn:btmh:1220{v2}"));
        }
        topics.push(format!("dn={}", percent(&self.name)));
        topics.extend(peers.iter().map(|peer| format!("x.pe={peer}")));
        format!("magnet:?{}", topics.join("&"))
    }
}

fn percent(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").unwrap_or_default();
        }
        out
    })
}
