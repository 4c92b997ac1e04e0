//! The pipeline from finished download to library entry, and the removal of a torrent's own files.
//!
//! A job is worked on in `library_root/.revaer.tmp/<id>/` and becomes visible by one rename; its journal,
//! `library_root/.revaer.meta/<id>.json`, says what stands on disk, so that a crash at any point is gone on from.
//! Invariants: every path is a [`safe::SafePath`]; nothing is overwritten or removed unless a journal says that the
//! pipeline put it there, or the torrent lists it as its own; everything that blocks runs off the async threads.

mod allow;
mod attempt;
mod content;
mod context;
mod copy;
mod deletion;
mod discard;
mod durable;
mod error;
mod finalise;
mod job;
mod journal;
mod locate;
mod pipeline;
mod placement;
mod probe;
mod prune;
mod resume;
mod roots;
pub mod safe;
mod service;
pub mod sql;
mod steps;
mod takeover;
mod transfer;

pub use context::Checkpoints;
pub use error::FsError;
pub use job::{JobEnd, JobRow, JobStatus};
pub use service::{FsOps, FsOpsOptions};
