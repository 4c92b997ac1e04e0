//! The files of a restore: what was there is renamed, what comes is written whole. Everything here blocks.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use revaer_durable::Batch;

use super::Places;
use crate::commands::{
    archive::{Backup, Entry},
    manifest::is_resume_file,
};

/// A batch of more files than some is made durable by syncing the file system once; its size bounds what is lost of
/// the work when it fails.
const BATCH: usize = 1000;

/// Looks whether the key can be put in its place, before anything is touched.
pub(super) fn check_key(key_file: &Path, key: &[u8]) -> anyhow::Result<()> {
    if is_already(key_file, key)? {
        return Ok(());
    }
    let dir = key_file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    rustix::fs::access(dir, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK).with_context(|| {
        format!(
            "the secret key of the backup is not the one in {}, which can not be replaced: give it another content, \
             or unset REVAER_SECRET_KEY_FILE",
            key_file.display()
        )
    })
}

fn is_already(key_file: &Path, key: &[u8]) -> anyhow::Result<bool> {
    match fs::read(key_file) {
        Ok(there) => Ok(there == key),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).with_context(|| format!("can not read {}", key_file.display())),
    }
}

/// Renames what was there before. Done again after a kill, it goes on where it was.
pub(super) fn set_aside(places: &Places, aside: &str, embedded: bool, key: &[u8]) -> anyhow::Result<()> {
    if embedded {
        let pg = places.data_dir.join("pg");
        rename(&pg, &beside(&pg, aside))?;
    }
    if !is_already(&places.key_file, key)? {
        rename(&places.key_file, &beside(&places.key_file, aside))?;
    }
    set_resume_aside(&places.resume_dir, aside)
}

/// Where what was at `path` is kept.
pub(super) fn beside(path: &Path, aside: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(aside);
    PathBuf::from(name)
}

/// Into a directory beneath, since the resume directory may be where a volume is mounted. The mark of a clean stop
/// goes too: it would say that what is restored is the last word.
fn set_resume_aside(dir: &Path, aside: &str) -> anyhow::Result<()> {
    let failed = || format!("can not set aside what is in {}", dir.display());
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.with_context(failed)?,
    };
    let target = dir.join(aside);
    for entry in entries {
        let entry = entry.with_context(failed)?;
        let name = entry.file_name();
        let moves = name.to_str().is_some_and(|name| is_resume_file(name) || name == "clean-stop");
        if moves && entry.file_type().with_context(failed)?.is_file() {
            fs::create_dir_all(&target).with_context(failed)?;
            rustix::fs::rename(entry.path(), target.join(&name)).with_context(failed)?;
        }
    }
    if target.exists() {
        revaer_durable::sync_dir(&target)?;
    }
    Ok(revaer_durable::sync_dir(dir)?)
}

fn rename(from: &Path, to: &Path) -> anyhow::Result<()> {
    match fs::symlink_metadata(from) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        _ => Ok(revaer_durable::rename_noreplace(from, to)?),
    }
}

/// Writes the key and the resume data; again after a kill, the same.
pub(super) fn put(places: &Places, backup: &Backup) -> anyhow::Result<()> {
    if !is_already(&places.key_file, backup.key())? {
        revaer_durable::write(&places.key_file, backup.key(), 0o600)?;
    }
    let dir = &places.resume_dir;
    fs::create_dir_all(dir).with_context(|| format!("can not create {}", dir.display()))?;
    let mut batch = Batch::new(dir);
    backup.for_each(|entry, content| {
        let Entry::Resume(name) = entry else { return Ok(()) };
        // The file was looked at before, and may have changed since: names are used as paths.
        anyhow::ensure!(is_resume_file(name), "the backup has changed while it was read");
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes)?;
        batch.add(name, &bytes, 0o600)?;
        if batch.len() >= BATCH {
            std::mem::replace(&mut batch, Batch::new(dir)).commit()?;
        }
        Ok(())
    })?;
    Ok(batch.commit()?)
}
