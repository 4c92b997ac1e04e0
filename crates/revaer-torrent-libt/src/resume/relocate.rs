//! `Relocation`: resume data follows its directory. Torrents that are not loaded have theirs on disk only, so a changed
//! directory takes over the files of the former one before anything is read or written there.
//!
//! A note in the new directory names the former ones until all is moved: after a crash the next open goes on. A
//! file is in its new place, durably, before the old one goes. Of two the younger counts, so that doing it again
//! changes nothing. What cannot be moved stays and is read where it is. All of it blocks.

use std::{
    ffi::OsString,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use revaer_durable::Batch;

use super::files::{id_of, read_bounded, remove_if_there};

const NOTE: &str = "moved-from.json";
/// Files that are made durable together.
const CHUNK: usize = 2048;

/// What a relocation came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Relocation {
    /// Files that were moved.
    pub(crate) moved: usize,
    /// Files that stayed where they were.
    pub(crate) stayed: usize,
    /// The directories that hold them, and those that could not be read.
    pub(crate) former: Vec<PathBuf>,
}

/// Takes over what `former` hold, as [`with_noted`] gave them.
pub(crate) fn take_over(dir: &Path, former: Vec<PathBuf>) -> Relocation {
    let mut outcome = Relocation::default();
    if former.is_empty() {
        return outcome;
    }
    // Without it all is moved nevertheless: only a crash before the end would leave the rest behind.
    if let Err(error) = write_note(dir, &former) {
        tracing::warn!(dir = %dir.display(), %error, "it could not be noted that resume data is being moved here");
    }
    for from in former {
        match move_all(&from, dir) {
            Ok((moved, stayed)) => {
                outcome.moved += moved;
                outcome.stayed += stayed;
                if stayed > 0 {
                    outcome.former.push(from);
                }
            }
            Err(error) => {
                tracing::warn!(
                    from = %from.display(), to = %dir.display(), %error,
                    "resume data could not be moved; it is read where it is, and moved at the next start"
                );
                outcome.former.push(from);
            }
        }
    }
    let noted = match outcome.former.as_slice() {
        [] => remove_if_there(&dir.join(NOTE)).and_then(|()| sync_dir(dir)),
        left => write_note(dir, left),
    };
    if let Err(error) = noted {
        tracing::warn!(dir = %dir.display(), %error, "it could not be noted that resume data was moved here");
    }
    outcome
}

/// `former`, and what a relocation that was cut had still to do: those that they and `dir` name in their notes. Each
/// once, and without `dir`.
pub(crate) fn with_noted(dir: &Path, former: &[PathBuf]) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = Vec::new();
    let mut unseen = former.to_vec();
    unseen.extend(read_note(dir));
    while let Some(next) = unseen.pop() {
        if !all.contains(&next) && !is_same(&next, dir) {
            unseen.extend(read_note(&next));
            all.push(next);
        }
    }
    all
}

fn read_note(dir: &Path) -> Vec<PathBuf> {
    let read = read_bounded(&dir.join(NOTE)).and_then(|bytes| {
        bytes.map_or(Ok(Vec::new()), |bytes| serde_json::from_slice(&bytes).map_err(io::Error::other))
    });
    read.unwrap_or_else(|error| {
        tracing::warn!(dir = %dir.display(), %error, "the note {NOTE} could not be read");
        Vec::new()
    })
}

fn write_note(dir: &Path, former: &[PathBuf]) -> io::Result<()> {
    let note = serde_json::to_vec(former)?;
    revaer_durable::write(&dir.join(NOTE), &note, 0o600).map_err(io::Error::other)
}

/// Whether both are one directory, under whatever names: a file is never moved onto itself.
fn is_same(one: &Path, other: &Path) -> bool {
    let identity = |dir: &Path| fs::metadata(dir).map(|found| (found.dev(), found.ino()));
    one == other || matches!((identity(one), identity(other)), (Ok(one), Ok(other)) if one == other)
}

/// Moves every resume file, and returns how many were moved and how many stayed.
fn move_all(from: &Path, to: &Path) -> io::Result<(usize, usize)> {
    let entries = match fs::read_dir(from) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((0, 0)),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_str().and_then(id_of).is_some() && entry.file_type()?.is_file() {
            names.push(name);
        }
    }
    let (mut moved, mut stayed) = (0, 0);
    for chunk in names.chunks(CHUNK) {
        let left = move_chunk(from, to, chunk);
        moved += chunk.len() - left.len();
        stayed += left.len();
        if let Some((name, reason)) = left.first() {
            tracing::warn!(
                from = %from.display(), to = %to.display(), count = left.len(), first = %name.display(), reason,
                "resume data could not be moved; it is read where it is, and moved at the next start"
            );
        }
    }
    if stayed == 0 {
        remove_if_there(&from.join(NOTE))?;
    }
    Ok((moved, stayed))
}

/// Returns what stays, and why.
fn move_chunk(from: &Path, to: &Path, names: &[OsString]) -> Vec<(OsString, String)> {
    let mut batch = Batch::new(to);
    let mut left = Vec::new();
    let mut brought = Vec::new();
    for name in names {
        match bring(from, to, name, &mut batch) {
            Ok(()) => brought.push(name),
            Err(reason) => left.push((name.clone(), reason)),
        }
    }
    let durable = batch.commit().map_err(io::Error::other).and_then(|()| sync_dir(to));
    for name in brought {
        let gone = durable.as_ref().map_err(ToString::to_string).and_then(|()| {
            remove_if_there(&from.join(name)).map_err(|error| format!("it could not be removed: {error}"))
        });
        if let Err(reason) = gone {
            left.push((name.clone(), reason));
        }
    }
    left
}

