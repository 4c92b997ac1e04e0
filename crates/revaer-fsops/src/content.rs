//! A job's content, judged by its shape before any disk is touched. Pure.

use std::collections::HashSet;

use revaer_torrent_core::{ContentPath, fsops::JobFile};

use crate::{FsError, safe::RelativePath};

/// Names in a library root that are the pipeline's own.
pub(crate) const RESERVED: [&str; 2] = [".revaer.meta", ".revaer.tmp"];

/// What is to be placed: the name of the entry and the wanted files, every path checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Content {
    /// The entry's name in the library, and the content root's name beneath the save directory.
    pub(crate) root: RelativePath,
    pub(crate) is_directory: bool,
    /// Paths begin with `root`: the same beneath the save directory, the staging directory and the library.
    pub(crate) files: Vec<WantedFile>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WantedFile {
    pub(crate) path: RelativePath,
    pub(crate) size: u64,
}

impl Content {
    pub(crate) fn new(path: &ContentPath, is_directory: bool, files: &[JobFile]) -> Result<Self, FsError> {
        let root = RelativePath::name(&path.root_name)?;
        if RESERVED.iter().any(|reserved| root.as_path() == std::path::Path::new(reserved)) {
            return Err(FsError::refused(format!(
                "the content is called {}, a name that the library keeps for itself; rename the torrent's root",
                root.display()
            )));
        }
        if files.is_empty() {
            return Err(FsError::refused("no file of the torrent is wanted; select at least one"));
        }
        let files = wanted(&root, is_directory, files)?;
        Ok(Self { root, is_directory, files })
    }

    /// A number that differs (almost surely) when names or sizes differ: 64-bit FNV-1a, stable over versions.
    pub(crate) fn fingerprint(&self) -> String {
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        let mut mix = |bytes: &[u8]| {
            for byte in bytes {
                hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
            }
        };
        for file in &self.files {
            mix(file.path.as_path().as_os_str().as_encoded_bytes());
            mix(&[0]);
            mix(&file.size.to_le_bytes());
        }
        format!("{hash:016x}")
    }
}

fn wanted(root: &RelativePath, is_directory: bool, files: &[JobFile]) -> Result<Vec<WantedFile>, FsError> {
    let mut seen = HashSet::with_capacity(files.len());
    let mut wanted = Vec::with_capacity(files.len());
    for file in files {
        let path = RelativePath::new(&file.path)?;
        let below = path.first() == root.file_name() && (is_directory == (path != *root));
        if !below {
            return Err(FsError::refused(format!(
                "the file {} does not lie in the torrent's own root {}",
                path.display(),
                root.display()
            )));
        }
        if !seen.insert(path.clone()) {
            return Err(FsError::refused(format!("the torrent names the file {} twice", path.display())));
        }
        wanted.push(WantedFile { path, size: file.size.0 });
    }
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use revaer_torrent_core::Bytes;

    use super::*;

    fn content(root: &str, is_directory: bool, files: &[&str]) -> Result<Content, FsError> {
        let path = ContentPath { save_dir: "/downloads".into(), root_name: root.to_owned() };
        let files: Vec<_> =
            files.iter().map(|path| JobFile { path: (*path).to_owned(), size: Bytes(1) }).collect();
        Content::new(&path, is_directory, &files)
    }

    #[test]
    fn every_file_lies_in_the_root() {
        assert!(content("a", true, &["a/b", "a/c/d"]).is_ok());
        assert!(content("a.iso", false, &["a.iso"]).is_ok());
        assert!(content("a", true, &["b/c"]).is_err());
        assert!(content("a", true, &["a"]).is_err());
        assert!(content("a", false, &["a/b"]).is_err());
        assert!(content("a", true, &["a/../b"]).is_err());
        assert!(content("a", true, &["a/b", "a/b"]).is_err());
        assert!(content("a", true, &[]).is_err());
        assert!(content("a/b", true, &["a/b/c"]).is_err());
        assert!(content("..", true, &["../c"]).is_err());
        assert!(content(".revaer.tmp", true, &[".revaer.tmp/c"]).is_err());
    }

    #[test]
    fn the_fingerprint_tells_selections_apart() {
        let one = content("a", true, &["a/b"]).unwrap().fingerprint();
        assert_eq!(one, content("a", true, &["a/b"]).unwrap().fingerprint());
        assert_ne!(one, content("a", true, &["a/b", "a/c"]).unwrap().fingerprint());
    }
}
