//! What can go wrong on a disk, with the path it went wrong at, and whether trying again later may help.
//!
//! Environment faults (a volume that is away, no space, no permission) are retried; shape faults (a path that
//! escapes, an entry that is somebody else's) are not: nothing but a person changes them.

use std::{
    io,
    path::{Path, PathBuf},
};

use rustix::io::Errno;

/// An operation on files was refused, failed or was stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FsError {
    /// The path is not one that may be used beneath a root.
    #[error("{path:?} is not a path beneath a root: {reason}")]
    Path {
        /// The path as it was given.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Something that is decided by rule, not by the disk: it stays so until a person changes it.
    #[error("{message}")]
    Refused {
        /// What was refused, which rule did it, and what to do.
        message: String,
    },
    /// Something about the disk that may be different later, and that no system call reported as such.
    #[error("{message}")]
    Unavailable {
        /// What is missing, and what to do.
        message: String,
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
    /// The server is stopping; the work goes on at its next start.
    #[error("stopped at a checkpoint, the next start goes on from there")]
    Interrupted,
}

impl FsError {
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self::Refused { message: message.into() }
    }

    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::Unavailable { message: message.into() }
    }

    /// Wraps the system's answer to `operation` on `path`.
    pub(crate) fn at<'a, E: Into<io::Error>>(
        operation: &'static str,
        path: &'a Path,
    ) -> impl FnOnce(E) -> Self + use<'a, E> {
        move |source| Self::Io { operation, path: path.to_owned(), source: source.into() }
    }

    /// The system's error number, where the system answered.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Io { source, .. } => Errno::from_io_error(source),
            Self::Path { .. } | Self::Refused { .. } | Self::Unavailable { .. } | Self::Interrupted => None,
        }
    }

    /// Whether nothing has the name.
    pub fn is_not_found(&self) -> bool {
        self.errno() == Some(Errno::NOENT)
    }

    /// Whether the same operation may succeed later without anybody changing a setting or a file's shape.
    pub fn may_pass_later(&self) -> bool {
        match self {
            Self::Path { .. } | Self::Refused { .. } => false,
            Self::Unavailable { .. } | Self::Interrupted => true,
            Self::Io { .. } => !matches!(self.errno(), Some(errno) if SHAPE_FAULTS.contains(&errno)),
        }
    }

    /// The whole chain on one line, with what to do next where the error number tells.
    pub fn describe(&self) -> String {
        let Self::Io { source, .. } = self else { return self.to_string() };
        let hint = match self.errno() {
            Some(Errno::NOSPC | Errno::DQUOT) => {
                "; free some space on that volume, then it goes on by itself"
            }
            Some(Errno::ROFS) => "; mount the volume writable",
            Some(Errno::ACCESS | Errno::PERM) => "; give the server's user the right to do so",
            Some(Errno::IO | Errno::NODEV | Errno::NXIO | Errno::STALE) => "; check the volume and its mount",
            Some(Errno::LOOP) => "; a symbolic link stands in the way and is never followed",
            _ => "",
        };
        format!("{self}: {}{hint}", plain(source))
    }
}

/// What the names and the kinds of files are, rather than the state of the volume.
const SHAPE_FAULTS: [Errno; 9] = [
    Errno::EXIST,
    Errno::INVAL,
    Errno::ISDIR,
    Errno::LOOP,
    Errno::MLINK,
    Errno::NAMETOOLONG,
    Errno::NOTDIR,
    Errno::NOTEMPTY,
    Errno::XDEV,
];

/// The system's words, without "(os error N)".
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_lowercase(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn io(errno: Errno) -> FsError {
        FsError::at("write", Path::new("/library/a"))(errno)
    }

    #[test]
    fn volume_faults_are_retried_and_shape_faults_are_not() {
        for errno in [Errno::NOSPC, Errno::IO, Errno::ROFS, Errno::ACCESS, Errno::NOENT, Errno::STALE] {
            assert!(io(errno).may_pass_later(), "{errno:?}");
        }
        for errno in SHAPE_FAULTS {
            assert!(!io(errno).may_pass_later(), "{errno:?}");
        }
        assert!(!FsError::refused("no").may_pass_later());
    }

    #[test]
    fn the_description_names_operation_path_reason_and_remedy() {
        assert_eq!(
            io(Errno::NOSPC).describe(),
            "can not write /library/a: no space left on device; free some space on that volume, then it goes \
             on by itself"
        );
    }
}
