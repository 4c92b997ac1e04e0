//! What tells a file that the pipeline placed from one that somebody else put there.

use serde::{Deserialize, Serialize};

use crate::safe::Metadata;

/// A file as it was when it was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    /// For people: numbers of devices are not stable over reboots, so the library's present one is compared.
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) size: u64,
    pub(crate) modified_ns: i64,
}

impl Identity {
    pub(crate) fn of(found: &Metadata) -> Self {
        Self { device: found.device, inode: found.inode, size: found.size, modified_ns: found.modified_ns }
    }

    /// Whether `found`, on the library's `device`, is this very file, unchanged.
    pub(crate) fn is(&self, found: &Metadata, device: u64) -> bool {
        self.is_inode(found, device) && self.size == found.size && self.modified_ns == found.modified_ns
    }

    /// Whether `found` is this very inode, whatever was written into it since: for directories, and for hard links,
    /// whose inode the download shares.
    pub(crate) fn is_inode(&self, found: &Metadata, device: u64) -> bool {
        found.device == device && self.inode == found.inode
    }

    /// Whether a source file is as it was when it was read. Inode and device may change over a remount.
    pub(crate) fn has_same_content(&self, found: &Metadata) -> bool {
        self.size == found.size && self.modified_ns == found.modified_ns
    }
}
