//! `locate_source`: every wanted file is there, whole, and its name in the library is free or ours.

use std::collections::HashMap;

use crate::{
    FsError,
    attempt::Attempt,
    content::WantedFile,
    journal::{FileRecord, Identity},
    placement::{Placement, place},
    safe::{Kind, Metadata},
};

/// A file that has to get into the library.
#[derive(Debug, Clone)]
pub(crate) struct Planned {
    pub(crate) file: WantedFile,
    pub(crate) source: Metadata,
    /// The older file of ours that it takes the place of.
    pub(crate) replaces: Option<Identity>,
}

/// What was found at both ends.
#[derive(Debug, Default)]
pub(crate) struct Located {
    /// Files that have to be placed.
    pub(crate) planned: Vec<Planned>,
    /// Files that lie in the library already.
    pub(crate) kept: usize,
    /// Those of them that no journal spoke of: links that somebody else made to the very same file.
    pub(crate) adopted: Vec<FileRecord>,
    /// The entry stands, and is added to.
    pub(crate) adding: bool,
}

impl Attempt<'_> {
    pub(crate) fn locate(&self) -> Result<Located, FsError> {
        let root = self.source.at(self.content.root.clone());
        if root.try_metadata()?.is_none() {
            return Err(FsError::unavailable(format!(
                "the content {} is not there; mount its volume, or, where it was deleted, remove the torrent and add it again",
                root.path().display()
            )));
        }
        let entry = self.entry()?;
        let records: HashMap<&str, &FileRecord> =
            self.journal.files.iter().map(|record| (record.path.as_str(), record)).collect();
        let mut located = Located { adding: entry.is_some(), ..Located::default() };
        for file in &self.content.files {
            self.context.checkpoint()?;
            let source = self.whole(file)?;
            let name = self.library.at(file.path.clone());
            let found = if entry.is_some() { name.try_metadata()? } else { None };
            let record = records.get(file.path.display().as_str()).copied();
            match place(record, &source, found.as_ref(), self.library.device(), self.links()) {
                Ok(Placement::Keep) => {
                    located.kept += 1;
                    if record.is_none_or(|record| !record.is_placed(&source, self.library.device()))
                        && self.links()
                    {
                        located.adopted.extend(found.map(|found| self.same_inode(file, &found)));
                    }
                }
                Ok(placement) => {
                    let replaces = match placement {
                        Placement::Replace => found.as_ref().map(Identity::of),
                        Placement::Add | Placement::Keep => None,
                    };
                    located.planned.push(Planned { file: file.clone(), source, replaces });
                }
                Err(_) => return Err(foreign(&name.path())),
            }
        }
        Ok(located)
    }

    /// The entry as it stands, where it is ours; nothing where nothing has its name.
    fn entry(&self) -> Result<Option<Metadata>, FsError> {
        let name = self.library.at(self.content.root.clone());
        let Some(found) = name.try_metadata()? else { return Ok(None) };
        if self.content.is_directory {
            let ours = self.is_entry(&found);
            return if ours && self.journal.published { Ok(Some(found)) } else { Err(foreign(&name.path())) };
        }
        // A single file is judged like every file.
        Ok(Some(found))
    }

    /// The content as it lies in the library itself.
    pub(crate) fn locate_in_place(&self) -> Result<Vec<FileRecord>, FsError> {
        let record = |file: &WantedFile| Ok(self.same_inode(file, &self.whole(file)?));
        self.content.files.iter().map(record).collect()
    }

    /// The record of a file that is one inode at both ends.
    fn same_inode(&self, file: &WantedFile, found: &Metadata) -> FileRecord {
        FileRecord {
            path: file.path.display(),
            size: file.size,
            sha256: None,
            origin: self.source.at(file.path.clone()).path().to_string_lossy().into_owned(),
            placed: Identity::of(found),
            source: Identity::of(found),
            linked: true,
            replaces: None,
        }
    }

    fn whole(&self, file: &WantedFile) -> Result<Metadata, FsError> {
        let path = self.source.at(file.path.clone());
        let Some(found) = path.try_metadata()? else {
            return Err(FsError::refused(format!(
                "{} is missing from the content; {AGAIN}",
                path.path().display()
            )));
        };
        if found.kind != Kind::File {
            return Err(FsError::refused(format!(
                "{} is {}, where the torrent has a regular file; {AGAIN}",
                path.path().display(),
                found.kind.name()
            )));
        }
        if found.size != file.size {
            return Err(FsError::refused(format!(
                "{} has {} bytes, where the torrent has {}; {AGAIN}",
                path.path().display(),
                found.size,
                file.size
            )));
        }
        Ok(found)
    }
}

/// What is left to do where a job has failed for good: content that lies in a torrent's way is not taken for its own
/// when it is added again, so it is downloaded anew.
const AGAIN: &str = "a failed job is not tried again: remove the torrent with its data and add it again";

/// The refusal to touch what is not ours.
pub(crate) fn foreign(path: &std::path::Path) -> FsError {
    FsError::refused(format!(
        "{} already exists and is not what this torrent put there; move it away; a failed job is not \
         tried again: put the content there by hand, or remove the torrent with its data and add it again",
        path.display()
    ))
}
