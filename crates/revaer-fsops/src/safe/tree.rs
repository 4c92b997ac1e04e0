//! Whole directories: listing, removing, syncing. Symbolic links are entries like any other, never followed.

use std::{ffi::OsString, os::unix::ffi::OsStringExt};

use rustix::fs::{Dir, FileType};

use super::{Kind, RelativePath, SafePath};
use crate::FsError;

/// An entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: RelativePath,
    /// What it is.
    pub kind: Kind,
}

impl SafePath {
    /// The entries of this directory, in no particular order.
    pub fn read_dir(&self) -> Result<Vec<Entry>, FsError> {
        let mut entries = Vec::new();
        let dir = Dir::new(self.open_dir()?).map_err(self.failed("list"))?;
        for entry in dir {
            let entry = entry.map_err(self.failed("list"))?;
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            let name = RelativePath::name(OsString::from_vec(name.to_vec()))?;
            let kind = match entry.file_type() {
                // Some file systems do not tell in the listing.
                FileType::Unknown => match self.join(&name).try_metadata()? {
                    Some(found) => found.kind,
                    None => continue,
                },
                known => Kind::from_type(known),
            };
            entries.push(Entry { name, kind });
        }
        Ok(entries)
    }

    /// This directory and every one below it, those above first.
    pub fn directories(&self) -> Result<Vec<SafePath>, FsError> {
        let mut found = vec![self.clone()];
        let mut next = 0;
        while let Some(dir) = found.get(next).cloned() {
            next += 1;
            for entry in dir.read_dir()? {
                if entry.kind == Kind::Directory {
                    found.push(dir.join(&entry.name));
                }
            }
        }
        Ok(found)
    }

    /// Removes a directory with everything below it, or a single file; nothing at all is fine too. What is
    /// removed has to be the server's own: work directories and the like.
    pub fn remove_tree(&self) -> Result<(), FsError> {
        match self.try_metadata()?.map(|found| found.kind) {
            None => return Ok(()),
            Some(Kind::Directory) => {}
            Some(Kind::File | Kind::Symlink | Kind::Special) => return self.remove_file().map(drop),
        }
        let directories = self.directories()?;
        for dir in directories.iter().rev() {
            for entry in dir.read_dir()? {
                if entry.kind != Kind::Directory {
                    dir.join(&entry.name).remove_file()?;
                }
            }
            dir.remove_dir()?;
        }
        Ok(())
    }

    /// Makes the entries of every directory here and below survive a power cut.
    pub fn sync_directories(&self) -> Result<(), FsError> {
        self.directories()?.iter().rev().try_for_each(SafePath::sync_dir)
    }
}
