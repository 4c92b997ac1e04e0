//! A magnet as a link, in one fixed spelling.

use std::fmt::Display;

use super::{Magnet, percent::encode_onto};

/// The link; `xt` first, since some readers insist.
pub(super) fn uri(magnet: &Magnet) -> String {
    let mut out = String::from("magnet:");
    if let Some(hash) = magnet.info_hashes.v1 {
        plain(&mut out, "xt=urn:btih:", hash);
    }
    if let Some(hash) = magnet.info_hashes.v2 {
        plain(&mut out, "xt=urn:btmh:1220", hash);
    }
    if let Some(name) = &magnet.display_name {
        escaped(&mut out, "dn=", name);
    }
    for tracker in &magnet.trackers {
        escaped(&mut out, "tr=", tracker);
    }
    for seed in &magnet.web_seeds {
        escaped(&mut out, "ws=", seed);
    }
    for peer in &magnet.peers {
        // libtorrent reads these as they stand, brackets and all.
        plain(&mut out, "x.pe=", peer);
    }
    if !magnet.select_only.is_empty() {
        plain(&mut out, "so=", ranges(&magnet.select_only));
    }
    out
}

fn plain(out: &mut String, member: &str, value: impl Display) {
    separate(out);
    out.push_str(member);
    out.push_str(&value.to_string());
}

fn escaped(out: &mut String, member: &str, value: &str) {
    separate(out);
    out.push_str(member);
    encode_onto(out, value);
}

fn separate(out: &mut String) {
    out.push(if out.ends_with(':') { '?' } else { '&' });
}

/// Indexes in order, as BEP 53 writes them: neighbors as a range.
fn ranges(indexes: &[u32]) -> String {
    indexes
        .chunk_by(|left, right| left.checked_add(1) == Some(*right))
        .map(|run| match run {
            [first, .., last] => format!("{first}-{last}"),
            one => one.iter().map(u32::to_string).collect(),
        })
        .collect::<Vec<_>>()
        .join(",")
}
