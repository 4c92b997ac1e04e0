//! A torrent's files as rules see them: without their root folder, in lower case.

use super::alphabet::lower;
use crate::ContentFile;

/// The files of one torrent.
pub(super) struct Tree<'a> {
    files: &'a [ContentFile],
    root_bytes: usize,
}

/// One file as rules see it.
pub(super) struct RuleFile {
    /// Path inside the torrent, in lower case.
    pub(super) path: String,
    /// Its length, in bytes.
    pub(super) size: u64,
}

impl<'a> Tree<'a> {
    /// Looks for the root folder that all files share.
    pub(super) fn new(files: &'a [ContentFile]) -> Self {
        Self { files, root_bytes: root_bytes(files) }
    }

    /// Every file, in the torrent's order.
    pub(super) fn files(&self) -> impl Iterator<Item = RuleFile> {
        self.files.iter().map(|file| self.see(file))
    }

    /// Every file that carries payload.
    pub(super) fn payload(&self) -> impl Iterator<Item = RuleFile> {
        self.files.iter().filter(|file| !file.is_padding && !file.is_symlink).map(|file| self.see(file))
    }

    fn see(&self, file: &ContentFile) -> RuleFile {
        // A padding file may lie outside the root folder; nobody asks for its path.
        let inside = file.path.get(self.root_bytes..).unwrap_or(&file.path);
        RuleFile { path: lower(inside), size: file.size.0 }
    }
}

impl RuleFile {
    /// The name, without its folders.
    pub(super) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// The folders it lies in, outermost first.
    pub(super) fn folders(&self) -> impl Iterator<Item = &str> {
        self.path.rsplit_once('/').into_iter().flat_map(|(folders, _)| folders.split('/'))
    }

    /// What follows the last dot of its name.
    pub(super) fn extension(&self) -> Option<&str> {
        self.name().rsplit_once('.').map(|(_, extension)| extension)
    }
}

/// Length of the shared root folder with its `/`, or 0.
fn root_bytes(files: &[ContentFile]) -> usize {
    let mut paths = files.iter().filter(|file| !file.is_padding).map(|file| file.path.as_str());
    let Some(root) = paths.next().and_then(|path| path.find('/').map(|slash| &path[..=slash])) else {
        return 0;
    };
    if paths.all(|path| path.starts_with(root)) { root.len() } else { 0 }
}
