//! The file of a backup: an ordinary tar, so that it can be looked into and taken apart without this program.
//!
//! Entries in their order: `revaer-backup`, `database.dump`, `resume/…`, `secret.key`, `manifest.json`. The manifest is
//! the last, since it holds the sums of the others; a file without it is cut off. Everything here blocks.

mod read;
mod target;
mod write;

use sha2::{Digest as _, Sha256};

pub(super) use read::{Backup, Entry};
pub(super) use target::Target;
pub(super) use write::ArchiveWriter;

use super::manifest::{Part, RESUME, hex};

/// Longer than any blob that the server reads.
pub(super) const MOST_RESUME_BYTES: u64 = 64 * 1024 * 1024;
/// A key is one line.
const MOST_KEY_BYTES: u64 = 64 * 1024;

/// The sum over all resume data.
#[derive(Debug, Default)]
struct ResumeSum {
    hash: Sha256,
    files: u64,
    bytes: u64,
}

impl ResumeSum {
    fn add(&mut self, name: &str, content: &[u8]) {
        let length = u64::try_from(content.len()).unwrap_or(u64::MAX);
        self.hash.update(name.as_bytes());
        self.hash.update([0]);
        self.hash.update(length.to_be_bytes());
        self.hash.update(content);
        self.files += 1;
        self.bytes += length;
    }

    fn into_part(self) -> Part {
        let sha256 = hex(self.hash);
        Part { name: RESUME.to_owned(), files: Some(self.files), bytes: self.bytes, sha256 }
    }
}

#[cfg(test)]
mod tests;
