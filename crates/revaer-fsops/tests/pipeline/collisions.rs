//! Names that are taken, and jobs that run again after something changed.

use std::fs;

use revaer_torrent_core::fsops::{FsOpsControl, MoveMode};

use crate::support::{Pipeline, Place, completed, failure, noise, torrent, tree};

#[tokio::test]
async fn what_is_somebody_elses_is_never_touched() {
    for mode in [MoveMode::Hardlink, MoveMode::Copy, MoveMode::Move] {
        for (root, files) in [("Show", vec!["Show/a", "Show/b"]), ("film", vec!["film"])] {
            let place = Place::one_device();
            for file in &files {
                place.write(file, file.as_bytes());
            }
            let theirs = place.library.path().join(root);
            if files.len() > 1 {
                fs::create_dir(&theirs).unwrap();
            } else {
                fs::write(&theirs, "theirs").unwrap();
            }
            let (library, source) = (place.library_tree(), tree(place.downloads.path()));
            let (_, message, retry) = failure(Pipeline::new().run(&place.job(mode, root, &files)).await);
            assert!(!retry && message.contains(&theirs.display().to_string()), "{message}");
            assert!(message.contains("a failed job is not tried again"), "{message}");
            assert_eq!((place.library_tree(), tree(place.downloads.path())), (library, source));
            assert!(theirs.exists());
            place.assert_clean();
        }
    }
}

#[tokio::test]
async fn an_entry_of_another_torrent_is_somebody_elses() {
    let place = Place::one_device();
    place.write("Show/a", b"a");
    let pipeline = Pipeline::new();
    let job = place.job(MoveMode::Copy, "Show", &["Show/a"]);
    pipeline.run(&job).await;
    let mut other = job.clone();
    other.torrent = torrent(2);
    assert!(failure(pipeline.run(&other).await).1.contains("is not what this torrent put there"));
    assert_eq!(pipeline.run(&job).await, completed(&job, false));
}

#[tokio::test]
async fn a_widened_selection_is_added_to_the_entry() {
    for mode in [MoveMode::Hardlink, MoveMode::Copy, MoveMode::Move] {
        let place = Place::one_device();
        for (seed, path) in ["Show/a", "Show/b", "Show/extras/c"].iter().enumerate() {
            place.write(path, &noise(seed as u64, 10_000));
        }
        let pipeline = Pipeline::new();
        let whole = tree(place.downloads.path());
        pipeline.run(&place.job(mode, "Show", &["Show/a"])).await;
        fs::write(place.library.path().join("Show/poster.jpg"), "a media server's").unwrap();
        if mode == MoveMode::Move {
            // A moved torrent's content is its entry: what was fetched since lies there.
            continue;
        }
        let mut job = place.job(mode, "Show", &["Show/a", "Show/b", "Show/extras/c"]);
        job.generation = 2;
        assert_eq!(pipeline.run(&job).await, completed(&job, false));
        let mut library = place.library_tree();
        assert!(library.remove("Show/poster.jpg").is_some());
        assert_eq!(library, whole);
        place.assert_clean();
    }
}

#[tokio::test]
async fn a_copy_of_what_was_repaired_since_is_replaced() {
    for root in ["Show", "film"] {
        let place = Place::one_device();
        let file = if root == "Show" { "Show/a" } else { "film" };
        place.write(file, b"damaged");
        let pipeline = Pipeline::new();
        pipeline.run(&place.job(MoveMode::Copy, root, &[file])).await;
        place.write(file, b"correct");
        let path = place.downloads.path().join(file);
        let later = std::time::SystemTime::now() + std::time::Duration::from_secs(5);
        fs::File::open(&path).unwrap().set_modified(later).unwrap();
        let mut job = place.job(MoveMode::Copy, root, &[file]);
        job.generation = 2;
        assert_eq!(pipeline.run(&job).await, completed(&job, false));
        assert_eq!(fs::read(place.library.path().join(file)).unwrap(), b"correct");
        place.assert_clean();
        // And once more: it is ours as it is now.
        job.generation = 3;
        assert_eq!(pipeline.run(&job).await, completed(&job, false));
    }
}

#[tokio::test]
async fn a_library_file_that_was_edited_stays_as_it_was_edited() {
    let place = Place::one_device();
    place.write("Show/a", b"a");
    let pipeline = Pipeline::new();
    pipeline.run(&place.job(MoveMode::Copy, "Show", &["Show/a"])).await;
    fs::write(place.library.path().join("Show/a"), "edited").unwrap();
    let mut job = place.job(MoveMode::Copy, "Show", &["Show/a"]);
    job.generation = 2;
    let (step, message, retry) = failure(pipeline.run(&job).await);
    assert_eq!((step, retry), ("locate_source", false), "{message}");
    assert_eq!(fs::read_to_string(place.library.path().join("Show/a")).unwrap(), "edited");
}

#[tokio::test]
async fn an_entry_that_was_deleted_by_hand_is_made_again_for_a_new_job() {
    let place = Place::one_device();
    place.write("Show/a", b"a");
    let pipeline = Pipeline::new();
    pipeline.run(&place.job(MoveMode::Copy, "Show", &["Show/a"])).await;
    fs::remove_file(place.library.path().join("Show/a")).unwrap();
    fs::remove_dir(place.library.path().join("Show")).unwrap();
    let mut job = place.job(MoveMode::Copy, "Show", &["Show/a"]);
    job.generation = 2;
    assert_eq!(pipeline.run(&job).await, completed(&job, false));
    assert!(place.library.path().join("Show/a").exists());
}

#[tokio::test]
async fn a_journal_that_is_torn_is_set_aside_and_its_entry_left_alone() {
    let place = Place::one_device();
    place.write("Show/a", b"a");
    let pipeline = Pipeline::new();
    let job = place.job(MoveMode::Copy, "Show", &["Show/a"]);
    pipeline.run(&job).await;
    let journal = place.library.path().join(format!(".revaer.meta/{}.json", torrent(1)));
    fs::write(&journal, "{torn").unwrap();
    assert!(!failure(pipeline.run(&job).await).2);
    assert_eq!(fs::read_to_string(journal.with_extension("json.corrupt")).unwrap(), "{torn");
    assert!(place.library.path().join("Show/a").exists());
}

#[tokio::test]
async fn what_an_unfinished_job_left_goes_with_its_torrent() {
    let place = Place::one_device();
    place.write("Show/a", b"a");
    let pipeline = Pipeline::new();
    let job = place.job(MoveMode::Copy, "Show", &["Show/a"]);
    let work = place.library.path().join(format!(".revaer.tmp/{}", torrent(1)));
    fs::create_dir(place.library.path().join("Show")).unwrap();
    failure(pipeline.run(&job).await);
    fs::create_dir_all(work.join("staging")).unwrap();
    for _ in 0..2 {
        pipeline.fsops.discard(torrent(1), place.library.path().to_owned()).await.unwrap();
        assert!(!work.exists() && tree(&place.library.path().join(".revaer.meta")).is_empty());
    }
    fs::remove_dir(place.library.path().join("Show")).unwrap();
    assert_eq!(pipeline.run(&job).await, completed(&job, false));
    pipeline.fsops.discard(torrent(1), place.library.path().to_owned()).await.unwrap();
    assert_eq!(place.journal()["completed"], true);
}
