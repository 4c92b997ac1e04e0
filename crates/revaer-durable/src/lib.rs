//! Files that survive a power cut: write to a temporary sibling, sync, rename, sync the directory.
//!
//! Every function blocks; async callers run it through `Tasks::spawn_blocking`.
//! A reader sees the old file or the new one, never a part of either. What a crash leaves behind are
//! temporary siblings, which [`is_temporary`] recognizes and [`remove_leftovers`] removes.

mod batch;
mod error;
mod rename;
mod temporary;
mod write;

pub use batch::Batch;
pub use error::DurableError;
pub use rename::{rename, rename_noreplace, sync_dir};
pub use temporary::{is_temporary, remove_leftovers};
pub use write::write;
