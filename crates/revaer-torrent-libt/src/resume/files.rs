//! The files of the resume directory: names, loading, setting aside, deleting. All of it blocks.

use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
};

use revaer_torrent_core::{InfoHashes, TorrentId};

use super::{Loaded, MetaRecord};
use crate::ffi;

const BLOB: &str = ".fastresume";
const META: &str = ".meta.json";
const CLEAN_STOP: &str = "clean-stop";
const ORPHANED: &str = "orphaned";
/// A blob is a few bytes per piece; one that is longer is not ours.
const MAX_BLOB_BYTES: u64 = 64 * 1024 * 1024;

pub(crate) fn blob_name(id: TorrentId) -> String {
    format!("{id}{BLOB}")
}

pub(crate) fn meta_name(id: TorrentId) -> String {
    format!("{id}{META}")
}

/// Makes the directory ready: it exists, and what a crash left half written is gone.
pub(crate) fn prepare(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    let swept = revaer_durable::remove_leftovers(dir).map_err(io::Error::other)?;
    if swept > 0 {
        tracing::info!(count = swept, "half-written resume files were removed");
    }
    Ok(())
}

/// Reads what is stored of one torrent. What does not parse is set aside as `*.corrupt`.
pub(crate) fn load(dir: &Path, id: TorrentId) -> Loaded {
    let mut loaded = Loaded::nothing(id);
    match read_bounded(&dir.join(blob_name(id))) {
        Ok(None) => {}
        Ok(Some(blob)) => match ffi::check_resume(&blob) {
            Ok(()) => loaded.blob = Some(blob),
            Err(error) => {
                loaded.trouble =
                    Some(set_aside(dir, &blob_name(id), &format!("does not parse: {}", error.what())));
            }
        },
        Err(error) => loaded.trouble = Some(format!("{} could not be read: {error}", blob_name(id))),
    }
    match read_bounded(&dir.join(meta_name(id))) {
        Ok(None) => {}
        Ok(Some(bytes)) => match serde_json::from_slice::<MetaRecord>(&bytes) {
            Ok(record) => loaded.record = Some(record),
            Err(error) => {
                loaded.trouble = Some(set_aside(dir, &meta_name(id), &format!("does not parse: {error}")));
            }
        },
        Err(error) => loaded.trouble = Some(format!("{} could not be read: {error}", meta_name(id))),
    }
    loaded
}

/// Deletes what is stored of one torrent.
pub(crate) fn delete(dir: &Path, id: TorrentId) -> io::Result<()> {
    remove_if_there(&dir.join(blob_name(id)))?;
    remove_if_there(&dir.join(meta_name(id)))
}

/// Deletes the part file that a torrent may have left, if it is a plain file.
pub(crate) fn delete_part_file(save_dir: &Path, hashes: &InfoHashes) -> io::Result<()> {
    // libtorrent names it after the v1 hash, or after the beginning of the v2 hash.
    let v2 = hashes.v2.map(|hash| hash.to_string().chars().take(40).collect::<String>());
    for hash in [hashes.v1.map(|hash| hash.to_string()), v2].into_iter().flatten() {
        let path = save_dir.join(format!(".{hash}.parts"));
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_file() => remove_if_there(&path)?,
            Ok(_) => tracing::warn!(path = %path.display(), "not a plain file: it is left where it is"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Moves the files of torrents that nobody knows to `orphaned/`, and returns how many torrents that were.
pub(crate) fn set_aside_orphans(dir: &Path, known: &HashSet<TorrentId>) -> io::Result<usize> {
    let mut orphans = HashSet::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(id) = name.to_str().and_then(id_of) else { continue };
        if known.contains(&id) || !entry.file_type()?.is_file() {
            continue;
        }
        let target_dir = dir.join(ORPHANED);
        fs::create_dir_all(&target_dir)?;
        revaer_durable::rename(&entry.path(), &free_name(&target_dir, &name.to_string_lossy()))
            .map_err(io::Error::other)?;
        orphans.insert(id);
    }
    Ok(orphans.len())
}

/// Takes the mark of the last clean stop; whether it was there and is of this boot.
pub(crate) fn take_clean_stop(dir: &Path) -> io::Result<Option<String>> {
    let path = dir.join(CLEAN_STOP);
    let mark = read_bounded(&path)?;
    if mark.is_some() {
        remove_if_there(&path)?;
        revaer_durable::sync_dir(dir).map_err(io::Error::other)?;
    }
    Ok(mark.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned()))
}

/// Leaves the mark of a clean stop.
pub(crate) fn mark_clean_stop(dir: &Path) -> io::Result<()> {
    revaer_durable::write(&dir.join(CLEAN_STOP), boot_id().as_bytes(), 0o600).map_err(io::Error::other)
}

/// Which run of the kernel this is; empty where the kernel does not say.
pub(crate) fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|id| id.trim().to_owned()).unwrap_or_default()
}

pub(super) fn id_of(name: &str) -> Option<TorrentId> {
    name.strip_suffix(BLOB).or_else(|| name.strip_suffix(META))?.parse().ok()
}

fn set_aside(dir: &Path, name: &str, why: &str) -> String {
    let corrupt = free_name(dir, &format!("{name}.corrupt"));
    match revaer_durable::rename(&dir.join(name), &corrupt) {
        Ok(()) => format!("{name} {why}; it was set aside as {}", corrupt.display()),
        Err(error) => format!("{name} {why}, and could not be set aside: {error}"),
    }
}

/// `name`, or with a number where that is taken: nothing that was set aside is overwritten.
fn free_name(dir: &Path, name: &str) -> PathBuf {
    let plain = dir.join(name);
    if !plain.exists() {
        return plain;
    }
    (1..=u16::MAX)
        .map(|number| dir.join(format!("{name}.{number}")))
        .find(|path| !path.exists())
        .unwrap_or(plain)
}

pub(super) fn read_bounded(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::metadata(path) {
        Ok(found) if found.len() > MAX_BLOB_BYTES => Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it is longer than {MAX_BLOB_BYTES} bytes"),
        )),
        Ok(_) => fs::read(path).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
