//! The process dies at every point of a job; the next run ends with one whole entry and nothing left over.
//!
//! A child of the test binary works on the job and kills itself at a given point, with SIGKILL, as an operator or the
//! kernel would.

use std::{
    path::PathBuf,
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use revaer_fsops::Checkpoints;
use revaer_torrent_core::fsops::{Job, MoveMode};
use rustix::process::{Signal, getpid, kill_process};

use crate::support::{Pipeline, Place, Tree, completed, noise, tree};

const FILES: [&str; 4] = ["Show/a.mkv", "Show/sub/b.mkv", "Show/sub/empty", "Show/big"];
/// `<mode> <point> <downloads> <library>` for the child, tab-separated.
const ORDERS: &str = "REVAER_FSOPS_CRASH_TEST";

/// Not a test of its own: the child's way in.
#[tokio::test]
async fn child() {
    let Ok(orders) = std::env::var(ORDERS) else { return };
    let [mode, point, downloads, library] = orders.split('\t').collect::<Vec<_>>()[..] else {
        panic!("orders not understood: {orders}")
    };
    let mode = [MoveMode::Copy, MoveMode::Move, MoveMode::Hardlink]
        .into_iter()
        .find(|one| one.name() == mode)
        .unwrap();
    let last: usize = point.parse().unwrap();
    let passed = AtomicUsize::new(0);
    let pipeline = Pipeline::with(Checkpoints::new(move |_| {
        if passed.fetch_add(1, Ordering::SeqCst) == last {
            kill_process(getpid(), Signal::KILL).unwrap();
        }
    }));
    let job = job_of(mode, &PathBuf::from(downloads), &PathBuf::from(library));
    pipeline.run(&job).await;
}

/// The same job however much of the source was moved away already.
fn job_of(mode: MoveMode, downloads: &std::path::Path, library: &std::path::Path) -> Job {
    use revaer_torrent_core::{
        Bytes, ContentPath,
        fsops::{JobFile, Policy},
    };
    // Only a copy has points within a file, every 16 MiB.
    let big = if mode == MoveMode::Hardlink { 100_000 } else { 20 * 1024 * 1024 };
    let sizes = [1_000_000, 30_000, 0, big];
    Job {
        torrent: crate::support::torrent(1),
        generation: 1,
        content: ContentPath { save_dir: downloads.to_owned(), root_name: "Show".to_owned() },
        is_directory: true,
        files: FILES
            .iter()
            .zip(sizes)
            .map(|(path, size)| JobFile { path: (*path).to_owned(), size: Bytes(size) })
            .collect(),
        policy: Policy {
            revision: 1,
            library_root: library.to_owned(),
            move_mode: mode,
            allow_list: vec![downloads.to_owned(), library.to_owned()],
        },
    }
}

struct Round {
    place: Place,
    job: Job,
    wanted: Tree,
}

impl Round {
    fn new(place: Place, mode: MoveMode) -> Self {
        let job = job_of(mode, place.downloads.path(), place.library.path());
        for (seed, file) in job.files.iter().enumerate() {
            place.write(&file.path, &noise(seed as u64 + 1, usize::try_from(file.size.0).unwrap()));
        }
        let wanted = tree(place.downloads.path());
        Self { place, job, wanted }
    }

    /// Runs a child that dies at `point`. Returns whether it did.
    fn dies_at(&self, point: usize) -> bool {
        let orders = format!(
            "{}\t{point}\t{}\t{}",
            self.job.policy.move_mode.name(),
            self.place.downloads.path().display(),
            self.place.library.path().display()
        );
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["crashes::child", "--exact", "--nocapture"])
            .env(ORDERS, orders)
            .output()
            .unwrap();
        let died = std::os::unix::process::ExitStatusExt::signal(&output.status) == Some(9);
        assert!(died || output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        died
    }

    /// Before `finalise` nothing is visible; from then on everything is.
    fn assert_whole_or_absent(&self, point: &str) {
        let library = self.place.library_tree();
        assert!(library.is_empty() || library == self.wanted, "{point}: {:?}", library.keys());
    }

    async fn finishes(&self, point: &str) {
        let moved = self.job.policy.move_mode == MoveMode::Move;
        assert_eq!(Pipeline::new().run(&self.job).await, completed(&self.job, moved), "{point}");
        assert_eq!(self.place.library_tree(), self.wanted, "{point}");
        self.place.assert_clean();
        let source = tree(self.place.downloads.path());
        assert!(if moved { source.is_empty() } else { source == self.wanted }, "{point}: {source:?}");
    }
}

/// The points that an undisturbed run passes.
async fn points(place: fn() -> Place, mode: MoveMode) -> Vec<String> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let round = Round::new(place(), mode);
    let listener = {
        let seen = Arc::clone(&seen);
        move |point: &str| seen.lock().unwrap().push(point.to_owned())
    };
    Pipeline::with(Checkpoints::new(listener)).run(&round.job).await;
    let points = seen.lock().unwrap().clone();
    assert!(points.iter().any(|point| point == "published") && points.len() > 15, "{points:?}");
    points
}

async fn every_point(place: fn() -> Place, mode: MoveMode) {
    for (index, point) in points(place, mode).await.iter().enumerate() {
        let round = Round::new(place(), mode);
        assert!(round.dies_at(index), "{point} was not reached");
        round.assert_whole_or_absent(point);
        // The next run dies as well, as often as not at the same place.
        round.dies_at(index);
        round.assert_whole_or_absent(point);
        round.finishes(point).await;
    }
}

#[tokio::test]
async fn hardlink() {
    every_point(Place::one_device, MoveMode::Hardlink).await;
}

#[tokio::test]
async fn copy() {
    every_point(Place::two_devices, MoveMode::Copy).await;
}

#[tokio::test]
async fn move_on_one_device() {
    every_point(Place::one_device, MoveMode::Move).await;
}

#[tokio::test]
async fn move_between_devices() {
    every_point(Place::two_devices, MoveMode::Move).await;
}
