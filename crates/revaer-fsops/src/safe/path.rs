//! `SafePath`: every operation on a file or directory, beneath a pinned root and without following links.
//!
//! An operation on a name opens the name's parent beneath the root and then works on the last component only, so
//! nothing that is swapped in meanwhile can lead it elsewhere.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Write},
    os::fd::OwnedFd,
    path::PathBuf,
};

use rustix::{
    fs::{
        AtFlags, Mode, OFlags, RenameFlags, fchmod, fstat, linkat, mkdirat, renameat, renameat_with, statat,
        unlinkat,
    },
    io::Errno,
};

use super::{Kind, Metadata, RelativePath, SafeRoot};
use crate::FsError;

/// A path beneath a [`SafeRoot`].
#[derive(Debug, Clone)]
pub struct SafePath {
    root: SafeRoot,
    below: RelativePath,
}

impl SafePath {
    pub(super) fn new(root: SafeRoot, below: RelativePath) -> Self {
        Self { root, below }
    }

    /// The whole path, for messages.
    pub fn path(&self) -> PathBuf {
        self.root.path().join(self.below.as_path())
    }

    /// The part beneath the root.
    pub fn below(&self) -> &RelativePath {
        &self.below
    }

    /// A path further down.
    #[must_use]
    pub fn join(&self, below: &RelativePath) -> Self {
        Self { root: self.root.clone(), below: self.below.join(below) }
    }

