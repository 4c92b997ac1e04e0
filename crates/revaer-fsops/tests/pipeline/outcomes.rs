//! What ends in the library, by mode, and what is refused before anything is touched.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use revaer_fsops::Checkpoints;
use revaer_torrent_core::fsops::{FsOpsControl, Job, JobOutcome, JobReport, MoveMode, Step};

use crate::support::{Pipeline, Place, completed, failure, noise, torrent, tree};

const FILES: [&str; 4] = ["Show/a.mkv", "Show/sub/b.mkv", "Show/sub/deep/empty", "Show/ü 日本.txt"];

fn show(place: &Place) {
    place.write("Show/a.mkv", &noise(1, 3_000_000));
    place.write("Show/sub/b.mkv", &noise(2, 70_000));
    place.write("Show/sub/deep/empty", b"");
    place.write("Show/ü 日本.txt", b"text");
    place.write("Show/unwanted.nfo", b"not wanted");
    place.write("neighbour.iso", b"another torrent's");
}

#[tokio::test]
async fn every_mode_places_the_wanted_files_and_nothing_else() {
    for (place, mode) in [
        (Place::one_device(), MoveMode::Hardlink),
        (Place::one_device(), MoveMode::Copy),
        (Place::one_device(), MoveMode::Move),
        (Place::two_devices(), MoveMode::Copy),
        (Place::two_devices(), MoveMode::Move),
    ] {
        show(&place);
        let mut wanted = tree(place.downloads.path());
        wanted.retain(|path, _| FILES.contains(&path.as_str()));
        let job = place.job(mode, "Show", &FILES);
        let moved = mode == MoveMode::Move;
        let pipeline = Pipeline::new();

        assert_eq!(pipeline.run(&job).await, completed(&job, moved), "{mode:?}");

        assert_eq!(place.library_tree(), wanted, "{mode:?}");
        place.assert_clean();
        let source = tree(place.downloads.path());
        assert_eq!(source.len(), if moved { 2 } else { 6 }, "{mode:?}: {source:?}");
        assert!(source.contains_key("Show/unwanted.nfo") && source.contains_key("neighbour.iso"));
        // Done again, as after a crash before the row was written: the same, and nothing moves.
        let inode = |path: &str| fs::metadata(place.library.path().join(path)).unwrap().ino();
        let before = inode(FILES[0]);
        assert_eq!(pipeline.run(&job).await, completed(&job, moved));
        assert_eq!(inode(FILES[0]), before);
    }
}

#[tokio::test]
async fn a_single_file_becomes_an_entry_of_its_own() {
    for mode in [MoveMode::Hardlink, MoveMode::Copy, MoveMode::Move] {
        let place = Place::one_device();
        place.write("film.mkv", &noise(3, 100_000));
        let wanted = tree(place.downloads.path());
        let job = place.job(mode, "film.mkv", &["film.mkv"]);
        assert_eq!(Pipeline::new().run(&job).await, completed(&job, mode == MoveMode::Move));
        assert_eq!(place.library_tree(), wanted);
        assert_eq!(Pipeline::new().run(&job).await, completed(&job, mode == MoveMode::Move));
        place.assert_clean();
    }
}

#[tokio::test]
async fn links_share_the_inode_and_copies_have_explicit_modes() {
    let place = Place::one_device();
    show(&place);
    fs::set_permissions(place.downloads.path().join(FILES[0]), fs::Permissions::from_mode(0o600)).unwrap();
    let job = place.job(MoveMode::Hardlink, "Show", &FILES);
    Pipeline::new().run(&job).await;
    let (source, entry) = (place.downloads.path().join(FILES[0]), place.library.path().join(FILES[0]));
    assert_eq!(fs::metadata(&source).unwrap().ino(), fs::metadata(&entry).unwrap().ino());
    assert_eq!(fs::metadata(&entry).unwrap().mode() & 0o777, 0o600);

    let place = Place::one_device();
    show(&place);
    Pipeline::new().run(&place.job(MoveMode::Copy, "Show", &FILES)).await;
    let mode = |path: &str| fs::metadata(place.library.path().join(path)).unwrap().mode() & 0o7777;
    assert_eq!((mode("Show"), mode("Show/sub/deep"), mode(FILES[0])), (0o755, 0o755, 0o644));
}

#[tokio::test]
async fn the_journal_names_every_step_and_file() {
    let place = Place::one_device();
    show(&place);
    let pipeline = Pipeline::new();
    pipeline.run(&place.job(MoveMode::Copy, "Show", &FILES)).await;
    let journal = place.journal();
    let steps: Vec<_> =
        journal["steps"].as_array().unwrap().iter().map(|step| step["name"].clone()).collect();
    assert_eq!(steps, Step::ALL.map(Step::name));
    assert_eq!(journal["steps"][13]["status"], "completed");
    assert_eq!(journal["steps"][6]["status"], "skipped");
    assert_eq!((&journal["schema"], &journal["completed"]), (&1.into(), &true.into()));
    assert_eq!(journal["files"].as_array().unwrap().len(), FILES.len());
    assert_eq!(journal["transfer_mode"], "copy");
    let text = pipeline.metrics.render(&pipeline.health);
    for step in Step::ALL {
        assert!(text.contains(&format!("fsops_steps_total{{step=\"{}\"", step.name())), "{}", step.name());
    }
}

