//! A download directory, a library beside it, and a pipeline over both.

use std::{
    collections::BTreeMap,
    fmt, fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use revaer_fsops::{Checkpoints, FsOps, FsOpsOptions};
use revaer_telemetry::{Health, Metrics, Tasks, Telemetry};
use revaer_torrent_core::{
    Bytes, ContentPath, TorrentId,
    fsops::{FsOpsControl, Job, JobFile, JobOutcome, MoveMode, Policy},
};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// Path → content of everything that is a file.
pub(crate) type Tree = BTreeMap<String, Content>;

/// The bytes of a file; compared whole, shown by their digest.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Content(Vec<u8>);

impl fmt::Debug for Content {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} bytes, SHA-256 ", self.0.len())?;
        Sha256::digest(&self.0).iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

/// Directories of one test; the library may lie on another device.
pub(crate) struct Place {
    pub(crate) downloads: TempDir,
    pub(crate) library: TempDir,
}

impl Place {
    /// Both on the file system of the temporary directory.
    pub(crate) fn one_device() -> Self {
        Self { downloads: tempfile::tempdir().unwrap(), library: tempfile::tempdir().unwrap() }
    }

    /// The library in shared memory, which is a file system of its own.
    pub(crate) fn two_devices() -> Self {
        let place = Self {
            downloads: tempfile::tempdir().unwrap(),
            library: tempfile::tempdir_in("/dev/shm").unwrap(),
        };
        assert_ne!(
            fs::metadata(place.downloads.path()).unwrap().dev(),
            fs::metadata(place.library.path()).unwrap().dev(),
            "this test needs /dev/shm on a device of its own"
        );
        place
    }

    /// Writes a file of the download.
    pub(crate) fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.downloads.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// A job for the given files of the download, as they are now.
    pub(crate) fn job(&self, mode: MoveMode, root: &str, files: &[&str]) -> Job {
        let size = |path: &str| fs::metadata(self.downloads.path().join(path)).unwrap().len();
        Job {
            torrent: torrent(1),
            generation: 1,
            content: ContentPath { save_dir: self.downloads.path().to_owned(), root_name: root.to_owned() },
            is_directory: files.iter().any(|path| path.contains('/')),
            files: files
                .iter()
                .map(|path| JobFile { path: (*path).to_owned(), size: Bytes(size(path)) })
                .collect(),
            policy: Policy {
                revision: 1,
                library_root: self.library.path().to_owned(),
                move_mode: mode,
                allow_list: vec![self.downloads.path().to_owned(), self.library.path().to_owned()],
            },
        }
    }

    /// What the library shows, the pipeline's own directories left out.
    pub(crate) fn library_tree(&self) -> Tree {
        let mut tree = tree(self.library.path());
        tree.retain(|path, _| !path.starts_with(".revaer."));
        tree
    }

    /// Nothing temporary is left.
    pub(crate) fn assert_clean(&self) {
        let tmp = self.library.path().join(".revaer.tmp");
        let left: Vec<_> =
            fs::read_dir(&tmp).map(|all| all.map(|one| one.unwrap().path()).collect()).unwrap_or_default();
        assert!(left.is_empty(), "left over: {left:?}");
        let meta = self.library.path().join(".revaer.meta");
        let odd = tree(&meta).into_keys().find(|name| !name.to_lowercase().ends_with(".json"));
        assert_eq!(odd, None);
    }

    pub(crate) fn journal(&self) -> serde_json::Value {
        let path = self.library.path().join(format!(".revaer.meta/{}.json", torrent(1)));
        serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
    }
}

pub(crate) fn torrent(number: u128) -> TorrentId {
    TorrentId::new(uuid::Uuid::from_u128(number)).unwrap()
}

pub(crate) fn tree(root: &Path) -> Tree {
    let mut tree = Tree::new();
    let mut open = vec![PathBuf::new()];
    while let Some(below) = open.pop() {
        let Ok(entries) = fs::read_dir(root.join(&below)) else { continue };
        for entry in entries {
            let entry = entry.unwrap();
            let path = below.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                open.push(path);
            } else {
                let content = Content(fs::read(root.join(&path)).unwrap());
                tree.insert(path.to_string_lossy().into_owned(), content);
            }
        }
    }
    tree
}

/// Bytes of which no two files, and no two blocks of a file, share any.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    const BLOCK: usize = 4096;
    let mut bytes = vec![seed.to_le_bytes()[0] ^ 0x5a; length];
    for (index, block) in bytes.chunks_mut(BLOCK).enumerate() {
        let stamp = [seed.to_le_bytes(), (index as u64).to_le_bytes()].concat();
        let fits = stamp.len().min(block.len());
        block[..fits].copy_from_slice(&stamp[..fits]);
    }
    bytes
}

pub(crate) struct Pipeline {
    pub(crate) fsops: Arc<FsOps>,
    pub(crate) health: Health,
    pub(crate) metrics: Metrics,
}

impl Pipeline {
    pub(crate) fn new() -> Self {
        Self::with(Checkpoints::default())
    }

    pub(crate) fn with(checkpoints: Checkpoints) -> Self {
        let telemetry = Telemetry::new();
        let Telemetry { health, metrics, .. } = telemetry.clone();
        let options = FsOpsOptions { tasks: Tasks::new(), telemetry };
        Self { fsops: FsOps::with_checkpoints(options, checkpoints), health, metrics }
    }

    pub(crate) async fn run(&self, job: &Job) -> JobOutcome {
        self.fsops.run(job.clone(), Box::new(|_| {})).await
    }
}

pub(crate) fn completed(job: &Job, moved: bool) -> JobOutcome {
    JobOutcome::Completed { library_path: job.policy.library_root.join(&job.content.root_name), moved }
}

/// The step, the message and whether it is retried.
pub(crate) fn failure(outcome: JobOutcome) -> (&'static str, String, bool) {
    match outcome {
        JobOutcome::Failed { step, message, retry } => (step.name(), message, retry),
        other => panic!("not a failure: {other:?}"),
    }
}
