//! The port of the torrent engine: commands go in and are answered, observations come out as levels.
//!
//! A level is what is true now. The engine keeps one [`Observation`] per torrent and a set of those that changed;
//! whoever takes the set sees the latest and loses nothing by being slow.

use std::{collections::HashSet, net::SocketAddr, path::PathBuf, sync::Arc};

use crate::{
    BoxFuture, Bytes, BytesPerSecond, EngineState, FilePriority, InfoHashes, Metainfo, PieceSet, RateLimits,
    TorrentId,
};

/// How the session is set up. Mapped from the settings by the composition root.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "switches of the session, each with its own meaning")]
pub struct EngineProfile {
    /// Addresses to listen on; empty means every interface.
    pub listen_interfaces: Vec<std::net::IpAddr>,
    /// Port to listen on; `None`: 6881, else the next free one.
    pub listen_port: Option<u16>,
    /// Distributed hash table (BEP 5).
    pub dht: bool,
    /// Local service discovery (BEP 14).
    pub lsd: bool,
    /// Port mapping by `UPnP`.
    pub upnp: bool,
    /// Port mapping by NAT-PMP.
    pub natpmp: bool,
    /// Whether peers must, may or must not encrypt.
    pub encryption: Encryption,
    /// Caps on the whole session.
    pub limits: RateLimits,
    /// Whether the caps bind peers in local networks too.
    pub limit_local_peers: bool,
    /// Where resume data is kept.
    pub resume_dir: PathBuf,
    /// How often changed resume data is saved, in seconds.
    pub resume_save_seconds: u32,
    /// What trackers are told.
    pub tracker: TrackerProfile,
}

/// What trackers are told, and which are used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrackerProfile {
    /// User agent; `None`: Revaer's own.
    pub user_agent: Option<String>,
    /// Address announced instead of the one the tracker sees.
    pub announce_ip: Option<String>,
    /// Port announced instead of the listen port.
    pub announce_port: Option<u16>,
    /// Announce to every tracker of a tier.
    pub announce_to_all_trackers: bool,
    /// Announce to every tier.
    pub announce_to_all_tiers: bool,
}

/// Protocol encryption (message stream encryption).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// Only encrypted connections.
    Require,
    /// Encrypted where the peer can.
    Prefer,
    /// Never encrypted.
    Disable,
}

/// A torrent to be made a member of the session. Resume data is found by the engine in its own store, by id;
/// from it come pieces, counters and peers, and nothing that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddTorrent {
    /// Whose it is.
    pub id: TorrentId,
    /// The .torrent, or the magnet link while that is unknown.
    pub source: AddSource,
    /// Directory beneath which the content's root lies.
    pub save_dir: PathBuf,
    /// Version and priorities of the selection in force; `None` while metadata is unknown.
    pub selection: Option<AppliedSelection>,
    /// Its own caps.
    pub limits: RateLimits,
    /// Whether pieces are asked for in order.
    pub sequential: bool,
    /// Believe that the content is there, check pieces only when they are asked for. Ignored where resume data exists.
    pub seed_mode: bool,
    /// All its trackers, in tier order.
    pub trackers: Vec<String>,
    /// Peers that its source names: asked again at every start, since resume data forgets those that were down.
    pub peers: Vec<SocketAddr>,
}

/// What a torrent is added from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddSource {
    /// A magnet link: the engine fetches the info dictionary, and keeps from transferring content until it is
    /// told the selection.
    Magnet(String),
    /// The bytes of a .torrent.
    Metainfo(Arc<[u8]>),
}

/// The priorities that a selection comes to, with the version of the selection that they were made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppliedSelection {
    /// Rises with every change of the selection.
    pub version: u64,
    /// One per file, in the torrent's order.
    pub priorities: Vec<FilePriority>,
}

/// Something for the engine to do. Every command is answered when it has taken effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineCommand {
    /// Starts the session, or applies a changed profile to the one that runs.
    Configure(Box<EngineProfile>),
    /// Makes a torrent a member of the session, running. Answered when libtorrent has it.
    Add(Box<AddTorrent>),
    /// Puts priorities in force, and lets content flow where it was held back.
    Select {
        /// Which torrent.
        id: TorrentId,
        /// What is wanted of it.
        selection: AppliedSelection,
    },
    /// Changes a torrent's own caps.
    SetLimits {
        /// Which torrent.
        id: TorrentId,
        /// The caps.
        limits: RateLimits,
    },
    /// Saves resume data now. Answered when it is on disk.
    SaveResume {
        /// Which torrent.
        id: TorrentId,
    },
    /// Takes a torrent out of the session with its resume data saved and its files closed; nothing is deleted.
    Unload {
        /// Which torrent.
        id: TorrentId,
    },
    /// Takes a torrent out of the session for good, with its part file and resume data deleted. Answered when no
    /// write of the engine can touch its files any more. Done at once for one that is not a member.
    Remove {
        /// Which torrent.
        id: TorrentId,
        /// The directory it was saved to: a part file may lie there even if the torrent is not a member.
        save_dir: PathBuf,
    },
    /// Sets aside resume data of torrents other than `known`, deleting none of it. Given once, before any add.
    SetAsideUnknown {
        /// Every torrent that there is.
        known: HashSet<TorrentId>,
    },
    /// Saves all resume data, marks a clean stop and ends the session.
    Shutdown,
}

