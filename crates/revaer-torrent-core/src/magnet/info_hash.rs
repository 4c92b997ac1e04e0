//! `xt`: info-hashes as URNs, `urn:btih:` for v1 (BEP 9) and `urn:btmh:` for v2 (BEP 52).

use super::{after_prefix, ignored::shown};
use crate::{InfoHashV1, InfoHashV2, InfoHashes};

/// The multihash prefix of a SHA-256 digest of 32 bytes.
const SHA2_256: &str = "1220";

/// What one `xt` came to.
pub(super) enum Taken {
    /// It names a torrent.
    Hash,
    /// It names something that is no torrent.
    Foreign,
}

/// Adds what `topic` names to `hashes`, or says what is wrong with it.
pub(super) fn take(hashes: &mut InfoHashes, topic: &str) -> Result<Taken, String> {
    if let Some(digits) = after_prefix(topic, "urn:btih:") {
        set(&mut hashes.v1, v1(digits)?)?;
    } else if let Some(multihash) = after_prefix(topic, "urn:btmh:") {
        set(&mut hashes.v2, v2(multihash)?)?;
    } else {
        return Ok(Taken::Foreign);
    }
    Ok(Taken::Hash)
}

fn set<T: PartialEq + std::fmt::Display>(slot: &mut Option<T>, hash: T) -> Result<(), String> {
    match slot {
        Some(known) if *known != hash => Err(format!("it names two torrents, {known} and {hash}")),
        _ => {
            *slot = Some(hash);
            Ok(())
        }
    }
}

fn v1(digits: &str) -> Result<InfoHashV1, String> {
    let hash = match digits.len() {
        40 => digits.parse().ok(),
        32 => base32(digits).map(InfoHashV1::new),
        _ => None,
    };
    let hash = hash.ok_or_else(|| {
        format!("a v1 info-hash is 40 hexadecimal or 32 base32 digits, not {}", shown(digits))
    })?;
    // libtorrent reads a hash of zeros as "none".
    if *hash.as_bytes() == [0; 20] { Err(zeros()) } else { Ok(hash) }
}

fn v2(multihash: &str) -> Result<InfoHashV2, String> {
    let hash: InfoHashV2 =
        multihash.strip_prefix(SHA2_256).and_then(|digits| digits.parse().ok()).ok_or_else(|| {
            format!("a v2 info-hash is {SHA2_256} and 64 hexadecimal digits, not {}", shown(multihash))
        })?;
    if *hash.as_bytes() == [0; 32] { Err(zeros()) } else { Ok(hash) }
}

fn zeros() -> String {
    "an info-hash of nothing but zeros names no torrent".to_owned()
}

/// 32 digits of base32 (RFC 4648, section 6), in any case.
fn base32(digits: &str) -> Option<[u8; 20]> {
    let mut digest = [0; 20];
    if digits.len() != 32 {
        return None;
    }
    for (group, bytes) in digits.as_bytes().chunks_exact(8).zip(digest.chunks_exact_mut(5)) {
        let bits =
            group.iter().try_fold(0_u64, |bits, digit| Some(bits << 5 | u64::from(base32_digit(*digit)?)))?;
        bytes.copy_from_slice(&bits.to_be_bytes()[3..]);
    }
    Some(digest)
}

fn base32_digit(digit: u8) -> Option<u8> {
    match digit.to_ascii_uppercase() {
        letter @ b'A'..=b'Z' => Some(letter - b'A'),
        number @ b'2'..=b'7' => Some(number - b'2' + 26),
        _ => None,
    }
}
