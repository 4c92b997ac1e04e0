//! Which bytes of which file lie in which piece: how much of the wanted content is there, by verified pieces.

use std::sync::Arc;

use crate::{Bytes, FilePriority, Metainfo};

/// A bit per piece, most significant bit first, as in the peer protocol's bitfield (BEP 3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PieceSet {
    /// No piece.
    None,
    /// Every piece.
    All,
    /// Those whose bit is set.
    Some(Arc<[u8]>),
}

impl PieceSet {
    /// Whether the piece `index` is in the set.
    pub fn contains(&self, index: u32) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Some(bits) => {
                bits.get(index as usize / 8).is_some_and(|byte| byte & (0x80 >> (index % 8)) != 0)
            }
        }
    }
}

/// Offsets and sizes of a torrent's files, without their names: small enough to keep for every running torrent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    piece_length: u64,
    files: Box<[Span]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    offset: u64,
    size: u64,
    is_padding: bool,
}

/// How much of the wanted content has been verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentProgress {
    /// Size of all wanted files.
    pub wanted: Bytes,
    /// Bytes of them that lie in verified pieces.
    pub done: Bytes,
}

impl ContentProgress {
    /// Whether every wanted byte is there.
    pub const fn is_complete(&self) -> bool {
        self.done.0 >= self.wanted.0
    }
}

impl Layout {
    /// The layout of `metainfo`.
    pub fn new(metainfo: &Metainfo) -> Self {
        let files = metainfo
            .files
            .iter()
            .map(|file| Span { offset: file.offset.0, size: file.size.0, is_padding: file.is_padding })
            .collect();
        Self { piece_length: metainfo.piece_length.0.max(1), files }
    }

    /// Verified bytes of each file, in the torrent's order.
    pub fn file_progress(&self, pieces: &PieceSet) -> Vec<Bytes> {
        self.files.iter().map(|file| self.verified(file, pieces)).collect()
    }

    /// Verified bytes of the wanted files. `priorities` shorter than the file list mean "wanted" for the rest.
    pub fn progress(&self, pieces: &PieceSet, priorities: &[FilePriority]) -> ContentProgress {
        let mut sum = ContentProgress { wanted: Bytes::ZERO, done: Bytes::ZERO };
        for (index, file) in self.files.iter().enumerate() {
            let wanted = priorities.get(index).is_none_or(|priority| *priority != FilePriority::Skip);
            if wanted && !file.is_padding {
                sum.wanted = sum.wanted + Bytes(file.size);
                sum.done = sum.done + self.verified(file, pieces);
            }
        }
        sum
    }

    /// Costs one step per piece of the file; whole sets cost nothing.
    fn verified(&self, file: &Span, pieces: &PieceSet) -> Bytes {
        match pieces {
            PieceSet::None => return Bytes::ZERO,
            PieceSet::All => return Bytes(file.size),
            PieceSet::Some(_) => {}
        }
        if file.size == 0 {
            return Bytes::ZERO;
        }
        let end = file.offset.saturating_add(file.size);
        let first = file.offset / self.piece_length;
        let last = (end - 1) / self.piece_length;
        let verified = (first..=last)
            .filter(|index| u32::try_from(*index).is_ok_and(|index| pieces.contains(index)))
            .map(|index| {
                let start = index.saturating_mul(self.piece_length);
                let stop = start.saturating_add(self.piece_length);
                stop.min(end) - start.max(file.offset)
            })
            .sum();
        Bytes(verified)
    }
}

#[cfg(test)]
mod tests;
