//! What is to happen to one name in the library: the table of collisions. Pure.

use crate::{
    journal::FileRecord,
    safe::{Kind, Metadata},
};

/// What a wanted file needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Placement {
    /// It lies there already.
    Keep,
    /// Nothing has its name.
    Add,
    /// An older file of ours has its name, and its source has changed since.
    Replace,
}

/// The name belongs to a file that no journal of ours knows as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Foreign;

/// Decides for one file. `links` says that the library's file may be the source's own inode; `device` is the library's.
pub(crate) fn place(
    record: Option<&FileRecord>,
    source: &Metadata,
    found: Option<&Metadata>,
    device: u64,
    links: bool,
) -> Result<Placement, Foreign> {
    let Some(found) = found else { return Ok(Placement::Add) };
    if found.kind != Kind::File {
        return Err(Foreign);
    }
    if links && found.is_same_file(source) {
        return Ok(Placement::Keep);
    }
    match record {
        Some(record) if record.is_placed(found, device) && record.source.has_same_content(source) => {
            Ok(Placement::Keep)
        }
        Some(record) if record.is_ours(found, device) => Ok(Placement::Replace),
        Some(_) | None => Err(Foreign),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Identity;

    const LIBRARY: u64 = 7;

    fn file(device: u64, inode: u64, modified_ns: i64) -> Metadata {
        Metadata { kind: Kind::File, device, inode, size: 10, modified_ns, owner: 0 }
    }

    fn record(placed: &Metadata, source: &Metadata, linked: bool) -> FileRecord {
        FileRecord {
            path: "a".into(),
            size: 10,
            sha256: None,
            origin: "/a".into(),
            placed: Identity::of(placed),
            source: Identity::of(source),
            linked,
            replaces: None,
        }
    }

    #[test]
    fn the_table() {
        let source = file(1, 1, 100);
        let repaired = file(1, 1, 200);
        let copy = file(LIBRARY, 2, 150);
        let edited = file(LIBRARY, 2, 999);
        let record = record(&copy, &source, false);
        for (what, record, source, found, expected) in [
            ("nothing there", None, &source, None, Ok(Placement::Add)),
            ("ours, deleted by hand", Some(&record), &source, None, Ok(Placement::Add)),
            ("ours, as it was placed", Some(&record), &source, Some(&copy), Ok(Placement::Keep)),
            ("ours, source repaired", Some(&record), &repaired, Some(&copy), Ok(Placement::Replace)),
            ("edited by hand", Some(&record), &source, Some(&edited), Err(Foreign)),
            ("another's", None, &source, Some(&copy), Err(Foreign)),
        ] {
            assert_eq!(place(record, source, found, LIBRARY, false), expected, "{what}");
        }
    }

    #[test]
    fn a_link_is_the_source_itself() {
        let source = file(LIBRARY, 1, 200);
        let linked = record(&file(LIBRARY, 1, 100), &file(LIBRARY, 1, 100), true);
        // A recheck that repaired the download repaired the library's name for it too.
        assert_eq!(place(Some(&linked), &source, Some(&source), LIBRARY, true), Ok(Placement::Keep));
        // Without links in this mode the same inode is not a copy.
        assert_eq!(place(None, &source, Some(&source), LIBRARY, false), Err(Foreign));
        let fetched_again = file(LIBRARY, 9, 300);
        let found = file(LIBRARY, 1, 100);
        assert_eq!(place(Some(&linked), &fetched_again, Some(&found), LIBRARY, true), Ok(Placement::Replace));
    }

    #[test]
    fn a_directory_or_link_in_the_way_is_foreign() {
        let source = file(1, 1, 1);
        for kind in [Kind::Directory, Kind::Symlink, Kind::Special] {
            let found = Metadata { kind, ..file(LIBRARY, 2, 2) };
            let record = record(&found, &source, false);
            assert_eq!(place(Some(&record), &source, Some(&found), LIBRARY, true), Err(Foreign));
        }
    }
}
