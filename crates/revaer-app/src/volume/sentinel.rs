//! The sentinel `.revaer-volume` in a root: one line with a random id.
//!
//! It is written once, whole and without replacing anything, when the root is first accepted, and never again.

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use revaer_durable::{DurableError, is_temporary};
use rustix::fs::{Mode, OFlags};

use super::{VolumeError, VolumeFault};

/// The file's name in its root.
pub const SENTINEL_NAME: &str = ".revaer-volume";
const ID_CHARS: usize = 32;
const MOST_BYTES: u64 = 128;
/// How many names of an unexpected directory a fault lists.
const LISTED: usize = 5;

/// The random id of a volume: 128 bits in lower-case hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentinelId(String);

impl SentinelId {
    /// Reads an id as it stands in a sentinel or in the table.
    pub fn parse(text: &str) -> Option<Self> {
        let valid = text.len() == ID_CHARS
            && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        valid.then(|| Self(text.to_owned()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn random() -> io::Result<Self> {
        let mut bytes = [0_u8; 16];
        getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
        Ok(Self(format!("{:032x}", u128::from_ne_bytes(bytes))))
    }
}

impl fmt::Display for SentinelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a root has under the sentinel's name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    Id(SentinelId),
    Missing,
    /// Empty: a power cut on a file system that cannot rename without replacing.
    Torn,
    Foreign,
}

/// Reads the sentinel beneath an opened root.
pub(super) fn read(root: &File) -> io::Result<Found> {
    // Neither a link nor a pipe may lead us elsewhere or make us wait.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(root, SENTINEL_NAME, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(rustix::io::Errno::NOENT) => return Ok(Found::Missing),
        Err(rustix::io::Errno::LOOP) => return Ok(Found::Foreign),
        Err(error) => return Err(error.into()),
    };
    if !file.metadata()?.is_file() {
        return Ok(Found::Foreign);
    }
    let mut bytes = Vec::new();
    file.take(MOST_BYTES).read_to_end(&mut bytes)?;
    if bytes.is_empty() {
        return Ok(Found::Torn);
    }
    let id = std::str::from_utf8(&bytes).ok().and_then(|text| SentinelId::parse(text.trim_end()));
    Ok(id.map_or(Found::Foreign, Found::Id))
}

/// Accepts a root for the first time: its sentinel's id, written now unless it is there.
pub(super) fn ensure(root: &Path) -> Result<SentinelId, VolumeError> {
    let path = root.join(SENTINEL_NAME);
    let at = |operation| {
        let path = path.clone();
        move |source| VolumeError::Io { operation, path, source }
    };
    let opened = File::open(root).map_err(|source| VolumeError::Io {
        operation: "open",
        path: root.to_owned(),
        source,
    })?;
    if !opened.metadata().map_err(at("inspect"))?.is_dir() {
        let source = io::Error::from(io::ErrorKind::NotADirectory);
        return Err(VolumeError::Io { operation: "use", path: root.to_owned(), source });
    }
    match read(&opened).map_err(at("read"))? {
        Found::Id(id) => return Ok(id),
        Found::Foreign => return Err(VolumeError::ForeignSentinel { path }),
        Found::Torn => fs::remove_file(&path).map_err(at("remove"))?,
        Found::Missing => {}
    }
    let id = SentinelId::random().map_err(at("make an id for"))?;
    match place(&path, &id) {
        Ok(()) => Ok(id),
        // Somebody was faster: theirs is the one.
        Err(DurableError::AlreadyExists { .. }) => match read(&opened).map_err(at("read"))? {
            Found::Id(id) => Ok(id),
            Found::Missing | Found::Torn | Found::Foreign => Err(VolumeError::ForeignSentinel { path }),
        },
        Err(source) => Err(VolumeError::NotWritable { root: root.to_owned(), source }),
    }
}

fn place(path: &Path, id: &SentinelId) -> Result<(), DurableError> {
    let text = format!("{id}\n");
    let staged = path.with_file_name(format!("{SENTINEL_NAME}-{id}"));
    revaer_durable::write(&staged, text.as_bytes(), 0o644)?;
    let placed = revaer_durable::rename_noreplace(&staged, path);
    if placed.is_err() {
        // What remains is a small file with our name; the first error is the one to report.
        drop(fs::remove_file(&staged));
    }
    match placed {
        Err(DurableError::NoReplaceUnsupported { .. }) => create_in_place(path, text.as_bytes()),
        other => other,
    }
}

fn create_in_place(path: &Path, text: &[u8]) -> Result<(), DurableError> {
    let failed = |operation| {
        let path = path.to_owned();
        move |source: io::Error| match source.kind() {
            io::ErrorKind::AlreadyExists => DurableError::AlreadyExists { path },
            _ => DurableError::Io { operation, path, source },
        }
    };
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o644).open(path).map_err(failed("create"))?;
    file.write_all(text).and_then(|()| file.sync_all()).map_err(failed("write"))?;
    revaer_durable::sync_dir(path.parent().unwrap_or(Path::new("/")))
}

/// The fault of a root without its sentinel, with what stands in its place: possibly what was written into the
/// empty mount point before the loss was noticed. None of it is touched.
pub(super) fn vanished(root: &Path) -> VolumeFault {
    let place = root.display();
    let Ok(entries) = fs::read_dir(root) else {
        return VolumeFault::new(format!("the volume of {place} is gone: mount it again"));
    };
    let mut names: Vec<String> = entries
        .take(1000)
        .flatten()
        .filter(|entry| !is_temporary(&entry.file_name()))
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    let found = match names.len() {
        0 => "an empty directory is in its place".to_owned(),
        count => {
            let more = if count > LISTED { ", …" } else { "" };
            let listed = names[..count.min(LISTED)].join(", ");
            format!("a directory with {count} entries is in its place and left alone ({listed}{more})")
        }
    };
    VolumeFault::new(format!(
        "the volume of {place} is gone (no file {SENTINEL_NAME}): {found}; mount it again"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_look_writes_an_id_and_the_second_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let id = ensure(dir.path()).unwrap();
        assert_eq!(ensure(dir.path()).unwrap(), id);
        assert_eq!(fs::read_to_string(dir.path().join(SENTINEL_NAME)).unwrap(), format!("{id}\n"));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_torn_sentinel_is_written_again_and_a_foreign_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(SENTINEL_NAME);
        fs::write(&path, "").unwrap();
        ensure(dir.path()).unwrap();
        for foreign in ["something else", "ABCDEF", &"f".repeat(33)] {
            fs::write(&path, foreign).unwrap();
            assert!(matches!(ensure(dir.path()), Err(VolumeError::ForeignSentinel { .. })), "{foreign}");
        }
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
        assert!(matches!(ensure(dir.path()), Err(VolumeError::ForeignSentinel { .. })));
    }

    #[test]
    fn a_missing_root_is_not_made() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("missing");
        assert!(matches!(ensure(&root), Err(VolumeError::Io { operation: "open", .. })));
        assert!(!root.exists());
    }

    #[test]
    fn creating_in_place_never_replaces() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(SENTINEL_NAME);
        create_in_place(&path, b"first").unwrap();
        assert!(matches!(create_in_place(&path, b"second"), Err(DurableError::AlreadyExists { .. })));
        assert_eq!(fs::read(&path).unwrap(), b"first");
    }
}
