//! The vocabulary and the decisions of Revaer: ids, units, sources, selection, states, the ports of the engine
//! and the pipeline, and the planner.
//!
//! Invariants: no IO, no clock, no async runtime, no wire format. Time arrives as an argument; every edge
//! (HTTP, database row, resume file, event) converts by hand.

pub mod engine;
pub mod fsops;
mod id;
mod info_hash;
mod layout;
mod limits;
mod magnet;
mod metainfo;
mod plan;
mod queue;
mod selection;
mod state;
mod torrent;
mod units;

pub use id::TorrentId;
pub use info_hash::{InfoHashError, InfoHashV1, InfoHashV2, InfoHashes};
pub use layout::{ContentProgress, Layout, PieceSet};
pub use limits::RateLimits;
pub use magnet::{MAX_MAGNET_BYTES, Magnet, MagnetError};
pub use metainfo::{ContentFile, Metainfo};
pub use plan::{Action, Desired, Membership, Observed, plan};
pub use queue::{Queue, Turn};
pub use selection::{FilePriority, MAX_GLOB_BYTES, MAX_GLOBS, SelectionError, SelectionRules};
pub use state::{EngineState, StateKind, Transfer, derive_kind};
pub use torrent::{ContentPath, Source, Wanted};
pub use units::{Bytes, BytesPerSecond};

/// A future in a box: how the ports stay free of an async runtime.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;
