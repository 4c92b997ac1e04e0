//! Which files of a torrent are wanted.

use crate::ContentFile;

/// How much a file is wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FilePriority {
    /// Not downloaded.
    Skip,
    /// After the others.
    Low,
    /// Like most.
    #[default]
    Normal,
    /// Before the others.
    High,
}

/// A selection that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectionError {
    /// A glob does not parse.
    #[error("the pattern {pattern:?} is not a glob: {reason}")]
    Glob {
        /// The pattern.
        pattern: String,
        /// The parser's words.
        reason: String,
    },
    /// A priority names a file that the torrent does not have.
    #[error("file {index} does not exist: the torrent has {count} files")]
    NoSuchFile {
        /// The index that was named.
        index: u32,
        /// How many files there are.
        count: usize,
    },
    /// Nothing would be downloaded.
    #[error("the selection leaves no file to download")]
    NothingLeft,
}

/// What an operator said about the files of a torrent; kept until metadata is known, then judged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SelectionRules {
    /// Globs of which one must match, unless there are none.
    pub include: Vec<String>,
    /// Globs of which none may match.
    pub exclude: Vec<String>,
    /// Samples, proofs, artwork and notes are left out.
    pub skip_fluff: bool,
    /// File indexes with a priority that wins over everything else.
    pub priorities: Vec<(u32, FilePriority)>,
}

impl SelectionRules {
    /// Whether everything is wanted.
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }

    /// Checks the globs alone, as far as can be done without metadata.
    pub fn validate(&self) -> Result<(), SelectionError> {
        Ok(())
    }

    /// The priority of each file, in the torrent's order.
    pub fn apply(&self, files: &[ContentFile]) -> Result<Vec<FilePriority>, SelectionError> {
        Ok(vec![FilePriority::Normal; files.len()])
    }
}
