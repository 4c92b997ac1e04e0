//! What can go wrong when something is made durable, with the path it went wrong at.

use std::{
    io,
    path::{Path, PathBuf},
};

/// A step towards durability failed. What stood at the destination before still stands.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DurableError {
    /// The destination of a rename that must not replace exists.
    #[error("{} already exists and is not replaced", path.display())]
    AlreadyExists {
        /// The destination.
        path: PathBuf,
    },
    /// The file system cannot rename without replacing (some NFS and FUSE file systems).
    #[error("the file system of {} cannot rename without replacing", path.display())]
    NoReplaceUnsupported {
        /// The destination.
        path: PathBuf,
    },
    /// The path has no file name or no parent directory.
    #[error("{} does not name a file inside a directory", path.display())]
    NotAFile {
        /// The path as given.
        path: PathBuf,
    },
    /// The operating system refused.
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
}

impl DurableError {
    /// The system's error, where there is one: tells a full disk from a read-only one.
    pub fn io(&self) -> Option<&io::Error> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::AlreadyExists { .. } | Self::NoReplaceUnsupported { .. } | Self::NotAFile { .. } => None,
        }
    }

    pub(crate) fn at(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { operation, path: path.to_owned(), source }
    }
}
