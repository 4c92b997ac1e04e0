//! `fs_policy`: what becomes of finished content.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What PAR2 sets are used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Par2 {
    /// Nothing.
    Off,
    /// The content is verified.
    Verify,
    /// The content is verified and, where it can be, repaired.
    Repair,
}

/// How content gets into the library.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MoveMode {
    /// A second copy.
    Copy,
    /// The download goes away.
    Move,
    /// A second name for the same bytes.
    Hardlink,
}

/// What becomes of finished content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FsPolicy {
    /// Where finished content goes.
    pub library_root: PathBuf,
    /// Archives are extracted.
    pub extract: bool,
    /// What PAR2 sets are used for.
    pub par2: Par2,
    /// A folder that holds a single file is dissolved.
    pub flatten: bool,
    /// How content gets into the library.
    pub move_mode: MoveMode,
    /// A checksum of every file is recorded.
    pub checksum: bool,
    /// Globs of what is kept whatever `cleanup_drop` says.
    pub cleanup_keep: Vec<String>,
    /// Globs of what is left out of the library.
    pub cleanup_drop: Vec<String>,
    /// Octal permissions of files.
    pub chmod_file: Option<String>,
    /// Octal permissions of directories.
    pub chmod_dir: Option<String>,
    /// The owner of library entries, by name or number.
    pub owner: Option<String>,
    /// The group of library entries, by name or number.
    pub group: Option<String>,
    /// Octal permissions that are taken away.
    pub umask: Option<String>,
    /// Directories that content may be in; see [`crate::ConfigSnapshot::allow_list`].
    pub allow_paths: Vec<PathBuf>,
    /// A job older than this is reported.
    pub job_age_limit_seconds: u64,
    /// A step longer than this is reported.
    pub step_latency_limit_seconds: Option<u64>,
}
