//! A key in its file is replaced: whatever is cut short, one of two files holds a key that is taken.
//!
//! The earlier key is kept beside the file (`<file>.old`), then the file gets the new key, then the server hears
//! of it. An answer ends it: yes removes the earlier key, no puts it back. Without an answer both stay, and the
//! same command again brings the same secret, by whichever of the two keys the server takes.

use std::{
    ffi::OsString,
    fs::{self, File, TryLockError},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use revaer_api_models::ApiKeyToken;

use crate::{
    error::CliError,
    key_file::{self, durable},
};

/// A rotation under way. Dropping it leaves both files, so that it can be taken up again.
#[derive(Debug)]
pub(crate) struct Rotation {
    path: PathBuf,
    /// The key before, from `<file>.old`.
    pub(crate) earlier: ApiKeyToken,
    /// The new key, which the file holds by now.
    pub(crate) fresh: ApiKeyToken,
    /// Whether an earlier command began it, so that the server may have taken the new key already.
    pub(crate) is_resumed: bool,
    _lock: Option<File>,
}

/// Where the key from before a rotation is kept.
pub(crate) fn earlier_path(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".old");
    PathBuf::from(name)
}

/// Whether a rotation of the key in this file was not seen to end.
pub(crate) fn is_unfinished(path: &Path) -> bool {
    earlier_path(path).exists()
}

impl Rotation {
    /// Begins to replace `used`, or goes on where a command was cut short. `None` when the file has no part in it:
    /// it holds another key. With `brought`, the new key is that one.
    pub(crate) fn begin(
        path: &Path,
        used: &ApiKeyToken,
        brought: Option<&ApiKeyToken>,
    ) -> Result<Option<Self>, CliError> {
        let path = std::path::absolute(path).map_err(CliError::file("find", path))?;
        let lock = if path.exists() { lock(&path)? } else { None };
        if lock.is_some() {
            sweep(&path);
        }
        let Some(stored) = key_file::read(&path)?.map(|stored| stored.key) else { return Ok(None) };
        let old_path = earlier_path(&path);
        // Where both files hold one key, the command before came no further than that.
        let unfinished = key_file::read(&old_path)?
            .map(|old| old.key)
            .filter(|old| old.key_id() == used.key_id() && *old != stored);
        if stored.key_id() != used.key_id() || !(stored == *used || unfinished.as_ref() == Some(used)) {
            return Ok(None);
        }
        if let Some(earlier) = unfinished {
            if brought.is_some_and(|brought| *brought != stored) {
                return Err(CliError::Input(format!(
                    "{} keeps the key from before a rotation that was not seen to end; finish that one first, \
                     without --secret-stdin",
                    old_path.display()
                )));
            }
            return Ok(Some(Self { path, earlier, fresh: stored, is_resumed: true, _lock: lock }));
        }
        let fresh = brought.cloned().map_or_else(|| key_file::fresh(used.key_id()), Ok)?;
        key_file::write(&old_path, &stored)?;
        let rotation = Self { path, earlier: stored, fresh, is_resumed: false, _lock: lock };
        if let Err(error) = key_file::write(&rotation.path, &rotation.fresh) {
            // Where the file still holds the key before, nothing has happened.
            if key_file::read(&rotation.path)?.is_some_and(|stored| stored.key == rotation.earlier) {
                key_file::remove(&old_path)?;
            }
            return Err(error);
        }
        Ok(Some(rotation))
    }

    /// The server takes `key`; the file holds it, even if it is not the one that was brought.
    pub(crate) fn accept(&self, key: &ApiKeyToken) -> Result<(), CliError> {
        if *key == self.fresh { Ok(()) } else { key_file::write(&self.path, key) }
    }

    /// The key before is not needed any more. The path is that of the file with the new one.
    pub(crate) fn finish(self) -> Result<PathBuf, CliError> {
        key_file::remove(&earlier_path(&self.path))?;
        Ok(self.path)
    }

    /// The server certainly did not take the new key; the file holds the one before again.
    pub(crate) fn undo(self) -> Result<(), CliError> {
        revaer_durable::rename(&earlier_path(&self.path), &self.path).map_err(|error| durable(&error))
    }

    /// What to say when nobody knows whether the server took the new key.
    pub(crate) fn how_to_go_on(&self) -> String {
        format!(
            "{} holds the new key, {} the one before: repeat the command to finish",
            self.path.display(),
            earlier_path(&self.path).display()
        )
    }

    /// What to say when the server takes neither of the two keys.
    pub(crate) fn how_to_start_over(&self) -> String {
        format!(
            "the server takes neither the key in {} nor the one before in {}; issue one with \
             `revaer-app issue-key` on its host, and write it into the first",
            self.path.display(),
            earlier_path(&self.path).display()
        )
    }
}

/// Keeps a second command from replacing the same file meanwhile. The directory is locked, so that nothing is
/// left behind; where the file system has no locks, the command goes on without.
fn lock(path: &Path) -> Result<Option<File>, CliError> {
    let dir = path.parent().unwrap_or(path);
    let Ok(file) = File::open(dir) else { return Ok(None) };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::Error(_)) => Ok(None),
        Err(TryLockError::WouldBlock) => Err(CliError::Input(format!(
            "another command is replacing the key in {}; wait for it, and look again",
            path.display()
        ))),
    }
}

/// Removes what a killed command was writing beside the file: nobody reads it, and it is a secret. What cannot be
/// removed is as harmless as before, and only its owner can read it.
fn sweep(path: &Path) {
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else { return };
    let prefix = [b".", name.as_bytes(), b"."].concat();
    for entry in dir.read_dir().into_iter().flatten().flatten() {
        let name = entry.file_name();
        if name.as_bytes().starts_with(&prefix) && revaer_durable::is_temporary(&name) {
            drop(fs::remove_file(entry.path()));
        }
    }
}
