//! Directories that lost their last file: removed upwards to the content's root, never one that holds something.

use std::collections::BTreeSet;

use rustix::io::Errno;

use crate::{
    FsError,
    safe::{RelativePath, SafeRoot},
};

/// Removes the directories of `files` that are empty, up to and with the first component. Returns those that are not.
pub(crate) fn remove_empty_directories<'a>(
    root: &SafeRoot,
    files: impl Iterator<Item = &'a RelativePath>,
) -> Result<Vec<RelativePath>, FsError> {
    let mut directories = BTreeSet::new();
    for file in files {
        let mut above = file.parent();
        while let Some(directory) = above {
            if directory.is_root() || !directories.insert(directory.clone()) {
                break;
            }
            above = directory.parent();
        }
    }
    let mut kept = Vec::new();
    // A directory sorts before what lies in it.
    for directory in directories.into_iter().rev() {
        match root.at(directory.clone()).remove_dir() {
            Ok(_) => {}
            Err(error) => match error.errno() {
                Some(Errno::NOTEMPTY | Errno::EXIST | Errno::BUSY | Errno::NOTDIR | Errno::LOOP) => {
                    kept.push(directory);
                }
                _ => return Err(error),
            },
        }
    }
    Ok(kept)
}
