//! The removal of a torrent's own download content: the files it lists, then the directories this leaves empty.
//!
//! A listed name is removed only where it is a regular file no longer than the torrent's (a download that was not
//! finished is shorter), or a symbolic link where the torrent has an entry without content. Whatever else has the
//! name, or lies beside it, is somebody else's and stays. Library entries are other names, even when they share the
//! inode.

use revaer_torrent_core::fsops::{Deletion, DeletionOutcome};
use tokio_util::sync::CancellationToken;

use crate::{
    FsError,
    allow::AllowList,
    content::RESERVED,
    prune::remove_empty_directories,
    roots::open_allowed,
    safe::{Kind, Metadata, RelativePath, SafePath, SafeRoot},
};

/// Reasons and names of strangers that are reported; the rest is counted.
const MAX_KEPT: usize = 100;

/// Removes what is the torrent's own. Doing it again finds less to do. Blocks.
pub(crate) fn delete(deletion: &Deletion, token: &CancellationToken) -> Result<DeletionOutcome, FsError> {
    let root_name = RelativePath::name(&deletion.content.root_name)?;
    if RESERVED.iter().any(|reserved| root_name.as_path() == std::path::Path::new(reserved)) {
        return Err(FsError::refused(format!("{} is the library's own and no content", root_name.display())));
    }
    let allow = AllowList::resolve(&deletion.allow_list);
    if is_gone(deletion, &allow)? {
        return Ok(DeletionOutcome::default());
    }
    let root = open_allowed(&allow, "content", &deletion.content.save_dir)?;
    let mut kept = Kept::default();
    let mut deleted = 0;
    let mut owned = Vec::with_capacity(deletion.files.len());
    for file in &deletion.files {
        if token.is_cancelled() {
            return Err(FsError::Interrupted);
        }
        let Some(path) = own_path(&file.path, &root_name) else {
            kept.add(format!("{:?}: not a path beneath the torrent's own root", file.path));
            continue;
        };
        if remove(&root.at(path.clone()), file.size.0, &mut kept)? {
            deleted += 1;
        }
        owned.push(path);
    }
    let left = remove_empty_directories(&root, owned.iter())?;
    report_strangers(&root, &left, &owned, &mut kept)?;
    sync(&root, &left)?;
    remove_own_save_dir(deletion)?;
    Ok(DeletionOutcome { deleted, kept: kept.finish() })
}

/// A save directory that is not there, in a directory that is, was removed: there is nothing left to do. Where the
/// directory above is away too, so is the volume, and the files may come back with it.
fn is_gone(deletion: &Deletion, allow: &AllowList) -> Result<bool, FsError> {
    let save_dir = &deletion.content.save_dir;
    match SafeRoot::open(save_dir) {
        Err(error) if error.is_not_found() => {
            allow.check_text("content", save_dir)?;
            Ok(save_dir.parent().is_some_and(|above| SafeRoot::open(above).is_ok()))
        }
        Ok(_) | Err(_) => Ok(false),
    }
}

fn own_path(path: &str, root_name: &RelativePath) -> Option<RelativePath> {
    RelativePath::new(path).ok().filter(|path| path.first() == root_name.file_name())
}

/// Returns whether the name is gone by this call.
fn remove(file: &SafePath, size: u64, kept: &mut Kept) -> Result<bool, FsError> {
    let found = match file.try_metadata() {
        Ok(Some(found)) => found,
        Ok(None) => return Ok(false),
        Err(error) if !error.may_pass_later() => {
            kept.add(format!("{}: reached only through a link or a file", file.path().display()));
            return Ok(false);
        }
        Err(error) => return Err(error),
    };
    match stranger(&found, size) {
        Some(reason) => {
            kept.add(format!("{}: {reason}", file.path().display()));
            Ok(false)
        }
        None => file.remove_file(),
    }
}

/// Why the name is not the torrent's own.
fn stranger(found: &Metadata, size: u64) -> Option<String> {
    match found.kind {
        Kind::File if found.size <= size => None,
        Kind::File => Some(format!("it has {} bytes, more than the torrent's {size}", found.size)),
        Kind::Symlink if size == 0 => None,
        kind @ (Kind::Symlink | Kind::Directory | Kind::Special) => Some(format!("it is {}", kind.name())),
    }
}

/// Names what keeps directories from being empty, where the torrent's own files did not say so already.
fn report_strangers(
    root: &SafeRoot,
    left: &[RelativePath],
    owned: &[RelativePath],
    kept: &mut Kept,
) -> Result<(), FsError> {
    let owned: std::collections::HashSet<&RelativePath> = owned.iter().collect();
    let left_set: std::collections::HashSet<&RelativePath> = left.iter().collect();
    for directory in left {
        let entries = match root.at(directory.clone()).read_dir() {
            Ok(entries) => entries,
            Err(error) if error.may_pass_later() && !error.is_not_found() => return Err(error),
            Err(_) => continue,
        };
        for entry in entries {
            let path = directory.join(&entry.name);
            if !owned.contains(&path) && !left_set.contains(&path) {
                kept.add(format!("{}: not one of the torrent's files", root.at(path).path().display()));
            }
        }
    }
    Ok(())
}

/// What was removed stays removed after a power cut.
fn sync(root: &SafeRoot, left: &[RelativePath]) -> Result<(), FsError> {
    for directory in left {
        match root.at(directory.clone()).sync_dir() {
            Err(error) if error.may_pass_later() && !error.is_not_found() => return Err(error),
            _ => {}
        }
    }
    root.top().sync_dir()
}

/// `<download_dir>/<id>` was made for this torrent alone.
fn remove_own_save_dir(deletion: &Deletion) -> Result<(), FsError> {
    let save_dir = &deletion.content.save_dir;
    let id = deletion.torrent.to_string();
    let (Some(name), Some(above)) = (save_dir.file_name(), save_dir.parent()) else { return Ok(()) };
    if name.to_str() != Some(id.as_str()) {
        return Ok(());
    }
    let above = SafeRoot::open(above)?;
    match above.at(RelativePath::name(name)?).remove_dir() {
        Ok(_) => above.top().sync_dir(),
        Err(error) if !error.may_pass_later() => Ok(()),
        Err(error) => Err(error),
    }
}

#[derive(Default)]
struct Kept {
    reasons: Vec<String>,
    more: usize,
}

impl Kept {
    fn add(&mut self, reason: String) {
        if self.reasons.len() < MAX_KEPT {
            self.reasons.push(reason);
        } else {
            self.more += 1;
        }
    }

    fn finish(mut self) -> Vec<String> {
        if self.more > 0 {
            self.reasons.push(format!("and {} more", self.more));
        }
        self.reasons
    }
}
