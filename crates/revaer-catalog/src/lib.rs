//! Torrents as durable records and as the read model in memory: the only door to both.
//!
//! The ledger (in `revaer-app`) is the one writer: it hands whole records to [`sql`] inside its transaction, and
//! after the commit to [`Catalog::commit`]. Everybody else reads from memory through [`Catalog`], and asks for
//! changes through [`Intents`].

mod catalog;
mod filter;
mod intent;
mod record;
pub mod sql;
mod view;

pub use catalog::{Catalog, Change, Counts, Cursor, JobCounts, Order, Page};
pub use filter::Filter;
pub use intent::{Intent, IntentError, IntentReply, IntentRequest, Intents, NewTorrent, RateChange};
pub use record::{ContentFacts, FsopsStatus, FsopsSummary, LastObservation, Placement, TorrentRecord, Wish};
pub use view::{Live, TorrentView};
