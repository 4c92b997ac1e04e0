//! One look at a root: is it the volume that was accepted?

use std::{fs::File, io, path::Path};

use rustix::fs::{AtFlags, Mode, OFlags, StatxFlags, makedev, statx};

use super::{VolumeFault, sentinel, sentinel::Found};
use crate::volume::SentinelId;

/// From `linux/stat.h`.
const STATX_MNT_ID_UNIQUE: u32 = 0x4000;

/// What tells one mount of a file system from another, while we run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mounted {
    pub(super) device: u64,
    pub(super) mount_id: u64,
}

impl Mounted {
    /// Whether no mount lies between the two. A subvolume has a device of its own and comes and goes with its mount,
    /// so the device only decides where the kernel has no mount ids.
    pub(crate) fn is_mount_of(self, other: Self) -> bool {
        if self.mount_id == 0 || other.mount_id == 0 {
            self.device == other.device
        } else {
            self.mount_id == other.mount_id
        }
    }
}

/// Looks at `root`, which is opened anew: what a path leads to now is what others would write into.
pub(super) fn look(root: &Path, accepted: &SentinelId) -> Result<Mounted, VolumeFault> {
    let opened = match File::open(root) {
        Ok(opened) => opened,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(VolumeFault::new(format!(
                "{} does not exist any more: mount its volume, or make the directory again with its content",
                root.display()
            )));
        }
        Err(error) => return Err(VolumeFault::io("open", root, &error)),
    };
    match sentinel::read(&opened).map_err(|error| VolumeFault::io("read the sentinel of", root, &error))? {
        Found::Id(id) if id == *accepted => {}
        Found::Id(_) => {
            return Err(VolumeFault::new(format!(
                "another volume than the accepted one is mounted at {}: mount the right one, or, to accept this one, \
                 remove its row from the table known_volumes while the server is stopped",
                root.display()
            )));
        }
        Found::Missing => return Err(sentinel::vanished(root)),
        Found::Torn | Found::Foreign => {
            return Err(VolumeFault::new(format!(
                "the sentinel of {} was damaged: its file {} has to hold {accepted}",
                root.display(),
                sentinel::SENTINEL_NAME
            )));
        }
    }
    mounted(&opened).map_err(|error| VolumeFault::io("inspect", root, &error))
}

/// Of what stands at a path. Blocks.
pub(crate) fn mounted_at(path: &Path) -> io::Result<Mounted> {
    let opened = match File::open(path) {
        // What may not be read can still be asked where it is.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            File::from(rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?)
        }
        opened => opened?,
    };
    mounted(&opened)
}

/// Of an opened file or directory.
pub(super) fn mounted(opened: &File) -> io::Result<Mounted> {
    let unique = StatxFlags::from_bits_retain(STATX_MNT_ID_UNIQUE);
    // Plain mount ids (Linux 5.8) are used again, unique ones (6.8) never. Where the kernel has neither, the
    // device and the sentinel have to do.
    let found = statx(opened, "", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS | unique).and_then(
        |found| match found.stx_mask & unique.bits() {
            0 => statx(opened, "", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS | StatxFlags::MNT_ID),
            _ => Ok(found),
        },
    )?;
    let has_id = found.stx_mask & (unique | StatxFlags::MNT_ID).bits() != 0;
    Ok(Mounted {
        device: makedev(found.stx_dev_major, found.stx_dev_minor),
        mount_id: if has_id { found.stx_mnt_id } else { 0 },
    })
}
