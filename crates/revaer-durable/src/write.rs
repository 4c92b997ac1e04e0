//! One file, written whole.

use std::path::Path;

use crate::{DurableError, rename::sync_dir, temporary};

/// Writes `bytes` to `path` with the permissions `mode` (for example `0o600`, whatever the umask), replacing
/// what was there. When it returns, the new content survives a power cut.
pub fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), DurableError> {
    let (temporary, file) = temporary::Temporary::write(path, bytes, mode)?;
    file.sync_all().map_err(DurableError::at("sync", path))?;
    drop(file);
    temporary.rename_to(path)?;
    sync_dir(temporary::parent(path)?)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;
    use crate::{is_temporary, remove_leftovers};

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn replaces_the_whole_file_and_sets_the_mode() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("url");
        write(&path, b"a longer first content", 0o644).unwrap();
        write(&path, b"second", 0o640).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o640);
        assert_eq!(names(dir.path()), ["url"]);
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("taken");
        fs::create_dir(&path).unwrap();
        assert!(matches!(write(&path, b"x", 0o600), Err(DurableError::Io { operation: "replace", .. })));
        assert_eq!(names(dir.path()), ["taken"]);
    }

    #[test]
    fn the_leftover_of_a_torn_write_is_ignored_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        // What kill -9 leaves: a sibling that was written but never renamed.
        let (torn, file) = temporary::Temporary::write(&path, b"half", 0o600).unwrap();
        std::mem::forget(torn);
        drop(file);
        assert!(names(dir.path()).iter().all(|name| is_temporary(name.as_ref())));
        write(&path, b"whole", 0o600).unwrap();
        assert_eq!(remove_leftovers(dir.path()).unwrap(), 1);
        assert_eq!(names(dir.path()), ["state"]);
        assert_eq!(fs::read(&path).unwrap(), b"whole");
    }

    #[test]
    fn a_name_at_the_limit_still_fits() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("n".repeat(255));
        write(&path, b"x", 0o600).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"x");
    }

    #[test]
    fn a_path_without_a_file_name_is_refused() {
        assert!(matches!(write(Path::new("/"), b"", 0o600), Err(DurableError::NotAFile { .. })));
        assert!(matches!(write(Path::new("/tmp/.."), b"", 0o600), Err(DurableError::NotAFile { .. })));
    }
}
