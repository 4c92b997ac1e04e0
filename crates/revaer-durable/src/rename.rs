//! Renames that are still there after a power cut.

use std::{fs::File, io, path::Path};

use rustix::{
    fs::{CWD, RenameFlags, renameat_with},
    io::Errno,
};

use crate::{DurableError, temporary::parent};

/// Renames `from` to `to`, replacing what may be there, and syncs both directories.
/// The content of `from` has to be synced by who wrote it.
pub fn rename(from: &Path, to: &Path) -> Result<(), DurableError> {
    rustix::fs::rename(from, to).map_err(|error| failed(from)(error.into()))?;
    sync_parents(from, to)
}

/// Renames `from` to `to` unless something is there, in one step, and syncs both directories.
pub fn rename_noreplace(from: &Path, to: &Path) -> Result<(), DurableError> {
    renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE).map_err(|error| match error {
        Errno::EXIST => DurableError::AlreadyExists { path: to.to_owned() },
        Errno::INVAL | Errno::NOSYS => DurableError::NoReplaceUnsupported { path: to.to_owned() },
        other => failed(from)(other.into()),
    })?;
    sync_parents(from, to)
}

/// Makes the entries of `dir` (creations, renames, removals) survive a power cut.
pub fn sync_dir(dir: &Path) -> Result<(), DurableError> {
    let opened = File::open(dir).map_err(DurableError::at("open", dir))?;
    match opened.sync_all() {
        // Some network and FUSE file systems cannot sync a directory; their entries are durable or not by
        // the server's own rule, and a failure here would only refuse what nobody can improve.
        Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => Ok(()),
        other => other.map_err(DurableError::at("sync", dir)),
    }
}

fn sync_parents(from: &Path, to: &Path) -> Result<(), DurableError> {
    let (source, target) = (parent(from)?, parent(to)?);
    sync_dir(target)?;
    if source != target {
        sync_dir(source)?;
    }
    Ok(())
}

fn failed(from: &Path) -> impl FnOnce(io::Error) -> DurableError {
    DurableError::at("rename", from)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn noreplace_keeps_what_is_there_even_an_empty_directory() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::create_dir(&from).unwrap();
        fs::create_dir(&to).unwrap();
        assert!(matches!(rename_noreplace(&from, &to), Err(DurableError::AlreadyExists { .. })));
        fs::remove_dir(&to).unwrap();
        rename_noreplace(&from, &to).unwrap();
        assert!(to.is_dir() && !from.exists());
    }

    #[test]
    fn rename_replaces_across_directories() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("a/file"), dir.path().join("b/file"));
        for path in [&from, &to] {
            fs::create_dir(path.parent().unwrap()).unwrap();
            fs::write(path, path.to_string_lossy().as_bytes()).unwrap();
        }
        rename(&from, &to).unwrap();
        assert_eq!(fs::read(&to).unwrap(), from.to_string_lossy().as_bytes());
    }

    #[test]
    fn a_missing_source_names_the_path() {
        let error = rename(Path::new("/nonexistent/a"), Path::new("/nonexistent/b")).unwrap_err();
        assert_eq!(error.to_string(), "can not rename /nonexistent/a");
        assert_eq!(error.io().unwrap().kind(), io::ErrorKind::NotFound);
    }
}
