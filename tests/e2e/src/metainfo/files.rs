//! The files of a payload in the order of a v2 file tree, which is the order of path components as bytes.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// A file and where it stands beneath the root.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct File {
    /// Path components beneath the root; the root's own name for a payload of one file.
    pub(super) path: Vec<String>,
    pub(super) size: u64,
    pub(super) on_disk: PathBuf,
}

/// A payload as found on disk.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) name: String,
    /// One file without a folder.
    pub(super) single: bool,
    pub(super) files: Vec<File>,
}

impl Content {
    pub(super) fn read(root: &Path) -> Result<Self> {
        let name =
            root.file_name().and_then(|name| name.to_str()).context("the payload has no name")?.to_owned();
        let single = root.is_file();
        let mut files = Vec::new();
        if single {
            files.push(File {
                path: vec![name.clone()],
                size: std::fs::metadata(root)?.len(),
                on_disk: root.to_owned(),
            });
        } else {
            collect(root, &[], &mut files)?;
            files.sort();
        }
        Ok(Self { name, single, files })
    }

    pub(super) fn size(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }
}

fn collect(folder: &Path, above: &[String], files: &mut Vec<File>) -> Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let entry = entry?;
        let mut path = above.to_vec();
        path.push(entry.file_name().into_string().ok().context("a name that is not UTF-8")?);
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &path, files)?;
        } else {
            files.push(File { path, size: entry.metadata()?.len(), on_disk: entry.path() });
        }
    }
    Ok(())
}
