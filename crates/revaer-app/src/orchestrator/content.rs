//! What a torrent's stored .torrent says, read when it is needed and not kept.

use std::{path::PathBuf, sync::Arc};

use revaer_catalog::TorrentRecord;
use revaer_torrent_core::{
    FilePriority, Layout, Metainfo, TorrentId,
    engine::{InspectError, TorrentEngine},
    fsops::JobFile,
};
use sqlx::PgPool;

use super::slot::GivenContent;

/// Why the content could not be looked up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ContentError {
    /// The database does not answer: it may later.
    #[error("the stored .torrent cannot be read: the database does not answer")]
    Database(#[from] sqlx::Error),
    /// The stored bytes are gone or no .torrent any more.
    #[error("the stored .torrent cannot be used: {0}")]
    Broken(String),
}

/// A torrent's .torrent with what it says.
#[derive(Debug)]
pub(crate) struct StoredContent {
    pub(crate) bytes: Arc<[u8]>,
    pub(crate) metainfo: Metainfo,
    pub(crate) priorities: Vec<FilePriority>,
}

impl StoredContent {
    /// Reads and judges the stored .torrent, and applies the record's selection to it.
    pub(crate) async fn read(
        pool: &PgPool,
        engine: &dyn TorrentEngine,
        record: &TorrentRecord,
    ) -> Result<Self, ContentError> {
        let bytes = stored_bytes(pool, record.id).await?;
        let metainfo = engine.inspect(Arc::clone(&bytes)).await.map_err(|error| match error {
            InspectError::Invalid(reason) | InspectError::Unavailable(reason) => ContentError::Broken(reason),
        })?;
        let priorities = record
            .wish
            .selection
            .apply(&metainfo.files)
            .map_err(|error| ContentError::Broken(error.to_string()))?;
        Ok(Self { bytes, metainfo, priorities })
    }

    /// What the engine is given of it.
    pub(crate) fn given(&self, selection_version: u64) -> Arc<GivenContent> {
        Arc::new(GivenContent {
            layout: Layout::new(&self.metainfo),
            priorities: self.priorities.clone(),
            selection_version,
        })
    }

    /// The first component of the files' paths: the content's root.
    pub(crate) fn root_name(&self) -> Option<String> {
        let first = self.metainfo.files.iter().find(|file| !file.is_padding)?;
        first.path.split('/').next().filter(|name| !name.is_empty()).map(ToOwned::to_owned)
    }

    /// The wanted files, padding left out.
    pub(crate) fn wanted_files(&self) -> Vec<JobFile> {
        self.metainfo
            .files
            .iter()
            .zip(&self.priorities)
            .filter(|(file, priority)| {
                !file.is_padding && !file.is_symlink && **priority != FilePriority::Skip
            })
            .map(|(file, _)| JobFile { path: file.path.clone(), size: file.size })
            .collect()
    }

    /// Every file that the engine may have made, padding left out.
    pub(crate) fn all_files(&self) -> Vec<JobFile> {
        self.metainfo
            .files
            .iter()
            .filter(|file| !file.is_padding)
            .map(|file| JobFile { path: file.path.clone(), size: file.size })
            .collect()
    }
}

async fn stored_bytes(pool: &PgPool, id: TorrentId) -> Result<Arc<[u8]>, ContentError> {
    let mut connection = pool.acquire().await?;
    revaer_catalog::sql::metainfo_get(&mut connection, id)
        .await?
        .ok_or_else(|| ContentError::Broken("it is not in the database".to_owned()))
}

/// Where a path leads: the part that exists with its symbolic links resolved, the rest as it is.
pub(crate) fn resolve(path: &std::path::Path) -> PathBuf {
    path.ancestors()
        .find_map(|part| part.canonicalize().ok().zip(path.strip_prefix(part).ok()))
        .map_or_else(|| path.to_path_buf(), |(resolved, rest)| resolved.join(rest))
}

/// Whether something lies where one of the torrent's files would, so that libtorrent would write over it in place, and
/// over whatever is hard-linked to it. Asked before the torrent has a path: nothing there is its own yet, but empty
/// files, which libtorrent makes as soon as it knows of them.
pub(crate) fn is_foreign(save_dir: &std::path::Path, root_name: &str, files: &[JobFile]) -> bool {
    let root = save_dir.join(root_name);
    let Ok(found) = std::fs::symlink_metadata(&root) else { return false };
    let is_directory = files.iter().any(|file| file.path.contains('/'));
    if found.is_symlink() || found.is_dir() != is_directory {
        return true;
    }
    files.iter().any(|file| {
        std::fs::symlink_metadata(save_dir.join(&file.path))
            .is_ok_and(|found| !(found.is_file() && found.len() == 0 && file.size.0 == 0))
    })
}

/// Looks for every wanted file at its full size. Costs one stat per file; called when the pieces say "complete".
/// Returns the first path that is not as it should be.
pub(crate) fn first_missing(save_dir: &std::path::Path, files: &[JobFile]) -> Option<PathBuf> {
    files
        .iter()
        .map(|file| (save_dir.join(&file.path), file.size.0))
        .find(|(path, size)| {
            std::fs::symlink_metadata(path).map_or(true, |found| !found.is_file() || found.len() != *size)
        })
        .map(|(path, _)| path)
}

#[cfg(test)]
mod tests {
    use revaer_torrent_core::Bytes;

    use super::*;

    #[test]
    fn what_has_a_name_of_the_torrents_is_in_its_way_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let file = |path: &str, size| JobFile { path: path.to_owned(), size: Bytes(size) };
        let files = [file("show/one.mkv", 3), file("show/sub/two.srt", 2)];
        let is_foreign = |files: &[JobFile]| super::is_foreign(path, "show", files);
        assert!(!is_foreign(&files), "nothing is there");
        std::fs::create_dir_all(path.join("show/sub")).unwrap();
        std::fs::write(path.join("show/mine.txt"), "not of the torrent").unwrap();
        assert!(!is_foreign(&files), "what has no name of the torrent's is left alone");
        std::fs::write(path.join("show/empty.nfo"), "").unwrap();
        assert!(!is_foreign(&[file("show/empty.nfo", 0)]), "an empty file that is to be empty");
        assert!(is_foreign(&[file("show/empty.nfo", 1)]), "an empty file that is to be written to");
        assert!(is_foreign(&[file("show", 3)]), "a directory where a file would be");
        std::fs::write(path.join("show/sub/two.srt"), "abc").unwrap();
        assert!(is_foreign(&files), "a file of that name");
        std::fs::write(path.join("file"), "abc").unwrap();
        assert!(super::is_foreign(path, "file", &[file("file/a", 1)]), "a file where a directory would be");
    }
}
