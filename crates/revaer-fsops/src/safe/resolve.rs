//! Opening a name beneath a directory without ever following a symbolic link.
//!
//! `openat2` does it in one call. Some container profiles refuse it (EPERM, ENOSYS): then every component is
//! opened by itself with `O_NOFOLLOW`. Which of the two is used is found out once per process.

use std::{
    os::fd::{BorrowedFd, OwnedFd},
    sync::OnceLock,
};

use rustix::{
    fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2},
    io::Errno,
};

use super::RelativePath;

/// How names beneath a root are resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// One `openat2` call (Linux 5.6 and later).
    Openat2,
    /// One `openat` per component.
    Components,
}

/// `openat2` answers EAGAIN when a rename elsewhere raced with the walk; a handful of tries always sufficed.
const RACES: u32 = 64;

impl Resolution {
    /// What this process can use.
    pub fn detect() -> Self {
        static FOUND: OnceLock<Resolution> = OnceLock::new();
        *FOUND.get_or_init(|| match openat2(CWD, ".", DIRECTORY, Mode::empty(), BENEATH) {
            Err(Errno::NOSYS | Errno::PERM) => Self::Components,
            Ok(_) | Err(_) => Self::Openat2,
        })
    }

    /// The name for health and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Openat2 => "openat2",
            Self::Components => "component-wise",
        }
    }

    /// Opens `path` beneath `root`.
    pub(super) fn open(
        self,
        root: BorrowedFd<'_>,
        path: &RelativePath,
        flags: OFlags,
        mode: Mode,
    ) -> Result<OwnedFd, Errno> {
        let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        if path.is_root() {
            return openat(root, ".", flags, mode);
        }
        match self {
            Self::Openat2 => open_at_once(root, path, flags, mode),
            Self::Components => open_by_component(root, path, flags, mode),
        }
    }
}

const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
const BENEATH: ResolveFlags =
    ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS).union(ResolveFlags::NO_SYMLINKS);

fn open_at_once(
    root: BorrowedFd<'_>,
    path: &RelativePath,
    flags: OFlags,
    mode: Mode,
) -> Result<OwnedFd, Errno> {
    let mut tries = RACES;
    loop {
        match openat2(root, path.as_path(), flags, mode, BENEATH) {
            Err(Errno::AGAIN | Errno::INTR) if tries > 0 => tries -= 1,
            other => return other,
        }
    }
}

fn open_by_component(
    root: BorrowedFd<'_>,
    path: &RelativePath,
    flags: OFlags,
    mode: Mode,
) -> Result<OwnedFd, Errno> {
    let mut names = path.names().peekable();
    let mut dir: Option<OwnedFd> = None;
    while let Some(name) = names.next() {
        let at = dir.as_ref().map_or(root, |dir| std::os::fd::AsFd::as_fd(dir));
        if names.peek().is_none() {
            return openat(at, name, flags, mode);
        }
        dir = Some(openat(at, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?);
    }
    Err(Errno::NOENT)
}
