//! The journal on disk: read whole, written whole and durably.

use std::io::Read;

use uuid::Uuid;

use super::{Journal, record::SCHEMA};
use crate::{
    FsError,
    safe::{RelativePath, SafePath, SafeRoot},
};

/// Only the server reads it; it names source paths.
const MODE: u32 = 0o600;
const DIR_MODE: u32 = 0o700;
/// A journal of a hundred thousand files has some 60 MiB; more is not one of ours.
const MAX_BYTES: u64 = 512 * 1024 * 1024;

/// Where one torrent's journal lies.
#[derive(Debug, Clone)]
pub(crate) struct JournalStore {
    file: SafePath,
}

impl JournalStore {
    /// Makes the journals' directory where it is not there.
    pub(crate) fn open(library: &SafeRoot, torrent: Uuid) -> Result<Self, FsError> {
        let dir = library.at(RelativePath::name(".revaer.meta")?);
        if dir.mkdir(DIR_MODE)? {
            library.top().sync_dir()?;
        }
        Ok(Self { file: dir.join(&RelativePath::name(format!("{torrent}.json"))?) })
    }

    /// The store where the journals' directory is there; makes nothing.
    pub(crate) fn find(library: &SafeRoot, torrent: Uuid) -> Result<Option<Self>, FsError> {
        let dir = library.at(RelativePath::name(".revaer.meta")?);
        let there = dir.try_metadata()?.is_some();
        let file = dir.join(&RelativePath::name(format!("{torrent}.json"))?);
        Ok(there.then_some(Self { file }))
    }

    /// The journal, or `None` where there is none. One that does not parse is set aside as `*.corrupt`: what it
    /// spoke of is then no longer known to be ours, and will not be touched.
    pub(crate) fn load(&self, torrent: Uuid) -> Result<Option<Journal>, FsError> {
        let bytes = match self.file.open_file() {
            Ok(file) => {
                let mut bytes = Vec::new();
                file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(self.file.failed("read"))?;
                bytes
            }
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error),
        };
        match serde_json::from_slice::<Journal>(&bytes) {
            Ok(journal) if journal.schema == SCHEMA && journal.torrent_id == torrent => Ok(Some(journal)),
            Ok(journal) => {
                self.set_aside(&format!("schema {}, torrent {}", journal.schema, journal.torrent_id))
            }
            Err(error) => self.set_aside(&error.to_string()),
        }
    }

    pub(crate) fn write(&self, journal: &Journal) -> Result<(), FsError> {
        let bytes = serde_json::to_vec(journal)
            .map_err(|error| FsError::refused(format!("the journal cannot be put into JSON: {error}")))?;
        self.file.write_durably(&bytes, MODE)
    }

    /// Removes the journal.
    pub(crate) fn remove(&self) -> Result<(), FsError> {
        if self.file.remove_file()?
            && let Some(parent) = self.file.parent()
        {
            parent.sync_dir()?;
        }
        Ok(())
    }

    fn set_aside(&self, reason: &str) -> Result<Option<Journal>, FsError> {
        let path = self.file.path();
        tracing::error!(path = %path.display(), reason, "a journal is not readable and is set aside");
        if let (Some(parent), Some(name)) = (self.file.parent(), self.file.below().file_name()) {
            let mut aside = name.to_owned();
            aside.push(".corrupt");
            let aside = parent.join(&RelativePath::name(aside)?);
            aside.remove_file()?;
            self.file.rename_noreplace(&aside)?;
        }
        Ok(None)
    }
}
