//! Attacks on a root, with both ways of resolving names.

use std::{fs, os::unix::fs::symlink, path::Path};

use rustix::io::Errno;

use super::*;

fn rel(path: &str) -> RelativePath {
    RelativePath::new(path).unwrap()
}

/// Runs `check` on a root `<dir>/root` beside `<dir>/outside`, once per way of resolving.
fn both(check: impl Fn(&SafeRoot, &Path)) {
    for resolution in [Resolution::Openat2, Resolution::Components] {
        let dir = tempfile::tempdir().unwrap();
        let outside = dir.path().join("outside");
        fs::create_dir_all(dir.path().join("root/inner")).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("secret"), "secret").unwrap();
        let root = SafeRoot::open_with(&dir.path().join("root"), resolution).unwrap();
        check(&root, &outside);
    }
}

#[test]
fn a_link_on_the_way_is_never_followed() {
    both(|root, outside| {
        symlink(outside, root.path().join("link")).unwrap();
        let through = root.at(rel("link/secret"));
        assert!(through.open_file().is_err());
        assert!(through.try_metadata().is_err());
        assert!(through.remove_file().is_err());
        assert!(root.at(rel("link/new")).create_new(0o644).is_err());
        assert!(root.at(rel("link/new")).mkdir_all(0o755).is_err());
        assert!(root.at(rel("link")).read_dir().is_err());
        assert_eq!(fs::read_dir(outside).unwrap().count(), 1);
    });
}

#[test]
fn a_link_as_the_last_name_is_itself() {
    both(|root, outside| {
        symlink(outside.join("secret"), root.path().join("link")).unwrap();
        let link = root.at(rel("link"));
        assert_eq!(link.metadata().unwrap().kind, Kind::Symlink);
        assert!(link.open_file().is_err());
        assert!(link.create_new(0o644).is_err());
        assert!(link.remove_file().unwrap());
        assert_eq!(fs::read_to_string(outside.join("secret")).unwrap(), "secret");
    });
}

#[test]
fn removing_a_tree_leaves_the_targets_of_its_links() {
    both(|root, outside| {
        fs::create_dir_all(root.path().join("tree/a/b")).unwrap();
        fs::write(root.path().join("tree/a/file"), "x").unwrap();
        symlink(outside, root.path().join("tree/a/b/link")).unwrap();
        root.at(rel("tree")).remove_tree().unwrap();
        root.at(rel("tree")).remove_tree().unwrap();
        assert!(!root.path().join("tree").exists());
        assert!(outside.join("secret").exists());
    });
}

#[test]
fn a_root_stays_pinned_when_its_path_is_swapped() {
    both(|root, outside| {
        let moved = root.path().with_file_name("moved");
        rustix::fs::rename(root.path(), &moved).unwrap();
        symlink(outside, root.path()).unwrap();
        drop(root.at(rel("inner/file")).create_new(0o640).unwrap());
        assert!(moved.join("inner/file").exists());
        assert_eq!(fs::read_dir(outside).unwrap().count(), 1);
    });
}

#[test]
fn a_pipe_is_refused_without_blocking() {
    both(|root, _| {
        let path = root.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
            .unwrap();
        let error = root.at(rel("pipe")).open_file().unwrap_err();
        assert!(error.to_string().ends_with("is a device, pipe or socket, not a regular file"), "{error}");
    });
}

#[test]
fn modes_are_exact_and_directories_are_made_once() {
    use std::os::unix::fs::PermissionsExt;
    both(|root, _| {
        root.at(rel("a/b")).mkdir_all(0o775).unwrap();
        root.at(rel("a/b")).mkdir_all(0o700).unwrap();
        assert!(!root.at(rel("a/b")).mkdir(0o700).unwrap());
        drop(root.at(rel("a/b/f")).create_new(0o666).unwrap());
        let mode = |path: &str| fs::metadata(root.path().join(path)).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode("a/b"), mode("a/b/f")), (0o775, 0o666));
        assert!(root.at(rel("a/b/f")).mkdir(0o755).is_err());
    });
}

#[test]
fn rename_does_not_replace_and_links_do_not_either() {
    both(|root, _| {
        fs::write(root.path().join("one"), "1").unwrap();
        fs::write(root.path().join("two"), "2").unwrap();
        let (one, two) = (root.at(rel("one")), root.at(rel("two")));
        assert_eq!(one.rename_noreplace(&two).unwrap_err().errno(), Some(Errno::EXIST));
        assert_eq!(one.link_to(&two).unwrap_err().errno(), Some(Errno::EXIST));
        assert_eq!(one.rename_noreplace(&root.at(rel("inner"))).unwrap_err().errno(), Some(Errno::EXIST));
        one.exchange(&two).unwrap();
        assert_eq!(fs::read_to_string(root.path().join("one")).unwrap(), "2");
    });
}

#[test]
fn a_durable_write_replaces_and_leaves_no_sibling() {
    both(|root, _| {
        let file = root.at(rel("inner/x.json"));
        // What a crash in the middle of a write leaves.
        fs::write(root.path().join("inner/.x.json.tmp"), "torn").unwrap();
        file.write_durably(b"first", 0o600).unwrap();
        file.write_durably(b"second", 0o600).unwrap();
        assert_eq!(fs::read_to_string(root.path().join("inner/x.json")).unwrap(), "second");
        assert_eq!(fs::read_dir(root.path().join("inner")).unwrap().count(), 1);
    });
}
