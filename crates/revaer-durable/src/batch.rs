//! Many small files of one directory, made durable together.
//!
//! Syncing ten thousand files one by one takes minutes on a disk. A batch writes the temporary siblings, makes
//! all of them durable at once, renames them, and syncs the directory once.

use std::{
    ffi::OsString,
    fs::File,
    path::{Path, PathBuf},
};

use crate::{DurableError, rename::sync_dir, temporary::Temporary};

/// Up to this many files are synced one by one: `syncfs` also waits for everything else that was written to the
/// file system, which may be gigabytes of a download. It also bounds the descriptors that a batch holds.
const SINGLE_SYNCS: usize = 32;

/// Files of one directory that are waiting for [`Batch::commit`]. Dropping it leaves the directory as it was.
#[derive(Debug)]
pub struct Batch {
    dir: PathBuf,
    written: Vec<(Temporary, OsString)>,
    open: Vec<File>,
}

impl Batch {
    /// An empty batch for files directly in `dir`.
    pub fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), written: Vec::new(), open: Vec::new() }
    }

    /// Writes one file, to be called `name` after the commit, with the permissions `mode`.
    /// A later file of the same name wins.
    pub fn add(&mut self, name: impl Into<OsString>, bytes: &[u8], mode: u32) -> Result<(), DurableError> {
        let name = name.into();
        let target = self.dir.join(&name);
        if target.parent() != Some(&self.dir) || target.file_name() != Some(&name) {
            return Err(DurableError::NotAFile { path: target });
        }
        let (temporary, file) = Temporary::write(&target, bytes, mode)?;
        self.written.push((temporary, name));
        if self.open.len() < SINGLE_SYNCS {
            self.open.push(file);
        }
        Ok(())
    }

    /// How many files wait.
    pub fn len(&self) -> usize {
        self.written.len()
    }

    /// Whether no file waits.
    pub fn is_empty(&self) -> bool {
        self.written.is_empty()
    }

    /// Makes every file durable under its name. After an error each file is either the old or the new one, both
    /// whole: the caller writes the batch again.
    pub fn commit(self) -> Result<(), DurableError> {
        if self.written.is_empty() {
            return Ok(());
        }
        if self.written.len() == self.open.len() {
            for file in &self.open {
                file.sync_all().map_err(DurableError::at("sync a file of", &self.dir))?;
            }
        } else {
            let dir = File::open(&self.dir).map_err(DurableError::at("open", &self.dir))?;
            rustix::fs::syncfs(&dir)
                .map_err(|error| DurableError::at("sync the file system of", &self.dir)(error.into()))?;
        }
        for (temporary, name) in self.written {
            temporary.rename_to(&self.dir.join(name))?;
        }
        sync_dir(&self.dir)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn count(dir: &Path) -> usize {
        fs::read_dir(dir).unwrap().count()
    }

    #[test]
    fn small_and_large_batches_arrive_whole() {
        for files in [0, 1, SINGLE_SYNCS, SINGLE_SYNCS + 1, 300] {
            let dir = tempfile::tempdir().unwrap();
            let mut batch = Batch::new(dir.path());
            for index in 0..files {
                batch.add(format!("{index}.fastresume"), format!("{index}").as_bytes(), 0o600).unwrap();
            }
            assert_eq!(batch.len(), files);
            batch.commit().unwrap();
            assert_eq!(count(dir.path()), files);
            for index in 0..files {
                let path = dir.path().join(format!("{index}.fastresume"));
                assert_eq!(fs::read_to_string(path).unwrap(), index.to_string());
            }
        }
    }

    #[test]
    fn a_dropped_batch_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a"), "old").unwrap();
        let mut batch = Batch::new(dir.path());
        batch.add("a", b"new", 0o600).unwrap();
        batch.add("b", b"new", 0o600).unwrap();
        drop(batch);
        assert_eq!(count(dir.path()), 1);
        assert_eq!(fs::read_to_string(dir.path().join("a")).unwrap(), "old");
    }

    #[test]
    fn the_later_file_of_one_name_wins() {
        let dir = tempfile::tempdir().unwrap();
        let mut batch = Batch::new(dir.path());
        batch.add("a", b"first", 0o600).unwrap();
        batch.add("a", b"second", 0o600).unwrap();
        batch.commit().unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("a")).unwrap(), "second");
        assert_eq!(count(dir.path()), 1);
    }

    #[test]
    fn a_name_that_leaves_the_directory_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut batch = Batch::new(dir.path());
        for name in ["../a", "a/b", "/etc/a", "..", "."] {
            assert!(matches!(batch.add(name, b"", 0o600), Err(DurableError::NotAFile { .. })), "{name}");
        }
    }
}
