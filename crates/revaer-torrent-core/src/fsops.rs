//! The port of the pipeline: finished content in, library entry out; and the removal of a torrent's own files.

use std::path::PathBuf;

use crate::{BoxFuture, Bytes, ContentPath, TorrentId};

/// The steps of the pipeline, in order. Names are the contract's and label metrics and journals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names are the contract's")]
pub enum Step {
    Validate,
    Allowlist,
    PrepareDirectories,
    CompileRules,
    LocateSource,
    PrepareWorkDir,
    VerifyPar2,
    Extract,
    Flatten,
    Transfer,
    SetPermissions,
    Cleanup,
    Checksum,
    Finalise,
}

impl Step {
    /// Every step, in order.
    pub const ALL: [Self; 14] = [
        Self::Validate,
        Self::Allowlist,
        Self::PrepareDirectories,
        Self::CompileRules,
        Self::LocateSource,
        Self::PrepareWorkDir,
        Self::VerifyPar2,
        Self::Extract,
        Self::Flatten,
        Self::Transfer,
        Self::SetPermissions,
        Self::Cleanup,
        Self::Checksum,
        Self::Finalise,
    ];

    /// The name on the wire, in the journal and in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Validate => "validate",
            Self::Allowlist => "allowlist",
            Self::PrepareDirectories => "prepare_directories",
            Self::CompileRules => "compile_rules",
            Self::LocateSource => "locate_source",
            Self::PrepareWorkDir => "prepare_work_dir",
            Self::VerifyPar2 => "verify_par2",
            Self::Extract => "extract",
            Self::Flatten => "flatten",
            Self::Transfer => "transfer",
            Self::SetPermissions => "set_permissions",
            Self::Cleanup => "cleanup",
            Self::Checksum => "checksum",
            Self::Finalise => "finalise",
        }
    }
}

/// How content gets into the library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MoveMode {
    /// A second copy.
    Copy,
    /// The content itself; the torrent seeds from its new place.
    Move,
    /// A second name for the same bytes.
    Hardlink,
}

impl MoveMode {
    /// Every mode.
    pub const ALL: [Self; 3] = [Self::Copy, Self::Move, Self::Hardlink];

    /// The mode of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.name() == name)
    }

    /// The name on the wire, in the database and in the journal.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Copy => "copy",
            Self::Move => "move",
            Self::Hardlink => "hardlink",
        }
    }
}

/// What a job is to do, as it was when the job was claimed: a later change of settings does not touch it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Whose content.
    pub torrent: TorrentId,
    /// The content generation; a job is unique on torrent and generation.
    pub generation: u32,
    /// Where the content lies.
    pub content: ContentPath,
    /// Whether the content's root is a directory.
    pub is_directory: bool,
    /// The wanted files beneath `content.save_dir`, with their sizes.
    pub files: Vec<JobFile>,
    /// The policy in force.
    pub policy: Policy,
}

/// One wanted file of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobFile {
    /// Path beneath the save directory.
    pub path: String,
    /// Its length.
    pub size: Bytes,
}

/// What the settings say about placing content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The revision of the settings that this was read from.
    pub revision: i64,
    /// Where entries go.
    pub library_root: PathBuf,
    /// How they get there.
    pub move_mode: MoveMode,
    /// The only roots that may be read from or written to.
    pub allow_list: Vec<PathBuf>,
}

/// What the pipeline says while it works on a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobReport {
    /// A step is being worked on.
    Progress {
        /// Which.
        step: Step,
        /// Bytes handled so far.
        bytes_done: Bytes,
        /// Bytes to handle.
        bytes_total: Bytes,
    },
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobOutcome {
    /// The entry is in the library, whole.
    Completed {
        /// The entry's path.
        library_path: PathBuf,
        /// The content lies there itself (`move`), and the torrent is to seed from there.
        moved: bool,
    },
    /// A step refused or failed.
    Failed {
        /// Which.
        step: Step,
        /// What happened, to what, and what to do next.
        message: String,
        /// It may succeed if tried again later (a volume that is away, no space).
        retry: bool,
    },
    /// It was stopped at a checkpoint (shutdown); the next start goes on from the journal.
    Interrupted,
}

/// A torrent's own files, to be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deletion {
    /// Whose.
    pub torrent: TorrentId,
    /// Where its content lies.
    pub content: ContentPath,
    /// Its files beneath `content.save_dir` with the sizes they should have, padding files left out.
    pub files: Vec<JobFile>,
    /// The roots within which deletion is allowed at all.
    pub allow_list: Vec<PathBuf>,
}

/// What a deletion left behind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeletionOutcome {
    /// Files that are gone.
    pub deleted: u64,
    /// Paths that were left, each with its reason.
    pub kept: Vec<String>,
}

/// Why files could not be deleted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DeletionError(pub String);

/// The pipeline, as the rest of the server sees it.
pub trait FsOpsControl: Send + Sync {
    /// Works on a job until it ends. Safe to call again after a crash: the journal says what stands on disk.
    /// `report` is called at most a few times a second.
    fn run(&self, job: Job, report: Box<dyn Fn(JobReport) + Send + Sync>) -> BoxFuture<'_, JobOutcome>;

    /// Tells a torrent's job, if one runs, to stop at its next checkpoint. It ends as [`JobOutcome::Interrupted`].
    fn cancel(&self, torrent: TorrentId);

    /// Removes what an unfinished job of a torrent left beneath `library_root` (work directory and journal), for a
    /// torrent that is being removed. A finished entry and its journal stay. Safe to repeat; never called while
    /// the torrent's job runs.
    fn discard(&self, torrent: TorrentId, library_root: PathBuf) -> BoxFuture<'_, Result<(), DeletionError>>;

    /// Deletes a torrent's own files and the directories that this leaves empty. Safe to repeat.
    fn delete(&self, deletion: Deletion) -> BoxFuture<'_, Result<DeletionOutcome, DeletionError>>;
}