/// Why the engine did not do what it was told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// The session has not been started, or has ended.
    #[error("the engine is not running; see the engine component in /health/full")]
    NotRunning,
    /// No torrent of that id is a member.
    #[error("the torrent {0} is not loaded in the engine")]
    NotLoaded(TorrentId),
    /// libtorrent refused.
    #[error("libtorrent refused the torrent {id}: {reason}")]
    Refused {
        /// Which torrent.
        id: TorrentId,
        /// libtorrent's reason.
        reason: String,
    },
    /// A member of the session has the same content; it may be on its way out.
    #[error("the session already has the content of the torrent {0}")]
    SameContent(TorrentId),
    /// The session could not be started or set up.
    #[error("the engine could not be set up: {0}")]
    Setup(String),
    /// A file of the engine's own (resume data) could not be written.
    #[error("{0}")]
    Storage(String),
    /// The answer did not come in time; the command may still take effect.
    #[error("the engine did not answer within {seconds} s")]
    TimedOut {
        /// How long it was given.
        seconds: u64,
    },
}

/// Why bytes are not a .torrent that Revaer takes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InspectError {
    /// The bytes are wrong.
    #[error("{0}")]
    Invalid(String),
    /// They could not be looked at now.
    #[error("the engine cannot look at .torrent files now: {0}")]
    Unavailable(String),
}

/// What the engine sees of one torrent.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// Which torrent.
    pub id: TorrentId,
    /// Whether it is a member of the session. The rest is the last known while it is not.
    pub loaded: bool,
    /// libtorrent's state.
    pub state: EngineState,
    /// Both hashes, once metadata has told them.
    pub info_hashes: InfoHashes,
    /// The .torrent that was made from a magnet's info dictionary; stays until the torrent leaves the session.
    pub metainfo: Option<Arc<[u8]>>,
    /// The version of the selection whose priorities libtorrent has confirmed.
    pub selection_version: Option<u64>,
    /// The caps in force.
    pub limits: RateLimits,
    /// Pieces that are there and verified.
    pub pieces: PieceSet,
    /// Bytes of wanted content received, unverified blocks included.
    pub wanted_done: Bytes,
    /// Payload received over the torrent's whole life.
    pub downloaded: Bytes,
    /// Payload sent over the torrent's whole life.
    pub uploaded: Bytes,
    /// Payload received per second, measured by Revaer.
    pub download_rate: BytesPerSecond,
    /// Payload sent per second, measured by Revaer.
    pub upload_rate: BytesPerSecond,
    /// Connected peers.
    pub peers: u32,
    /// Why it cannot go on.
    pub error: Option<String>,
    /// Another torrent's hashes turned out to be the same content (libtorrent's `torrent_conflict_alert`).
    pub conflict: bool,
}

/// What the engine sees of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EngineStatus {
    /// Whether a session runs.
    pub running: bool,
    /// The library's version.
    pub library_version: String,
    /// The port peers can reach, once it is bound.
    pub listen_port: Option<u16>,
    /// The cap on downloads that libtorrent has in force, as read back from it; `None`: none, or held back altogether.
    pub download_limit: Option<BytesPerSecond>,
    /// The same for uploads.
    pub upload_limit: Option<BytesPerSecond>,
    /// Payload is held back altogether, as a cap of 0 has it: downloads.
    pub download_held: bool,
    /// The same for uploads.
    pub upload_held: bool,
    /// Commands that wait for the session's owner.
    pub commands_waiting: usize,
    /// How many may wait before their senders do.
    pub most_commands_waiting: usize,
    /// Payload received since the session started.
    pub payload_received: Bytes,
    /// Payload sent since the session started.
    pub payload_sent: Bytes,
}

impl EngineStatus {
    /// The caps in force on the whole session.
    pub fn caps(&self) -> RateLimits {
        let cap = |held: bool, limit| if held { Some(BytesPerSecond(0)) } else { limit };
        RateLimits {
            download: cap(self.download_held, self.download_limit),
            upload: cap(self.upload_held, self.upload_limit),
        }
    }
}

/// The engine, as the rest of the server sees it.
pub trait TorrentEngine: Send + Sync {
    /// Judges the bytes of a .torrent. Needs no session; the answer does not depend on libtorrent's version.
    fn inspect(&self, metainfo: Arc<[u8]>) -> BoxFuture<'_, Result<Metainfo, InspectError>>;

    /// Hands over a command and waits until it has taken effect.
    fn execute(&self, command: EngineCommand) -> BoxFuture<'_, Result<(), EngineError>>;

    /// Waits until some observation has changed since the last [`Self::take_changed`].
    fn changed(&self) -> BoxFuture<'_, ()>;

    /// Takes the observations that changed, each as it is now, and clears the set.
    fn take_changed(&self) -> Vec<Arc<Observation>>;

    /// The latest observation of one torrent.
    fn observe(&self, id: TorrentId) -> Option<Arc<Observation>>;

    /// The session as a whole.
    fn status(&self) -> EngineStatus;
}
