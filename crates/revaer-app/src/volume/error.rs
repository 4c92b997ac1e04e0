//! What can be wrong with a volume.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use revaer_durable::DurableError;

use super::DEADLINE;

/// Why a root is not to be trusted now, in a sentence for the operator. It may pass.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct VolumeFault {
    /// What is wrong, and what to do.
    pub reason: String,
}

impl VolumeFault {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }

    pub(super) fn unresponsive(path: &Path) -> Self {
        Self::new(format!("{} has not answered for {DEADLINE:?}: its file system hangs", path.display()))
    }

    pub(crate) fn io(operation: &str, path: &Path, error: &io::Error) -> Self {
        Self::new(format!("can not {operation} {}: {error}", path.display()))
    }
}

impl fmt::Display for VolumeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

/// A root could not be accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VolumeError {
    /// Roots are absolute and, since they are stored, text.
    #[error("{} is not an absolute path in UTF-8", root.display())]
    BadPath {
        /// The root.
        root: PathBuf,
    },
    /// The root is missing or closed.
    #[error("can not {operation} {}", path.display())]
    Io {
        /// The operation, as a verb.
        operation: &'static str,
        /// What it was applied to.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The sentinel could not be written: the root is read-only, full, or somebody else's.
    #[error("{} can not be used: its sentinel file can not be written", root.display())]
    NotWritable {
        /// The root.
        root: PathBuf,
        /// Why.
        #[source]
        source: DurableError,
    },
    /// Something else has the sentinel's name.
    #[error("{} is not a sentinel of this server: remove it, if nothing else uses it", path.display())]
    ForeignSentinel {
        /// The file.
        path: PathBuf,
    },
    /// The file system hangs.
    #[error("{} does not answer: its file system hangs", root.display())]
    Unresponsive {
        /// The root.
        root: PathBuf,
    },
    /// The table of known volumes could not be used.
    #[error("can not look up which volumes are known")]
    Database {
        /// Why.
        #[from]
        source: sqlx::Error,
    },
    /// The stored id is no id.
    #[error("known_volumes holds {found:?} for {}, which is no sentinel id", root.display())]
    BadRow {
        /// The root.
        root: PathBuf,
        /// The column `sentinel`.
        found: String,
    },
}
