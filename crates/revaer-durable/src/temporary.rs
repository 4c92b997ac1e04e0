//! Temporary siblings: `.<name>.<pid>-<count>.revaer-tmp` beside the file that they become.
//!
//! A sibling removes itself when it is dropped before its rename, so an error leaves nothing. `kill -9` may:
//! such names are never read as anything, and the owner of a directory removes them when it starts.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use crate::DurableError;

const SUFFIX: &str = ".revaer-tmp";
/// Longest name on every common file system (`NAME_MAX`).
const NAME_MAX: usize = 255;

/// Whether a file name is that of a temporary sibling.
pub fn is_temporary(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.starts_with(b".") && name.ends_with(SUFFIX.as_bytes())
}

/// Removes the temporary siblings that a crash left in `dir`, and returns how many there were.
/// Only the one owner of the directory may call it, before its first write.
pub fn remove_leftovers(dir: &Path) -> Result<usize, DurableError> {
    let mut removed = 0;
    for entry in fs::read_dir(dir).map_err(DurableError::at("list", dir))? {
        let entry = entry.map_err(DurableError::at("list", dir))?;
        if is_temporary(&entry.file_name()) && !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            let path = entry.path();
            fs::remove_file(&path).map_err(DurableError::at("remove", &path))?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// A written but not yet renamed file; removed on drop.
#[derive(Debug)]
pub(crate) struct Temporary {
    path: PathBuf,
    renamed: bool,
}

impl Temporary {
    /// Writes `bytes` beside `target` with exactly the permissions `mode`, whatever the umask. Not synced yet.
    pub(crate) fn write(target: &Path, bytes: &[u8], mode: u32) -> Result<(Self, File), DurableError> {
        let path = sibling(target)?;
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(DurableError::at("create", &path))?;
        let temporary = Self { path, renamed: false };
        file.write_all(bytes).map_err(DurableError::at("write", &temporary.path))?;
        file.set_permissions(fs::Permissions::from_mode(mode))
            .map_err(DurableError::at("set the mode of", &temporary.path))?;
        Ok((temporary, file))
    }

    /// Puts the file in the place of `target`. The directory is not synced yet.
    pub(crate) fn rename_to(mut self, target: &Path) -> Result<(), DurableError> {
        rustix::fs::rename(&self.path, target)
            .map_err(|error| DurableError::at("replace", target)(error.into()))?;
        self.renamed = true;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.renamed {
            // A leftover is harmless and swept at the next start, and the first error is the one to report.
            drop(fs::remove_file(&self.path));
        }
    }
}

/// The directory that holds `path`.
pub(crate) fn parent(path: &Path) -> Result<&Path, DurableError> {
    match path.parent() {
        Some(parent) if path.file_name().is_none() || parent == path => {
            Err(DurableError::NotAFile { path: path.to_owned() })
        }
        Some(parent) if parent.as_os_str().is_empty() => Ok(Path::new(".")),
        Some(parent) => Ok(parent),
        None => Err(DurableError::NotAFile { path: path.to_owned() }),
    }
}

fn sibling(target: &Path) -> Result<PathBuf, DurableError> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let dir = parent(target)?;
    let name = target.file_name().ok_or_else(|| DurableError::NotAFile { path: target.to_owned() })?;
    let tail = format!(".{}-{}{SUFFIX}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let mut sibling = OsString::from(".");
    // A name close to the limit would not fit with its tail: the tail alone is unique.
    if name.len() + tail.len() < NAME_MAX {
        sibling.push(name);
    }
    sibling.push(tail);
    Ok(dir.join(sibling))
}
