//! What an unfinished job left, removed with its torrent: the work directory, and the journal of what never became
//! visible.

use std::path::Path;

use revaer_torrent_core::TorrentId;

use crate::{
    FsError,
    journal::{Journal, JournalStore},
    pipeline::work_dir,
    safe::{RelativePath, SafeRoot},
};

/// Doing it again finds less to do. Blocks.
pub(crate) fn discard(torrent: TorrentId, library_root: &Path) -> Result<(), FsError> {
    let library = match SafeRoot::open(library_root) {
        Ok(library) => library,
        // The library itself was removed, rather than its volume unmounted.
        Err(error) if error.is_not_found() && above_is_there(library_root) => return Ok(()),
        Err(error) => return Err(error),
    };
    work_dir(&library, torrent.as_uuid())?.remove_tree()?;
    let Some(store) = JournalStore::find(&library, torrent.as_uuid())? else { return Ok(()) };
    match store.load(torrent.as_uuid())? {
        Some(journal) if !is_visible(&library, &journal)? => store.remove(),
        Some(_) | None => Ok(()),
    }
}

fn above_is_there(path: &Path) -> bool {
    path.parent().is_some_and(|above| SafeRoot::open(above).is_ok())
}

/// Whether the entry stands, by the journal's word or by its inode (the word may have been lost in a crash).
fn is_visible(library: &SafeRoot, journal: &Journal) -> Result<bool, FsError> {
    if journal.published || journal.completed {
        return Ok(true);
    }
    let found = library.at(RelativePath::name(journal.entry_name())?).try_metadata()?;
    Ok(found.is_some_and(|found| journal.is_entry(&found, library.device())))
}
