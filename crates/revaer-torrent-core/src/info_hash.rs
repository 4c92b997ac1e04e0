//! Info-hashes: a torrent's identity in the swarm. SHA-1 for v1 (BEP 3), SHA-256 for v2 (BEP 52); hybrids have both.

use std::{fmt, str::FromStr};

/// A text is not an info-hash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an info-hash of this kind is {expected} hexadecimal digits, not {text:?}")]
pub struct InfoHashError {
    expected: usize,
    text: String,
}

macro_rules! info_hash {
    ($(#[$doc:meta])* $name:ident, $bytes:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $bytes]);

        impl $name {
            /// Takes the raw digest.
            pub const fn new(digest: [u8; $bytes]) -> Self {
                Self(digest)
            }

            /// The raw digest.
            pub const fn as_bytes(&self) -> &[u8; $bytes] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, formatter)
            }
        }

        impl FromStr for $name {
            type Err = InfoHashError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                hex(text).map(Self).ok_or_else(|| InfoHashError { expected: $bytes * 2, text: text.to_owned() })
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = std::array::TryFromSliceError;

            fn try_from(digest: &[u8]) -> Result<Self, Self::Error> {
                digest.try_into().map(Self)
            }
        }
    };
}

info_hash!(
    /// SHA-1 of the info dictionary (BEP 3).
    InfoHashV1,
    20
);
info_hash!(
    /// SHA-256 of the info dictionary (BEP 52).
    InfoHashV2,
    32
);

/// What identifies a torrent's content: one or both hashes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct InfoHashes {
    /// The v1 hash, where there is one.
    pub v1: Option<InfoHashV1>,
    /// The v2 hash, where there is one.
    pub v2: Option<InfoHashV2>,
}

impl InfoHashes {
    /// Whether the two name the same content by a hash that both have.
    pub fn overlaps(&self, other: &Self) -> bool {
        (self.v1.is_some() && self.v1 == other.v1) || (self.v2.is_some() && self.v2 == other.v2)
    }
}

fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != N * 2 {
        return None;
    }
    let mut out = [0; N];
    for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = u8::try_from(high * 16 + low).ok()?;
    }
    Some(out)
}

#[cfg(test)]
mod tests;