    /// The directory that holds it; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        self.below.parent().map(|below| Self { root: self.root.clone(), below })
    }

    /// What the name stands for.
    pub fn metadata(&self) -> Result<Metadata, FsError> {
        self.try_metadata()?.ok_or_else(|| self.failed("find")(Errno::NOENT))
    }

    /// What the name stands for; `None` where nothing has it.
    pub fn try_metadata(&self) -> Result<Option<Metadata>, FsError> {
        let found = if self.below.is_root() {
            fstat(self.root.as_fd())
        } else {
            match self.parent_and_name() {
                Ok((parent, name)) => statat(parent, name, AtFlags::SYMLINK_NOFOLLOW),
                Err(error) if error.is_not_found() => return Ok(None),
                Err(error) => return Err(error),
            }
        };
        match found {
            Ok(stat) => Ok(Some(Metadata::from_stat(&stat))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(self.failed("examine")(error)),
        }
    }

    /// Opens a regular file for reading.
    pub fn open_file(&self) -> Result<File, FsError> {
        self.open_regular(OFlags::RDONLY)
    }

    /// Opens an existing regular file for writing, its content kept.
    pub fn open_for_writing(&self) -> Result<File, FsError> {
        self.open_regular(OFlags::WRONLY)
    }

    /// Creates a file that must not exist, with exactly the permissions `mode`.
    pub fn create_new(&self, mode: u32) -> Result<File, FsError> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let file = self.open(flags, Mode::RUSR | Mode::WUSR).map_err(self.failed("create"))?;
        fchmod(&file, Mode::from_raw_mode(mode)).map_err(self.failed("set the mode of"))?;
        Ok(File::from(file))
    }

    /// Writes `bytes` whole and durably, replacing what was there: a reader and a power cut see the old or the
    /// new content. The sibling has one fixed name, so that a crash leaves at most one, and the next write
    /// takes it away.
    pub fn write_durably(&self, bytes: &[u8], mode: u32) -> Result<(), FsError> {
        let (Some(parent), Some(name)) = (self.parent(), self.below.file_name()) else {
            return Err(FsError::Path { path: self.path(), reason: "a root is not a file" });
        };
        let mut sibling = std::ffi::OsString::from(".");
        sibling.push(name);
        sibling.push(".tmp");
        let sibling = parent.join(&RelativePath::name(sibling)?);
        sibling.remove_file()?;
        let mut file = sibling.create_new(mode)?;
        file.write_all(bytes).map_err(sibling.failed("write"))?;
        file.sync_all().map_err(sibling.failed("sync"))?;
        sibling.rename_over(self)?;
        parent.sync_dir()
    }

    /// Creates one directory with exactly the permissions `mode`. Returns whether it was not there before.
    pub fn mkdir(&self, mode: u32) -> Result<bool, FsError> {
        let (parent, name) = self.parent_and_name()?;
        match mkdirat(&parent, name, Mode::RWXU) {
            Ok(()) => {
                let dir = self.open_dir()?;
                fchmod(&dir, Mode::from_raw_mode(mode)).map_err(self.failed("set the mode of"))?;
                Ok(true)
            }
            Err(Errno::EXIST) => match self.metadata()?.kind {
                Kind::Directory => Ok(false),
                Kind::File | Kind::Symlink | Kind::Special => {
                    Err(self.failed("create the directory")(Errno::NOTDIR))
                }
            },
            Err(error) => Err(self.failed("create the directory")(error)),
        }
    }

    /// Creates the directory and those above it, up to the root.
    pub fn mkdir_all(&self, mode: u32) -> Result<(), FsError> {
        let mut path = self.root.top();
        for name in self.below.names() {
            path = path.join(&RelativePath::name(name)?);
            path.mkdir(mode)?;
        }
        Ok(())
    }

    /// Gives the file a second name, which must not exist.
    pub fn link_to(&self, new: &Self) -> Result<(), FsError> {
        let (from, name) = self.parent_and_name()?;
        let (to, new_name) = new.parent_and_name()?;
        linkat(from, name, to, new_name, AtFlags::empty()).map_err(new.failed("link"))
    }

    /// Renames in one step, unless something has the new name (then the error number is EEXIST).
    pub fn rename_noreplace(&self, new: &Self) -> Result<(), FsError> {
        self.rename_with(new, RenameFlags::NOREPLACE)
    }

    /// Swaps two names in one step. Both must exist.
    pub fn exchange(&self, other: &Self) -> Result<(), FsError> {
        self.rename_with(other, RenameFlags::EXCHANGE)
    }

    /// Removes the name of anything but a directory. Returns whether there was one.
    pub fn remove_file(&self) -> Result<bool, FsError> {
        self.remove(AtFlags::empty())
    }

    /// Removes an empty directory. Returns whether there was one.
    pub fn remove_dir(&self) -> Result<bool, FsError> {
        self.remove(AtFlags::REMOVEDIR)
    }

    /// Makes the entries of this directory (creations, renames, removals) survive a power cut.
    pub fn sync_dir(&self) -> Result<(), FsError> {
        match rustix::fs::fsync(self.open_dir()?) {
            // Some network and FUSE file systems cannot sync a directory; their server decides.
            Ok(()) | Err(Errno::INVAL) => Ok(()),
            Err(error) => Err(self.failed("sync")(error)),
        }
    }

    pub(super) fn open_dir(&self) -> Result<OwnedFd, FsError> {
        self.open(OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())
            .map_err(self.failed("open the directory"))
    }

    pub(crate) fn failed<E: Into<io::Error>>(
        &self,
        operation: &'static str,
    ) -> impl FnOnce(E) -> FsError + use<'_, E> {
        move |source| FsError::Io { operation, path: self.path(), source: source.into() }
    }

    /// Renames over what has the new name: only for names whose content is our own to replace.
    fn rename_over(&self, new: &Self) -> Result<(), FsError> {
        let (from, name) = self.parent_and_name()?;
        let (to, new_name) = new.parent_and_name()?;
        renameat(from, name, to, new_name).map_err(new.failed("replace"))
    }

    fn rename_with(&self, new: &Self, flags: RenameFlags) -> Result<(), FsError> {
        let (from, name) = self.parent_and_name()?;
        let (to, new_name) = new.parent_and_name()?;
        renameat_with(from, name, to, new_name, flags).map_err(new.failed("rename to"))
    }

    fn remove(&self, flags: AtFlags) -> Result<bool, FsError> {
        let (parent, name) = match self.parent_and_name() {
            Ok(found) => found,
            Err(error) if error.is_not_found() => return Ok(false),
            Err(error) => return Err(error),
        };
        match unlinkat(parent, name, flags) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(self.failed("remove")(error)),
        }
    }

    /// A pipe without a writer would block its opener, and a device may act on being opened: so the kind is
    /// looked at first, and once more on what was opened.
    fn open_regular(&self, flags: OFlags) -> Result<File, FsError> {
        self.demand_file(self.metadata()?)?;
        let file = self.open(flags | OFlags::NONBLOCK, Mode::empty()).map_err(self.failed("open"))?;
        let stat = fstat(&file).map_err(self.failed("examine"))?;
        self.demand_file(Metadata::from_stat(&stat))?;
        Ok(File::from(file))
    }

    fn demand_file(&self, found: Metadata) -> Result<(), FsError> {
        if found.kind == Kind::File {
            return Ok(());
        }
        Err(FsError::refused(format!(
            "{} is {}, not a regular file",
            self.path().display(),
            found.kind.name()
        )))
    }

    fn open(&self, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
        self.root.resolution().open(self.root.as_fd(), &self.below, flags, mode)
    }

    fn parent_and_name(&self) -> Result<(OwnedFd, &OsStr), FsError> {
        let (Some(parent), Some(name)) = (self.below.parent(), self.below.file_name()) else {
            return Err(FsError::Path { path: self.path(), reason: "a root has no name of its own" });
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let opened = self.root.resolution().open(self.root.as_fd(), &parent, flags, Mode::empty());
        Ok((opened.map_err(self.failed("reach"))?, name))
    }
}
