//! Whose content lies where: found above, at and beneath, and not confused with neighbors of a like name.

use std::path::{Path, PathBuf};

use proptest::{collection::vec, prelude::*, sample::select};
use revaer_catalog::{Catalog, Change};
use revaer_torrent_core::ContentPath;

use crate::records::{content, id, record, removed};

fn catalog(roots: &[PathBuf]) -> Catalog {
    let records = (1..).zip(roots).map(|(number, root)| {
        let mut one = record(number);
        one.placement.content = Some(ContentPath {
            save_dir: root.parent().unwrap().into(),
            root_name: root.file_name().unwrap().to_str().unwrap().to_owned(),
        });
        one
    });
    Catalog::new(records.collect())
}

#[test]
fn neighbors_of_a_like_name_hide_nothing_and_own_nothing() {
    // Byte by byte `/a/b c`, `/a/b!` and `/a/b-` would sort between `/a/b` and `/a/b/x`.
    let roots = ["/a/b c", "/a/b!", "/a/b-", "/a/bc", "/a/b/x", "/z/deep/er"].map(PathBuf::from);
    let catalog = catalog(&roots);
    for (path, owner) in [
        ("/a/b", Some(5)),
        ("/a/b/x", Some(5)),
        ("/a/b/x/file", Some(5)),
        ("/a/b/y", None),
        ("/a/b c/file", Some(1)),
        ("/a/b ", None),
        ("/a/bcd", None),
        ("/z/deep", Some(6)),
        ("/z/dee", None),
        ("/y", None),
    ] {
        assert_eq!(catalog.path_owner(Path::new(path)), owner.map(id), "{path}");
    }
    assert!(catalog.path_owner(Path::new("/")).is_some());
}

#[test]
fn a_tombstone_owns_its_path_until_it_is_gone() {
    let catalog = catalog(&["/a/b".into()]);
    let one = catalog.get(id(1)).unwrap().record;
    catalog.commit([Change::Put(removed((*one).clone()).into())]);
    assert_eq!(catalog.get(id(1)).map(|view| view.record.id), None);
    assert_eq!(catalog.path_owner(Path::new("/a/b/c")), Some(id(1)));
    catalog.commit([Change::Gone(id(1))]);
    assert_eq!(catalog.path_owner(Path::new("/a/b/c")), None);
}

#[test]
fn content_that_moves_frees_its_old_path() {
    let catalog = catalog(&["/a/b".into(), "/c/d".into()]);
    let mut one = (*catalog.get(id(1)).unwrap().record).clone();
    one.placement.content = Some(content("/e", "f"));
    catalog.commit([Change::Put(one.into())]);
    assert_eq!(catalog.path_owner(Path::new("/a/b")), None);
    assert_eq!(catalog.path_owner(Path::new("/e")), Some(id(1)));
    assert_eq!(catalog.path_owner(Path::new("/c")), Some(id(2)));
}

fn any_path() -> impl Strategy<Value = PathBuf> {
    let name = select(["a", "b", "b c", "bc", "b-", "b!", "b.", "B", "\u{e9}"].as_slice());
    vec(name, 1..5).prop_map(|names| Path::new("/").join(names.into_iter().collect::<PathBuf>()))
}

proptest! {
    #[test]
    fn an_owner_is_found_exactly_when_there_is_one(
        roots in proptest::collection::btree_set(any_path(), 0..12),
        asked in any_path(),
    ) {
        let roots: Vec<PathBuf> = roots.into_iter().collect();
        let clashes = |root: &PathBuf| root.starts_with(&asked) || asked.starts_with(root);
        let owners: Vec<_> =
            (1_u128..).zip(&roots).filter(|(_, root)| clashes(root)).map(|(number, _)| id(number)).collect();
        match catalog(&roots).path_owner(&asked) {
            Some(owner) => prop_assert!(owners.contains(&owner)),
            None => prop_assert!(owners.is_empty(), "{owners:?}"),
        }
    }
}
