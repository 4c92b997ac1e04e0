//! Whether content can be linked, shared or only copied into the library: tried, never guessed from device numbers.
//! Two mounts of one file system have the same number, and neither link nor rename works between them.

use rustix::{fs::ioctl_ficlone, io::Errno};

use crate::{
    FsError,
    safe::{Metadata, RelativePath, SafePath, SafeRoot},
};

/// How files get into the staging directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    /// A second name for the same inode.
    Link,
    /// Shared blocks, falling back to a copy file by file.
    Reflink,
    /// Bytes.
    Copy,
}

impl Method {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Link => "hard links",
            Self::Reflink => "shared blocks",
            Self::Copy => "a copy",
        }
    }
}

/// Tries one link of `source` into `work`.
pub(crate) fn link(
    source: &SafePath,
    found: &Metadata,
    work: &SafePath,
    library: &SafeRoot,
) -> Result<(), FsError> {
    let probe = work.join(&RelativePath::name("probe")?);
    probe.remove_file()?;
    match source.link_to(&probe) {
        Ok(()) => probe.remove_file().map(drop),
        Err(error) => Err(explain(error, source, found, library)),
    }
}

/// Tries to share the blocks of `source` with a file in `work`.
pub(crate) fn reflink(source: &SafePath, work: &SafePath) -> Result<bool, FsError> {
    let probe = work.join(&RelativePath::name("probe")?);
    probe.remove_file()?;
    let target = probe.create_new(0o600)?;
    let shared = ioctl_ficlone(&target, source.open_file()?).is_ok();
    drop(target);
    probe.remove_file()?;
    Ok(shared)
}

/// Refuses a copy for which there is no room.
pub(crate) fn room(library: &SafeRoot, needed: u64) -> Result<(), FsError> {
    /// Left over for journals and for the file system's own needs.
    const HEADROOM: u64 = 64 * 1024 * 1024;
    let free = library.free_bytes()?;
    if needed.saturating_add(HEADROOM) <= free {
        return Ok(());
    }
    Err(FsError::unavailable(format!(
        "the copy needs {needed} bytes and {HEADROOM} to spare, and {} has {free} free; free some space, or use \
         hardlink on one volume",
        library.path().display()
    )))
}

/// Why a link was refused, and what to do about it.
pub(crate) fn explain(error: FsError, source: &SafePath, found: &Metadata, library: &SafeRoot) -> FsError {
    let (from, to) = (source.path(), library.path());
    let (from, to) = (from.display(), to.display());
    match error.errno() {
        Some(Errno::XDEV) if found.device == library.device() => FsError::refused(format!(
            "{from} cannot be hard-linked into {to}: they are different mounts of the same device; mount their \
             common parent directory once, or set move_mode to copy"
        )),
        Some(Errno::XDEV) => FsError::refused(format!(
            "{from} cannot be hard-linked into {to}: they lie on different devices; put them on one, or set \
             move_mode to copy"
        )),
        Some(Errno::PERM) if found.owner != rustix::process::geteuid().as_raw() => FsError::refused(format!(
            "{from} cannot be hard-linked into {to}: it belongs to another user (id {}), and the kernel protects \
             links to such files (fs.protected_hardlinks); give it to the server's user, or set move_mode to copy",
            found.owner
        )),
        Some(Errno::PERM | Errno::OPNOTSUPP) => FsError::refused(format!(
            "{from} cannot be hard-linked into {to}: the file system has no hard links; set move_mode to copy"
        )),
        Some(Errno::MLINK) => FsError::refused(format!(
            "{from} cannot be hard-linked into {to}: it has as many links as the file system allows; set \
             move_mode to copy"
        )),
        _ => error,
    }
}
