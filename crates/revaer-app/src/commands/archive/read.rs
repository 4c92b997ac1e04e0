//! Reads a backup: looks through all of it before anything is done with it, and goes through it again afterwards.
//!
//! A foreign file may say anything, so nothing of it is used as a path: parts are known by their names alone. Nor is
//! anything of it said in an error: a backup holds the secret key, and where a piece of the file is missing, any of it
//! may stand where a name or a number should. So the texts of the tar library are not passed on either.

use std::{
    fs::File,
    io::{self, BufReader, Read, Seek as _},
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};
use tar::EntryType;
use tokio_util::sync::CancellationToken;

use super::{MOST_KEY_BYTES, MOST_RESUME_BYTES, ResumeSum};
use crate::commands::{
    manifest::{DATABASE, FORMAT, HEAD, KEY, MANIFEST, Manifest, Part, RESUME, hex, is_resume_file},
    pipe::broken_off,
};

/// The manifest has some lines.
const MOST_MANIFEST_BYTES: u64 = 1024 * 1024;

/// The file is no backup that this program can restore.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(in crate::commands) enum BackupError {
    /// It could not be read.
    #[error("can not read {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is something else.
    #[error("{} is not a backup of revaer-app", path.display())]
    NotABackup {
        /// The file.
        path: PathBuf,
    },
    /// A later program wrote it.
    #[error("{} was written by a newer revaer-app (format {format}, this one knows {FORMAT}): use that", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: u32,
    },
    /// It is cut off, or was altered.
    #[error("{} is damaged ({what}): use another backup", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        what: String,
    },
}

/// A part of a backup.
#[derive(Debug)]
pub(in crate::commands) enum Entry<'a> {
    /// The dump of the database.
    Database,
    /// A file of resume data.
    Resume(&'a str),
    /// The secret key file.
    Key,
}

/// A backup of which every sum was right.
#[derive(Debug)]
pub(in crate::commands) struct Backup {
    path: PathBuf,
    file: File,
    manifest: Manifest,
    key: Vec<u8>,
    stopping: CancellationToken,
}

impl Backup {
    /// Reads the whole file once.
    pub(in crate::commands) fn open(path: &Path, stopping: CancellationToken) -> Result<Self, BackupError> {
        let unread = |source| BackupError::Io { path: path.to_owned(), source };
        let file = File::open(path).map_err(unread)?;
        let found = Looker::default().look(&file, path, &stopping)?;
        let (manifest, key) = found;
        Ok(Self { path: path.to_owned(), file, manifest, key, stopping })
    }

    /// What it says about itself.
    pub(in crate::commands) fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The content of the secret key file.
    pub(in crate::commands) fn key(&self) -> &[u8] {
        &self.key
    }

    /// Goes through the parts once more, in the order of the file.
    pub(in crate::commands) fn for_each(
        &self,
        mut each: impl FnMut(Entry<'_>, &mut dyn Read) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let unread = |source| BackupError::Io { path: self.path.clone(), source };
        let mut file = self.file.try_clone().map_err(unread)?;
        file.rewind().map_err(unread)?;
        let mut tar = tar::Archive::new(BufReader::new(file));
        let faulty = |error| Unfit::from(error).in_file(&self.path);
        for entry in tar.entries().map_err(faulty)? {
            if self.stopping.is_cancelled() {
                return Err(broken_off().into());
            }
            let mut entry = entry.map_err(faulty)?;
            let name = name_of(&entry);
            match name.as_str() {
                DATABASE => each(Entry::Database, &mut entry)?,
                KEY => each(Entry::Key, &mut entry)?,
                HEAD | MANIFEST => {}
                other => each(Entry::Resume(other.strip_prefix(RESUME).unwrap_or(other)), &mut entry)?,
            }
        }
        Ok(())
    }
}

/// What the first reading gathers.
#[derive(Default)]
struct Looker {
    parts: Vec<Part>,
    resume: ResumeSum,
    key: Vec<u8>,
    manifest: Option<Manifest>,
    head: bool,
}

impl Looker {
    fn look(
        mut self,
        file: &File,
        path: &Path,
        stopping: &CancellationToken,
    ) -> Result<(Manifest, Vec<u8>), BackupError> {
        let unread = |source| BackupError::Io { path: path.to_owned(), source };
        let damaged = |what: &str| BackupError::Damaged { path: path.to_owned(), what: what.to_owned() };
        let not_a_backup = || BackupError::NotABackup { path: path.to_owned() };
        let mut tar = tar::Archive::new(BufReader::new(file));
        for entry in tar.entries().map_err(|error| Unfit::from(error).in_file(path))? {
            if stopping.is_cancelled() {
                return Err(unread(broken_off()));
            }
            let mut entry = entry.map_err(|error| match Unfit::from(error) {
                Unfit::Damaged(_) if !self.head => not_a_backup(),
                other => other.in_file(path),
            })?;
            let name = name_of(&entry);
            if !self.head && name != HEAD {
                return Err(not_a_backup());
            }
            if self.manifest.is_some() {
                return Err(damaged("something follows the manifest"));
            }
            if entry.header().entry_type() != EntryType::Regular {
                return Err(damaged("a part is no plain file"));
            }
            self.take(&name, &mut entry).map_err(|unfit| unfit.in_file(path))?;
        }
        if !self.head {
            return Err(not_a_backup());
        }
        self.parts.push(std::mem::take(&mut self.resume).into_part());
        let manifest = self.manifest.ok_or_else(|| damaged("it is cut off"))?;
        if manifest.parts != self.parts {
            return Err(damaged(&first_difference(&manifest.parts, &self.parts)));
        }
        Ok((manifest, self.key))
    }

