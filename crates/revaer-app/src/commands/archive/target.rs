//! Where a backup is written to: a file that appears whole or not at all, or stdout.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, IsTerminal as _, Seek as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use revaer_durable::DurableError;
use rustix::fs::{FlockOperation, flock};

/// What is being written.
#[derive(Debug)]
pub(in crate::commands) struct Target {
    file: File,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// Under its temporary name, which goes with it unless it is renamed.
    Named { temporary: Temporary, to: PathBuf, replace: bool },
    /// Without a name, to be copied to stdout: a tar has lengths before contents, and pipes cannot go back.
    Stdout,
}

#[derive(Debug)]
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // The error that led here is the one to report; the next backup to this name takes the leftover over.
        drop(fs::remove_file(&self.0));
    }
}

impl Target {
    /// Makes the temporary sibling of `to`. What a killed backup to the same name has left is written over; a file
    /// that is there is not, unless it is to be replaced.
    pub(in crate::commands) fn file(to: &Path, replace: bool) -> anyhow::Result<Self> {
        let name = to.file_name().with_context(|| format!("{} is not the name of a file", to.display()))?;
        anyhow::ensure!(!to.is_dir(), "{} is a directory: name a file in it", to.display());
        anyhow::ensure!(replace || fs::symlink_metadata(to).is_err(), there_already(to));
        let mut sibling = OsString::from(".");
        sibling.push(name);
        sibling.push(".revaer-tmp");
        let path = to.with_file_name(sibling);
        let file = private()
            .create(true)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&path)
            .with_context(|| format!("can not create {}", path.display()))?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| anyhow::anyhow!("another backup is being written to {}", to.display()))?;
        let temporary = Temporary(path);
        file.set_len(0).with_context(|| format!("can not empty {}", temporary.0.display()))?;
        Ok(Self { file, place: Place::Named { temporary, to: to.to_owned(), replace } })
    }

    /// Makes a file without a name in `dir`, for stdout.
    pub(in crate::commands) fn stdout(dir: &Path) -> anyhow::Result<Self> {
        anyhow::ensure!(!io::stdout().is_terminal(), "a backup is no text for a terminal: redirect stdout");
        let unnamed = private().custom_flags(libc::O_TMPFILE).open(dir);
        let file = match unnamed {
            Ok(file) => file,
            // Not every file system knows it. Between these two calls a kill leaves an empty file.
            Err(_) => {
                let path = dir.join(format!(".backup.{}.revaer-tmp", std::process::id()));
                let at = || format!("can not create {}", path.display());
                let file = private().create_new(true).open(&path).with_context(at)?;
                fs::remove_file(&path).with_context(at)?;
                file
            }
        };
        Ok(Self { file, place: Place::Stdout })
    }

    /// The file to write, from its beginning.
    pub(in crate::commands) fn writer(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Puts what was written in its place; when this returns, it survives a power cut there.
    pub(in crate::commands) fn commit(mut self) -> anyhow::Result<Option<PathBuf>> {
        match self.place {
            Place::Named { temporary, to, replace } => {
                self.file.sync_all().with_context(|| format!("can not sync {}", temporary.0.display()))?;
                put(&temporary.0, &to, replace)?;
                std::mem::forget(temporary);
                Ok(Some(to))
            }
            Place::Stdout => {
                self.file.rewind().context("can not read the backup again")?;
                let mut stdout = io::stdout().lock();
                io::copy(&mut self.file, &mut stdout).context("can not write to stdout")?;
                stdout.flush().context("can not write to stdout")?;
                Ok(None)
            }
        }
    }
}

fn put(temporary: &Path, to: &Path, replace: bool) -> anyhow::Result<()> {
    if !replace {
        match revaer_durable::rename_noreplace(temporary, to) {
            Err(DurableError::AlreadyExists { .. }) => anyhow::bail!(there_already(to)),
            // Between this look and the renaming another may make it; the file system offers no better.
            Err(DurableError::NoReplaceUnsupported { .. }) => {
                anyhow::ensure!(fs::symlink_metadata(to).is_err(), there_already(to));
            }
            other => return Ok(other?),
        }
    }
    Ok(revaer_durable::rename(temporary, to)?)
}

fn there_already(to: &Path) -> String {
    format!("{} is there already: name another file, or give --replace", to.display())
}

fn private() -> fs::OpenOptions {
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}
