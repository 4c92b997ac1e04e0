//! What is computed from the list of files.

use super::{ContentFile, Metainfo};
use crate::{Bytes, FilePriority, InfoHashes};

fn metainfo(files: &[(&str, u64)]) -> Metainfo {
    let file = |&(path, size): &(&str, u64)| ContentFile {
        path: path.to_owned(),
        size: Bytes(size),
        offset: Bytes::ZERO,
        is_padding: path.contains(".pad/"),
        is_symlink: false,
    };
    Metainfo {
        info_hashes: InfoHashes::default(),
        name: "root".to_owned(),
        is_directory: true,
        files: files.iter().map(file).collect(),
        piece_length: Bytes(1),
        piece_count: 0,
        private: false,
        trackers: Vec::new(),
    }
}

#[test]
fn extensions_are_in_lower_case_and_once() {
    let names = ["a/b.MKV", "a/c.mkv", "a/d.tar.GZ", "a/É.ÄÖ", "a/.pad/1.pad"];
    assert_eq!(metainfo(&names.map(|name| (name, 1))).extensions(), ["gz", "mkv", "äö"]);
}

#[test]
fn a_dot_alone_makes_no_extension() {
    let names = ["a.b/c", "a/.hidden", "a/ends.", "a/..", "."];
    assert!(metainfo(&names.map(|name| (name, 1))).extensions().is_empty());
    assert_eq!(metainfo(&[("a/.hidden.txt", 1)]).extensions(), ["txt"]);
}

#[test]
fn what_is_skipped_or_padding_is_not_wanted() {
    let files = metainfo(&[("a/b", 1), ("a/.pad/2", 2), ("a/c", 4), ("a/d", 8)]);
    let priorities = [FilePriority::Skip, FilePriority::Normal, FilePriority::High, FilePriority::Low];
    assert_eq!(files.wanted_size(&priorities), Bytes(12));
    // Nothing said is wanted.
    assert_eq!(files.wanted_size(&priorities[..1]), Bytes(12));
    assert_eq!(files.wanted_size(&[]), Bytes(13));
}
