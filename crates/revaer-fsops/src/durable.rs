//! How far a copy is on the disk itself: what the journal may say without lying after a power cut.
//!
//! The length of a file proves nothing after one; so the journal names an offset that was synced before.

use std::fs::File;

use rustix::fs::{Advice, fadvise, fdatasync};

use crate::{
    FsError,
    journal::{Journal, JournalStore, Progress},
};

/// At most so much is copied again after a crash.
const SYNC_EVERY_BYTES: u64 = 256 * 1024 * 1024;
const SYNC_EVERY_FILES: usize = 1024;
/// Small files are synced in groups of this size: it also bounds the descriptors that are held.
const OPEN_FILES: usize = 128;

pub(crate) struct Durable<'a> {
    journal: &'a mut Journal,
    store: &'a JournalStore,
    /// Whole files that are not synced yet.
    open: Vec<File>,
    bytes: u64,
    files: usize,
    last: Progress,
}

impl<'a> Durable<'a> {
    pub(crate) fn new(journal: &'a mut Journal, store: &'a JournalStore, from: Progress) -> Self {
        Self { journal, store, open: Vec::new(), bytes: 0, files: 0, last: from }
    }

    /// The file `index` was written up to `offset`.
    pub(crate) fn written(&mut self, file: &File, index: usize, offset: u64) -> Result<(), FsError> {
        let before = if self.last.files == index { self.last.offset } else { 0 };
        if offset.saturating_sub(before).saturating_add(self.bytes) < SYNC_EVERY_BYTES {
            return Ok(());
        }
        self.part_of_file(file, index, offset)
    }

    /// Makes the file `index` durable up to `offset`, and says so in the journal.
    pub(crate) fn part_of_file(&mut self, file: &File, index: usize, offset: u64) -> Result<(), FsError> {
        self.sync_open()?;
        sync(file)?;
        self.say(Progress { files: index, offset })
    }

    /// The file `index` is whole.
    pub(crate) fn finished(&mut self, file: File, index: usize) -> Result<(), FsError> {
        let size = file.metadata().map_err(at("examine"))?.len();
        let before = if self.last.files == index { self.last.offset } else { 0 };
        self.bytes = self.bytes.saturating_add(size.saturating_sub(before));
        self.files += 1;
        self.open.push(file);
        if self.open.len() >= OPEN_FILES {
            self.sync_open()?;
        }
        if self.bytes >= SYNC_EVERY_BYTES || self.files >= SYNC_EVERY_FILES {
            self.flush(index + 1)?;
        }
        Ok(())
    }

    /// Everything up to the file before `index` is whole.
    pub(crate) fn flush(&mut self, index: usize) -> Result<(), FsError> {
        self.sync_open()?;
        self.say(Progress { files: index, offset: 0 })
    }

    fn say(&mut self, progress: Progress) -> Result<(), FsError> {
        self.bytes = 0;
        self.files = 0;
        self.last = progress;
        self.journal.copied = progress;
        self.store.write(self.journal)
    }

    /// The first pass starts the writing of all, so that the second waits for one round and not for one per file.
    fn sync_open(&mut self) -> Result<(), FsError> {
        for file in &self.open {
            // Advice only: where it is not understood, the sync below does all the work.
            if let Err(error) = fadvise(file, 0, None, Advice::DontNeed) {
                tracing::trace!(%error, "no early write-back");
            }
        }
        for file in self.open.drain(..) {
            sync(&file)?;
        }
        Ok(())
    }
}

fn sync(file: &File) -> Result<(), FsError> {
    fdatasync(file).map_err(at("sync"))
}

fn at<E: Into<std::io::Error>>(operation: &'static str) -> impl FnOnce(E) -> FsError {
    FsError::at(operation, std::path::Path::new("a staged file"))
}
