//! The journal of a torrent's entry, `library_root/.revaer.meta/<id>.json`: what stands on disk.
//!
//! Its members are the contract's (§7), and below them those that make "ours" and "how far" decidable. Invariant: a
//! file or directory of the library is the pipeline's own only where a journal says so by device, inode, size and
//! time.

mod identity;
mod record;
mod store;

pub(crate) use identity::Identity;
pub(crate) use record::{FileRecord, Journal, Progress, StepStatus};
pub(crate) use store::JournalStore;
