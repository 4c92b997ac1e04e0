//! Judges a .torrent: libtorrent's loader, then checks of our own, so that the answer is the same with every
//! version of the library.

use std::collections::HashSet;

use revaer_torrent_core::{
    Bytes, ContentFile, InfoHashV1, InfoHashV2, InfoHashes, Metainfo, engine::InspectError,
};

use crate::{bencode::Value, ffi};

/// The longest .torrent that is taken.
const MAX_METAINFO_BYTES: usize = 8 * 1024 * 1024;

/// Judges the bytes of a .torrent. Parses, and hashes v2 piece layers: not for an async worker.
pub(crate) fn inspect(metainfo: &[u8]) -> Result<Metainfo, InspectError> {
    if metainfo.len() > MAX_METAINFO_BYTES {
        let length = metainfo.len();
        return Err(invalid(format!("it is {length} bytes long; at most {MAX_METAINFO_BYTES} are taken")));
    }
    let facts = ffi::inspect(metainfo).map_err(|error| invalid(readable(error.what())))?;
    let root = Value::parse(metainfo).ok_or_else(|| invalid("it is not bencoded".to_owned()))?;
    check_piece_layers(&root)?;
    let metainfo = metainfo_of(facts);
    check_names(&metainfo)?;
    Ok(metainfo)
}

/// Names of the server's own: the mark of a volume, the journals and the working directory of a library.
fn check_names(metainfo: &Metainfo) -> Result<(), InspectError> {
    let roots = metainfo.files.iter().filter_map(|file| file.path.split('/').next());
    match roots.into_iter().find(|root| root.to_ascii_lowercase().starts_with(".revaer")) {
        Some(root) => Err(invalid(format!(
            "its content is called {root}; names that begin with .revaer are the server's own"
        ))),
        None => Ok(()),
    }
}

fn metainfo_of(facts: ffi::MetainfoFacts) -> Metainfo {
    let is_directory = facts.files.len() > 1 || facts.files.iter().any(|file| file.path.contains('/'));
    Metainfo {
        info_hashes: info_hashes(facts.has_v1, facts.v1, facts.has_v2, facts.v2),
        name: facts.name,
        is_directory,
        files: facts
            .files
            .into_iter()
            .map(|file| ContentFile {
                path: file.path,
                size: Bytes(file.size),
                offset: Bytes(file.offset),
                is_padding: file.padding,
                is_symlink: file.symlink,
            })
            .collect(),
        piece_length: Bytes(facts.piece_length),
        piece_count: facts.piece_count,
        private: facts.private_,
        trackers: facts.trackers,
    }
}

/// Both hashes, as far as they are there.
pub(crate) fn info_hashes(has_v1: bool, v1: [u8; 20], has_v2: bool, v2: [u8; 32]) -> InfoHashes {
    InfoHashes { v1: has_v1.then(|| InfoHashV1::new(v1)), v2: has_v2.then(|| InfoHashV2::new(v2)) }
}

/// BEP 52: every key of `piece layers` is the pieces root of a file that is longer than a piece.
/// libtorrent before 2.0.9 takes a layer that no file owns.
fn check_piece_layers(root: &Value<'_>) -> Result<(), InspectError> {
    let Some(info) = root.get(b"info") else {
        return Err(invalid("it has no info dictionary".to_owned()));
    };
    let Some(tree) = info.get(b"file tree") else {
        return Ok(());
    };
    let Some(layers) = root.get(b"piece layers").and_then(Value::dict) else {
        return Ok(());
    };
    let piece_length = info.get(b"piece length").and_then(Value::integer).unwrap_or(i64::MAX);
    let mut owned = HashSet::new();
    collect_roots(tree, piece_length, &mut owned);
    if layers.iter().all(|(key, _)| owned.contains(key)) {
        Ok(())
    } else {
        Err(invalid("its piece layers hold an entry that belongs to no file longer than a piece".to_owned()))
    }
}

/// Recursion is bounded by the reader's depth.
fn collect_roots<'a>(node: &Value<'a>, piece_length: i64, owned: &mut HashSet<&'a [u8]>) {
    for (name, child) in node.dict().unwrap_or_default() {
        if !name.is_empty() {
            collect_roots(child, piece_length, owned);
        } else if child.get(b"length").and_then(Value::integer).is_some_and(|length| length > piece_length) {
            owned.extend(child.get(b"pieces root").and_then(Value::bytes));
        }
    }
}

fn invalid(reason: String) -> InspectError {
    InspectError::Invalid(reason)
}

/// libtorrent's exceptions end in `[category:number]` or a source position: noise to a person.
fn readable(what: &str) -> String {
    let text = what.split(" [").next().unwrap_or(what).trim().trim_end_matches('.');
    if text.is_empty() { "libtorrent cannot read it".to_owned() } else { text.to_lowercase() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_longer_than_the_limit_is_refused_unread() {
        let error = inspect(&vec![b'd'; MAX_METAINFO_BYTES + 1]).unwrap_err();
        assert!(error.to_string().contains("at most"), "{error}");
    }

    #[test]
    fn bytes_that_are_no_torrent_are_refused_with_a_reason() {
        for bytes in [&b""[..], b"hello", b"d4:infod4:name1:aee"] {
            let error = inspect(bytes).unwrap_err().to_string();
            assert!(!error.is_empty() && !error.contains('['), "{error}");
        }
    }

    #[test]
    fn the_headers_are_those_of_the_library() {
        assert_eq!(ffi::library_version().split('-').next(), ffi::header_version().split('-').next());
        let built_with = env!("REVAER_LIBTORRENT_HEADERS");
        assert!(ffi::header_version().starts_with(built_with), "{built_with}");
    }
}