#[tokio::test]
async fn what_lies_outside_the_allow_list_is_not_touched() {
    for outside in ["library", "content"] {
        let place = Place::one_device();
        show(&place);
        let mut job = place.job(MoveMode::Copy, "Show", &FILES);
        let refused = if outside == "library" { place.library.path() } else { place.downloads.path() };
        job.policy.allow_list.retain(|root| root != refused);
        let (step, message, retry) = failure(Pipeline::new().run(&job).await);
        assert_eq!((step, retry), ("allowlist", false));
        assert!(message.contains(&format!("the {outside} {} is outside", refused.display())), "{message}");
        assert_eq!(fs::read_dir(place.library.path()).unwrap().count(), 0);
    }
}

#[tokio::test]
async fn a_library_that_is_a_link_out_of_the_allow_list_is_refused() {
    let place = Place::one_device();
    let elsewhere = tempfile::tempdir().unwrap();
    show(&place);
    let mut job = place.job(MoveMode::Copy, "Show", &FILES);
    let link = place.library.path().join("link");
    symlink(elsewhere.path(), &link).unwrap();
    job.policy.library_root = link;
    assert_eq!(failure(Pipeline::new().run(&job).await).0, "allowlist");
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_link_to_another_device_is_refused_with_its_reason() {
    let place = Place::two_devices();
    show(&place);
    let (step, message, retry) =
        failure(Pipeline::new().run(&place.job(MoveMode::Hardlink, "Show", &FILES)).await);
    assert_eq!((step, retry), ("prepare_work_dir", false));
    assert!(message.contains("they lie on different devices"), "{message}");
    assert!(place.library_tree().is_empty());
    place.assert_clean();
}

#[tokio::test]
async fn a_source_that_is_not_whole_is_refused_by_name() {
    type Breakage = fn(&Place);
    let broken: [(&str, Breakage); 4] = [
        ("has 5 bytes", |place| place.write(FILES[0], b"short")),
        ("is missing", |place| fs::remove_file(place.downloads.path().join(FILES[0])).unwrap()),
        ("is a symbolic link", |place| {
            let path = place.downloads.path().join(FILES[0]);
            fs::remove_file(&path).unwrap();
            symlink("/etc/hostname", path).unwrap();
        }),
        ("is a directory", |place| {
            let path = place.downloads.path().join(FILES[0]);
            fs::remove_file(&path).unwrap();
            fs::create_dir(path).unwrap();
        }),
    ];
    for (reason, breakage) in broken {
        let place = Place::one_device();
        show(&place);
        let job = place.job(MoveMode::Hardlink, "Show", &FILES);
        breakage(&place);
        let (step, message, retry) = failure(Pipeline::new().run(&job).await);
        assert_eq!((step, retry), ("locate_source", false), "{message}");
        assert!(message.contains(reason) && message.contains("Show/a.mkv"), "{message}");
        assert!(place.library_tree().is_empty());
    }
}

#[tokio::test]
async fn a_volume_that_is_away_is_retried_and_shown_in_health() {
    let place = Place::one_device();
    show(&place);
    let job = place.job(MoveMode::Hardlink, "Show", &FILES);
    let away = place.downloads.path().join("away");
    rustix::fs::rename(place.downloads.path().join("Show"), &away).unwrap();
    let pipeline = Pipeline::new();
    let (step, message, retry) = failure(pipeline.run(&job).await);
    assert_eq!((step, retry), ("locate_source", true), "{message}");
    assert_eq!(pipeline.health.degraded(), ["fsops"]);
    assert!(failure(pipeline.run(&job).await).2);
    assert_eq!(pipeline.metrics.guardrail_violations(), 1, "it waits for what it waited for");
    // What fails beside it counts, although the pipeline is degraded already.
    place.write("Other/a.mkv", b"other");
    let other = Job { torrent: torrent(99), ..place.job(MoveMode::Hardlink, "Other", &["Other/a.mkv"]) };
    fs::remove_file(place.downloads.path().join("Other/a.mkv")).unwrap();
    assert!(!failure(pipeline.run(&other).await).2);
    assert_eq!(pipeline.metrics.guardrail_violations(), 2);
    rustix::fs::rename(&away, place.downloads.path().join("Show")).unwrap();
    assert_eq!(pipeline.run(&job).await, completed(&job, false));
    assert!(pipeline.health.degraded().is_empty());

    let mut job = place.job(MoveMode::Hardlink, "Show", &FILES);
    job.policy.library_root = place.library.path().join("not mounted");
    let (step, message, retry) = failure(pipeline.run(&job).await);
    assert_eq!((step, retry), ("allowlist", true), "{message}");
    assert!(!job.policy.library_root.exists());
    assert_eq!(pipeline.health.degraded(), ["fsops"]);
    // What waits no longer, because its torrent is gone, does not degrade any more.
    pipeline.fsops.discard(job.torrent, place.library.path().to_owned()).await.unwrap();
    assert!(pipeline.health.degraded().is_empty());
}

#[tokio::test]
async fn a_copy_without_room_does_not_start() {
    let place = Place::one_device();
    let path = place.downloads.path().join("huge");
    // A hole of 8 EiB less a little: no library has that.
    fs::File::create(&path).unwrap().set_len(1 << 43).unwrap();
    let (step, message, retry) =
        failure(Pipeline::new().run(&place.job(MoveMode::Copy, "huge", &["huge"])).await);
    assert_eq!((step, retry), ("prepare_work_dir", true));
    assert!(message.contains("the copy needs 8796093022208 bytes"), "{message}");
}

#[tokio::test]
async fn a_cancelled_copy_goes_on_where_it_stopped() {
    let place = Place::two_devices();
    place.write("big", &noise(9, 40 * 1024 * 1024));
    place.write("first", b"x");
    let job = place.job(MoveMode::Copy, "big", &["big"]);
    let reached = Arc::new(AtomicBool::new(false));
    let stop: Arc<std::sync::OnceLock<Arc<revaer_fsops::FsOps>>> = Arc::default();
    let pipeline = {
        let (reached, stop) = (Arc::clone(&reached), Arc::clone(&stop));
        Pipeline::with(Checkpoints::new(move |point| {
            if point.starts_with("copy:0:") && !reached.swap(true, Ordering::SeqCst) {
                stop.get().unwrap().cancel(torrent(1));
            }
        }))
    };
    assert!(stop.set(Arc::clone(&pipeline.fsops)).is_ok());
    assert_eq!(pipeline.run(&job).await, JobOutcome::Interrupted);
    let offset = place.journal()["copied"]["offset"].as_u64().unwrap();
    assert_eq!(offset, 16 * 1024 * 1024);
    assert_eq!(pipeline.run(&job).await, completed(&job, false));
    assert_eq!(place.library_tree()["big"], tree(place.downloads.path())["big"]);
    place.assert_clean();
}

#[tokio::test]
async fn progress_is_reported_in_bytes() {
    let place = Place::two_devices();
    show(&place);
    let job = place.job(MoveMode::Copy, "Show", &FILES);
    let total = job.files.iter().map(|file| file.size).sum();
    let (sender, receiver) = std::sync::mpsc::channel();
    let report = move |report| sender.send(report).unwrap();
    Pipeline::new().fsops.run(job, Box::new(report)).await;
    let JobReport::Progress { step, bytes_done, bytes_total } = receiver.recv().unwrap();
    assert_eq!((step, bytes_total), (Step::Transfer, total));
    assert!(bytes_done <= bytes_total);
}

#[tokio::test]
async fn content_that_lies_in_the_library_already_stays_there() {
    let place = Place::one_device();
    show(&place);
    let mut job = place.job(MoveMode::Hardlink, "Show", &FILES);
    job.policy.library_root = place.downloads.path().to_owned();
    assert_eq!(Pipeline::new().run(&job).await, completed(&job, true));
    assert_eq!(tree(place.downloads.path()).keys().filter(|path| path.starts_with("Show/")).count(), 5);
}

#[tokio::test]
async fn a_torrent_is_worked_on_once_at_a_time_and_others_beside_it() {
    let place = Place::two_devices();
    place.write("big", &noise(9, 20 * 1024 * 1024));
    place.write("small", b"x");
    let (entered, inside) = std::sync::mpsc::channel();
    let (release, gate) = std::sync::mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    let pipeline = Arc::new(Pipeline::with(Checkpoints::new(move |point| {
        if point.starts_with("copy:0:16777216") {
            entered.send(()).unwrap();
            gate.lock().unwrap().recv().unwrap();
        }
    })));
    let job = place.job(MoveMode::Copy, "big", &["big"]);
    let first = {
        let (fsops, job) = (Arc::clone(&pipeline.fsops), job.clone());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(fsops.run(job, Box::new(|_| {})))
        })
    };
    inside.recv().unwrap();
    let (_, message, retry) = failure(pipeline.run(&job).await);
    assert!(retry && message.contains("is being placed already"), "{message}");
    // A copy between these devices would wait its turn; what stays on one device does not.
    let mut other = place.job(MoveMode::Hardlink, "small", &["small"]);
    other.torrent = torrent(2);
    let library = tempfile::tempdir().unwrap();
    other.policy.library_root = library.path().to_owned();
    other.policy.allow_list.push(library.path().to_owned());
    assert_eq!(pipeline.run(&other).await, completed(&other, false));
    release.send(()).unwrap();
    assert_eq!(first.join().unwrap(), completed(&job, false));
}
