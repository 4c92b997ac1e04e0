//! A torrent's files and which of them are wanted.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How eagerly a file is fetched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FilePriority {
    /// Not at all.
    Skip,
    /// After the others.
    Low,
    /// As the others.
    #[default]
    Normal,
    /// Before the others.
    High,
}

/// One file of a torrent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TorrentFile {
    /// Its position in the torrent, from 0.
    pub index: u32,
    /// Its path with `/`, beginning with the torrent's root folder where it has one.
    pub path: String,
    /// Its full size.
    pub size_bytes: u64,
    /// How much of it is present and verified.
    pub bytes_completed: u64,
    /// How eagerly it is fetched.
    pub priority: FilePriority,
    /// Whether it is wanted.
    pub selected: bool,
}

/// An explicit priority for one file; it wins over every glob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FilePriorityRule {
    /// The file's position in the torrent, from 0.
    pub index: u32,
    /// How eagerly to fetch it.
    pub priority: FilePriority,
}

/// Which files of a torrent are wanted. Globs match the path inside the torrent, in any case of letters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FileSelection {
    /// Only files that match one of these; empty: all.
    pub include: Vec<String>,
    /// No file that matches one of these.
    pub exclude: Vec<String>,
    /// No samples, extras and side files.
    pub skip_fluff: bool,
    /// Explicit priorities.
    pub priorities: Vec<FilePriorityRule>,
}
