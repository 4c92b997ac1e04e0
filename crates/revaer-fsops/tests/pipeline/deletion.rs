//! The removal of a torrent's own files.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use revaer_torrent_core::{
    Bytes, ContentPath,
    fsops::{Deletion, DeletionOutcome, FsOpsControl, JobFile, MoveMode},
};

use crate::support::{Pipeline, Place, torrent, tree};

fn deletion(save_dir: &Path, root: &str, files: &[(&str, u64)]) -> Deletion {
    Deletion {
        torrent: torrent(1),
        content: ContentPath { save_dir: save_dir.to_owned(), root_name: root.to_owned() },
        files: files
            .iter()
            .map(|(path, size)| JobFile { path: (*path).to_owned(), size: Bytes(*size) })
            .collect(),
        allow_list: vec![save_dir.to_owned()],
    }
}

async fn delete(deletion: &Deletion) -> DeletionOutcome {
    Pipeline::new().fsops.delete(deletion.clone()).await.unwrap()
}

#[tokio::test]
async fn own_files_go_whole_or_partial_and_a_repetition_finds_nothing() {
    let place = Place::one_device();
    place.write("Show/a", b"whole");
    place.write("Show/deep/er/b", b"par");
    place.write("neighbour", b"stays");
    let deletion =
        deletion(place.downloads.path(), "Show", &[("Show/a", 5), ("Show/deep/er/b", 9), ("Show/never", 7)]);
    assert_eq!(delete(&deletion).await, DeletionOutcome { deleted: 2, kept: vec![] });
    assert_eq!(tree(place.downloads.path()).into_keys().collect::<Vec<_>>(), ["neighbour"]);
    assert!(!place.downloads.path().join("Show").exists());
    assert_eq!(delete(&deletion).await, DeletionOutcome::default());
}

#[tokio::test]
async fn strangers_stay_and_are_named() {
    let place = Place::one_device();
    place.write("Show/a", b"own");
    place.write("Show/mine.txt", b"a person's");
    place.write("Show/b", b"longer than the torrent's");
    let outcome =
        delete(&deletion(place.downloads.path(), "Show", &[("Show/a", 3), ("Show/b", 3), ("other/c", 3)]))
            .await;
    assert_eq!(outcome.deleted, 1);
    let kept = outcome.kept.join("\n");
    for part in ["Show/mine.txt: not one of", "Show/b: it has 25 bytes", "\"other/c\": not a path"] {
        assert!(kept.contains(part), "{part} is missing in\n{kept}");
    }
    assert!(place.downloads.path().join("Show/mine.txt").exists());
    assert!(place.downloads.path().join("Show/b").exists());
}

#[tokio::test]
async fn links_lead_nowhere() {
    let place = Place::one_device();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("a"), "own").unwrap();
    place.write("Show/x", b"x");
    symlink(outside.path(), place.downloads.path().join("Show/dir")).unwrap();
    symlink(outside.path().join("a"), place.downloads.path().join("Show/payload")).unwrap();
    symlink("x", place.downloads.path().join("Show/own-link")).unwrap();
    let files = [("Show/dir/a", 3), ("Show/payload", 3), ("Show/own-link", 0), ("Show/x", 1)];
    let outcome = delete(&deletion(place.downloads.path(), "Show", &files)).await;
    assert_eq!(outcome.deleted, 2, "{outcome:?}");
    assert_eq!(fs::read_to_string(outside.path().join("a")).unwrap(), "own");
    assert!(outcome.kept.iter().any(|reason| reason.contains("Show/dir/a: reached only through a link")));
}

#[tokio::test]
async fn a_library_entry_of_hard_links_is_untouched() {
    let place = Place::one_device();
    place.write("Show/a", b"bytes");
    let pipeline = Pipeline::new();
    pipeline.run(&place.job(MoveMode::Hardlink, "Show", &["Show/a"])).await;
    delete(&deletion(place.downloads.path(), "Show", &[("Show/a", 5)])).await;
    assert_eq!(fs::read(place.library.path().join("Show/a")).unwrap(), b"bytes");
    assert!(tree(place.downloads.path()).is_empty());
}

#[tokio::test]
async fn a_directory_made_for_the_torrent_alone_goes_too() {
    let place = Place::one_device();
    let id = torrent(1).to_string();
    place.write(&format!("{id}/film"), b"film");
    let deletion = deletion(&place.downloads.path().join(&id), "film", &[("film", 4)]);
    assert_eq!(delete(&deletion).await.deleted, 1);
    assert_eq!(fs::read_dir(place.downloads.path()).unwrap().count(), 0);
    assert_eq!(delete(&deletion).await, DeletionOutcome::default());
}

#[tokio::test]
async fn outside_the_allow_list_nothing_is_deleted() {
    let place = Place::one_device();
    place.write("Show/a", b"own");
    let mut deletion = deletion(place.downloads.path(), "Show", &[("Show/a", 3)]);
    deletion.allow_list = vec![PathBuf::from("/nonexistent")];
    let error = Pipeline::new().fsops.delete(deletion).await.unwrap_err();
    assert!(error.to_string().contains("outside the allow list"), "{error}");
    assert!(place.downloads.path().join("Show/a").exists());
}

#[tokio::test]
async fn a_volume_that_is_away_is_an_error_and_not_a_success() {
    let missing = Path::new("/nonexistent/volume/downloads");
    assert!(Pipeline::new().fsops.delete(deletion(missing, "Show", &[("Show/a", 3)])).await.is_err());
}
