//! A directory opened once and pinned by its descriptor: whatever is renamed or mounted over its path later, work
//! goes on in the directory that was judged.

use std::{
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::fs::{Mode, OFlags, fstat, fstatvfs, open};

use super::{Metadata, RelativePath, Resolution, SafePath};
use crate::FsError;

/// A pinned directory. Clones share the descriptor.
#[derive(Debug, Clone)]
pub struct SafeRoot {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    descriptor: OwnedFd,
    path: PathBuf,
    real: PathBuf,
    metadata: Metadata,
    resolution: Resolution,
}

impl SafeRoot {
    /// Opens the directory at `path`. Symbolic links on the way to it are followed, this once.
    pub fn open(path: &Path) -> Result<Self, FsError> {
        Self::open_with(path, Resolution::detect())
    }

    /// As [`SafeRoot::open`], with a given way of resolving names beneath it.
    pub fn open_with(path: &Path, resolution: Resolution) -> Result<Self, FsError> {
        if !path.is_absolute() {
            return Err(FsError::Path { path: path.to_owned(), reason: "a root must be absolute" });
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let descriptor = open(path, flags, Mode::empty()).map_err(FsError::at("open the directory", path))?;
        // What was opened, not what the path may mean by now.
        let link = format!("/proc/self/fd/{}", descriptor.as_raw_fd());
        let real = std::fs::read_link(&link).map_err(FsError::at("resolve the directory", path))?;
        let stat = fstat(&descriptor).map_err(FsError::at("examine", path))?;
        let metadata = Metadata::from_stat(&stat);
        Ok(Self { inner: Arc::new(Inner { descriptor, path: path.to_owned(), real, metadata, resolution }) })
    }

    /// The path it was opened by.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// The path without symbolic links, as it was when the directory was opened.
    pub fn real(&self) -> &Path {
        &self.inner.real
    }

    /// The device that it lies on.
    pub fn device(&self) -> u64 {
        self.inner.metadata.device
    }

    /// Whether both are the same directory, by whatever paths they were opened.
    pub fn is_same(&self, other: &Self) -> bool {
        let (this, that) = (&self.inner.metadata, &other.inner.metadata);
        this.device == that.device && this.inode == that.inode
    }

    /// The root itself as a path.
    pub fn top(&self) -> SafePath {
        self.at(RelativePath::root())
    }

    /// A path beneath the root.
    pub fn at(&self, path: RelativePath) -> SafePath {
        SafePath::new(self.clone(), path)
    }

    /// Bytes that an unprivileged user may still write to this file system.
    pub fn free_bytes(&self) -> Result<u64, FsError> {
        let found = fstatvfs(self.as_fd()).map_err(FsError::at("ask for the free space of", self.path()))?;
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.descriptor.as_fd()
    }

    pub(super) fn resolution(&self) -> Resolution {
        self.inner.resolution
    }
}
