//! `finalise`: the staged entry becomes visible, whole, in one rename; or the files that an entry lacks are added.
//!
//! Every part can be done again: what was renamed before the crash is recognized by its inode.

use std::collections::HashMap;

use revaer_torrent_core::fsops::MoveMode;
use rustix::io::Errno;

use crate::{
    FsError,
    attempt::Attempt,
    content::WantedFile,
    journal::FileRecord,
    locate::foreign,
    prune::remove_empty_directories,
    safe::{Metadata, SafePath},
    transfer::DIR_MODE,
};

impl Attempt<'_> {
    /// Publishes, takes the source away where the content was moved, and leaves nothing temporary.
    pub(crate) fn finalise(&mut self) -> Result<(), FsError> {
        if self.journal.adding {
            self.add_to_entry()?;
        } else {
            self.publish_entry()?;
        }
        self.library.top().sync_dir()?;
        self.journal.published = true;
        self.context.point(|| "published".to_owned());
        if self.job.policy.move_mode == MoveMode::Move {
            self.remove_source()?;
            self.journal.moved = true;
        }
        self.context.point(|| "unsourced".to_owned());
        self.work.remove_tree()
    }

    fn publish_entry(&mut self) -> Result<(), FsError> {
        let staged = self.staging.join(&self.content.root);
        let entry = self.library.at(self.content.root.clone());
        match staged.rename_noreplace(&entry) {
            Ok(()) => Ok(()),
            Err(error) => match error.errno() {
                Some(Errno::EXIST | Errno::NOTEMPTY) => Err(foreign(&entry.path())),
                Some(Errno::NOENT) => self.was_published(&entry),
                Some(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                    self.publish_in_parts(&staged, &entry)
                }
                _ => Err(error),
            },
        }
    }

    /// Nothing is staged: the rename happened before a crash, or somebody removed the staging directory.
    fn was_published(&self, entry: &SafePath) -> Result<(), FsError> {
        match entry.try_metadata()? {
            Some(found) if self.is_entry(&found) => Ok(()),
            Some(_) => Err(foreign(&entry.path())),
            None => Err(FsError::unavailable(format!(
                "what was staged for {} is gone; it is staged again",
                entry.path().display()
            ))),
        }
    }

    /// A file system that cannot rename without replacing (some NFS and FUSE). A file gets its name by a link, which
    /// never replaces; a directory is made, which never replaces either, and filled.
    fn publish_in_parts(&mut self, staged: &SafePath, entry: &SafePath) -> Result<(), FsError> {
        if !self.content.is_directory {
            return match staged.link_to(entry) {
                Ok(()) => Ok(()),
                Err(error) if error.errno() == Some(Errno::EXIST) => {
                    let found = entry.metadata()?;
                    if self.is_entry(&found) { Ok(()) } else { Err(foreign(&entry.path())) }
                }
                Err(error) => Err(error),
            };
        }
        if !entry.mkdir(DIR_MODE)? {
            return Err(foreign(&entry.path()));
        }
        self.journal.entry = Some(crate::journal::Identity::of(&entry.metadata()?));
        self.journal.adding = true;
        self.journal.published = true;
        self.store.write(&self.journal)?;
        self.add_to_entry()
    }

    fn add_to_entry(&self) -> Result<(), FsError> {
        let records = self.records();
        let mut directories = std::collections::BTreeSet::new();
        for file in &self.content.files {
            self.context.checkpoint()?;
            let Some(record) = records.get(file.path.display().as_str()) else { continue };
            self.add(file, record)?;
            directories.extend(file.path.parent());
        }
        directories.iter().try_for_each(|directory| self.library.at(directory.clone()).sync_dir())
    }

    /// Puts one staged file into the entry. One that is not staged has to lie there.
    fn add(&self, file: &WantedFile, record: &FileRecord) -> Result<(), FsError> {
        let staged = self.staging.join(&file.path);
        let name = self.library.at(file.path.clone());
        let device = self.library.device();
        if let Some(found) = name.try_metadata()? {
            if record.is_placed(&found, device) {
                return Ok(());
            }
            if !record.replaces.is_some_and(|old| old.is(&found, device)) {
                return Err(foreign(&name.path()));
            }
            // The older file goes to the staging directory, and away with it.
            return Self::or_staged_again(staged.exchange(&name));
        }
        if let Some(parent) = name.parent() {
            parent.mkdir_all(DIR_MODE)?;
        }
        match staged.rename_noreplace(&name) {
            Err(error) if error.errno() == Some(Errno::EXIST) => Err(foreign(&name.path())),
            Err(error) if matches!(error.errno(), Some(Errno::INVAL | Errno::NOSYS)) => staged.link_to(&name),
            other => Self::or_staged_again(other),
        }
    }

    fn or_staged_again(outcome: Result<(), FsError>) -> Result<(), FsError> {
        match outcome {
            Err(error) if error.is_not_found() => Err(FsError::unavailable(format!(
                "{}: what was staged is gone; it is staged again",
                error.describe()
            ))),
            other => other,
        }
    }

    /// Removes the download's own names of what now lies in the library. A name that means something else by now
    /// stays.
    fn remove_source(&self) -> Result<(), FsError> {
        let records = self.records();
        for file in &self.content.files {
            self.context.checkpoint()?;
            let Some(record) = records.get(file.path.display().as_str()) else { continue };
            let origin = self.source.at(file.path.clone());
            let Some(found) = origin.try_metadata()? else { continue };
            let placed = self.library.at(file.path.clone()).metadata()?;
            if is_the_moved(record, &found, &placed, self.library.device()) {
                self.context.point(|| format!("unsource:{}", file.path.display()));
                origin.remove_file()?;
            } else {
                tracing::warn!(path = %origin.path().display(), "a source file changed while it was moved and stays");
            }
        }
        remove_empty_directories(&self.source, self.content.files.iter().map(|file| &file.path))?;
        self.source.top().sync_dir()
    }

    fn records(&self) -> HashMap<&str, &FileRecord> {
        self.journal.files.iter().map(|record| (record.path.as_str(), record)).collect()
    }
}

fn is_the_moved(record: &FileRecord, origin: &Metadata, placed: &Metadata, device: u64) -> bool {
    record.is_placed(placed, device)
        && (origin.is_same_file(placed) || (!record.linked && record.source.has_same_content(origin)))
}