    fn take(&mut self, name: &str, entry: &mut impl Read) -> Result<(), Unfit> {
        match name {
            HEAD if !self.head => {
                let text = bounded(entry, 16)?;
                let text = String::from_utf8_lossy(&text);
                let format = text.trim().parse().map_err(|_| Unfit::NotABackup)?;
                if format != FORMAT {
                    return Err(Unfit::Newer(format));
                }
                self.head = true;
            }
            DATABASE => {
                let (mut hash, mut bytes, mut chunk) = (Sha256::new(), 0, vec![0; 256 * 1024]);
                loop {
                    let read = entry.read(&mut chunk)?;
                    if read == 0 {
                        break;
                    }
                    hash.update(chunk.get(..read).unwrap_or_default());
                    bytes += u64::try_from(read).unwrap_or_default();
                }
                self.parts.push(Part { name: name.to_owned(), files: None, bytes, sha256: hex(hash) });
            }
            KEY => {
                self.key = bounded(entry, MOST_KEY_BYTES)?;
                let bytes = u64::try_from(self.key.len()).unwrap_or(u64::MAX);
                let sha256 = hex(Sha256::new_with_prefix(&self.key));
                self.parts.push(Part { name: name.to_owned(), files: None, bytes, sha256 });
            }
            MANIFEST => {
                let text = bounded(entry, MOST_MANIFEST_BYTES)?;
                let manifest = serde_json::from_slice(&text).map_err(|error| {
                    let (line, column) = (error.line(), error.column());
                    Unfit::Damaged(format!("the manifest does not parse at line {line}, column {column}"))
                })?;
                self.manifest = Some(manifest);
            }
            other => {
                let file = other.strip_prefix(RESUME).filter(|file| is_resume_file(file));
                let file = file.ok_or_else(|| Unfit::Damaged("a part does not belong in it".to_owned()))?;
                self.resume.add(file, &bounded(entry, MOST_RESUME_BYTES)?);
            }
        }
        Ok(())
    }
}

enum Unfit {
    /// The disk, not what is on it.
    Unread(io::Error),
    Newer(u32),
    NotABackup,
    Damaged(String),
}

impl Unfit {
    fn in_file(self, path: &Path) -> BackupError {
        let path = path.to_owned();
        match self {
            Self::Unread(source) => BackupError::Io { path, source },
            Self::Newer(format) => BackupError::Newer { path, format },
            Self::NotABackup => BackupError::NotABackup { path },
            Self::Damaged(what) => BackupError::Damaged { path, what },
        }
    }
}

/// What the tar library says holds what it has found, so it is not passed on.
impl From<io::Error> for Unfit {
    fn from(error: io::Error) -> Self {
        match os_code(&error) {
            Some(code) => Self::Unread(io::Error::from_raw_os_error(code)),
            None => Self::Damaged("it is cut off, or a piece of it is missing".to_owned()),
        }
    }
}

/// The system's answer that an error, or what has led to it, comes from.
fn os_code(error: &io::Error) -> Option<i32> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(one) = cause {
        let io = one.downcast_ref::<io::Error>();
        if let Some(code) = io.and_then(io::Error::raw_os_error) {
            return Some(code);
        }
        // What an error of this type holds is not its source, but in the place of itself.
        cause = match io.and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => one.source(),
        };
    }
    None
}

fn bounded(entry: &mut impl Read, most: u64) -> Result<Vec<u8>, Unfit> {
    let mut content = Vec::new();
    entry.take(most + 1).read_to_end(&mut content)?;
    if u64::try_from(content.len()).is_ok_and(|length| length <= most) {
        return Ok(content);
    }
    Err(Unfit::Damaged("a part is longer than it can be".to_owned()))
}

fn name_of(entry: &tar::Entry<'_, impl Read>) -> String {
    String::from_utf8_lossy(&entry.path_bytes()).into_owned()
}

fn first_difference(said: &[Part], found: &[Part]) -> String {
    let different = said.iter().find(|part| !found.contains(part));
    let name = different.or_else(|| found.iter().find(|part| !said.contains(part))).map(|part| &part.name);
    match name.and_then(|name| [DATABASE, RESUME, KEY].into_iter().find(|known| known == name)) {
        Some(name) => format!("the sum of {name} is not right"),
        None => "its parts are not those of its manifest".to_owned(),
    }
}