/// Brings one file to its new place: by a link, or else by a copy.
fn bring(from: &Path, to: &Path, name: &OsString, batch: &mut Batch) -> Result<(), String> {
    let (old, new) = (from.join(name), to.join(name));
    let linked = fs::hard_link(&old, &new);
    if let Err(error) = &linked
        && error.kind() == io::ErrorKind::AlreadyExists
        && is_as_young(&new, &old).map_err(|error| error.to_string())?
    {
        return Ok(());
    }
    if linked.is_err() {
        let bytes = read_bounded(&old).map_err(|error| error.to_string())?.unwrap_or_default();
        batch.add(name, &bytes, 0o600).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Whether `new` is at least as young as `old`.
fn is_as_young(new: &Path, old: &Path) -> io::Result<bool> {
    let found = fs::symlink_metadata(new)?;
    if !found.is_file() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "something that is no file has its name"));
    }
    Ok(found.modified()? >= fs::symlink_metadata(old)?.modified()?)
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    revaer_durable::sync_dir(dir).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use tempfile::TempDir;

    use super::*;

    const NAME: &str = "00000000-0000-0000-0000-000000000001.fastresume";

    fn two_dirs() -> (TempDir, PathBuf, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (dir.path().join("old"), dir.path().join("new"));
        fs::create_dir(&old).unwrap();
        fs::create_dir(&new).unwrap();
        (dir, old, new)
    }

    fn write(dir: &Path, name: &str, text: &str, age: u64) {
        fs::write(dir.join(name), text).unwrap();
        let then = SystemTime::now() - Duration::from_secs(age);
        fs::File::options().write(true).open(dir.join(name)).unwrap().set_modified(then).unwrap();
    }

    fn relocate(dir: &Path, former: &[PathBuf]) -> Relocation {
        take_over(dir, with_noted(dir, former))
    }

    fn names(dir: &Path) -> Vec<String> {
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        fs::read_dir(dir).unwrap().map(name).collect()
    }

    #[test]
    fn resume_files_are_moved_and_nothing_else() {
        let (_dir, old, new) = two_dirs();
        write(&old, NAME, "blob", 10);
        write(&old, "notes.txt", "mine", 10);
        let outcome = relocate(&new, &[old.clone(), old.join("never-made")]);
        assert_eq!(outcome, Relocation { moved: 1, stayed: 0, former: Vec::new() });
        assert_eq!((names(&old), names(&new)), (vec!["notes.txt".to_owned()], vec![NAME.to_owned()]));
        assert_eq!(fs::read_to_string(new.join(NAME)).unwrap(), "blob");
    }

    #[test]
    fn of_two_the_younger_counts() {
        for (age_of_old, age_of_new, left) in [(10, 20, "old"), (20, 10, "new"), (10, 10, "new")] {
            let (_dir, old, new) = two_dirs();
            let now = SystemTime::now();
            for (dir, text, age) in [(&old, "old", age_of_old), (&new, "new", age_of_new)] {
                write(dir, NAME, text, 0);
                let file = fs::File::options().write(true).open(dir.join(NAME)).unwrap();
                file.set_modified(now - Duration::from_secs(age)).unwrap();
            }
            assert_eq!(relocate(&new, std::slice::from_ref(&old)).moved, 1);
            assert_eq!(fs::read_to_string(new.join(NAME)).unwrap(), left);
            assert!(names(&old).is_empty());
        }
    }

    #[test]
    fn a_directory_under_another_name_is_left_alone() {
        let (dir, old, _) = two_dirs();
        write(&old, NAME, "blob", 10);
        let alias = dir.path().join("alias");
        std::os::unix::fs::symlink(&old, &alias).unwrap();
        assert_eq!(relocate(&alias, std::slice::from_ref(&old)), Relocation::default());
        assert_eq!(names(&old), [NAME]);
    }

    #[test]
    fn what_a_crash_cut_goes_on_and_through_several_directories() {
        let (dir, old, new) = two_dirs();
        let oldest = dir.path().join("oldest");
        fs::create_dir(&oldest).unwrap();
        write(&oldest, NAME, "blob", 10);
        write_note(&old, std::slice::from_ref(&oldest)).unwrap();
        write_note(&new, std::slice::from_ref(&old)).unwrap();
        assert_eq!(relocate(&new, &[]).moved, 1);
        assert_eq!(names(&new), [NAME]);
        assert!(names(&old).is_empty() && names(&oldest).is_empty());
    }

    #[test]
    fn what_cannot_be_moved_stays_and_is_moved_later() {
        let (_dir, old, new) = two_dirs();
        write(&old, NAME, "blob", 10);
        fs::create_dir(new.join(NAME)).unwrap();
        let outcome = relocate(&new, std::slice::from_ref(&old));
        assert_eq!(outcome, Relocation { moved: 0, stayed: 1, former: vec![old.clone()] });
        assert_eq!(names(&old), [NAME]);
        fs::remove_dir(new.join(NAME)).unwrap();
        assert_eq!(relocate(&new, &[]).moved, 1);
        assert_eq!(names(&new), [NAME]);
    }
}
