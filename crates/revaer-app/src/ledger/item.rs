//! What the ledger is told: facts (answered), levels (the latest wins), and the handles that carry them.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use revaer_torrent_core::{
    Bytes, BytesPerSecond, EngineState, Metainfo, TorrentId,
    fsops::{JobOutcome, MoveMode, Step},
};
use tokio::sync::{Notify, mpsc, oneshot};

/// How many facts may wait; their senders wait beyond that.
const MAILBOX: usize = 1024;

/// Something that has been found out, or done, about a torrent.
#[derive(Debug)]
pub enum Fact {
    /// A magnet's info dictionary has arrived.
    MetadataKnown {
        /// Whose.
        id: TorrentId,
        /// The .torrent made of it.
        bytes: Arc<[u8]>,
        /// What it says.
        metainfo: Metainfo,
    },
    /// The content needs a place beneath `save_dir`.
    AssignPath {
        /// Whose.
        id: TorrentId,
        /// The download directory, with symbolic links resolved.
        save_dir: PathBuf,
        /// The first component of its files' paths.
        root_name: String,
        /// Something that is not this torrent's lies there already.
        is_taken: bool,
    },
    /// It cannot go on.
    Failed {
        /// Which.
        id: TorrentId,
        /// Why, and what to do.
        message: String,
    },
    /// Its verified pieces as it left the engine.
    Left {
        /// Which.
        id: TorrentId,
        /// A bit per piece; `None` where all or none are there.
        pieces: Option<Arc<[u8]>>,
    },
    /// Everything that had to go is gone: the tombstone ends.
    Removed {
        /// Which.
        id: TorrentId,
    },
    /// A pipeline job is being worked on.
    JobStarted {
        /// Whose.
        id: TorrentId,
        /// How it takes the content.
        mode: MoveMode,
        /// The policy that it was claimed with.
        policy: serde_json::Value,
    },
    /// A pipeline job ended.
    JobFinished {
        /// Whose.
        id: TorrentId,
        /// Its content generation.
        generation: u32,
        /// How.
        outcome: JobOutcome,
    },
    /// The settings have a new revision.
    SettingsChanged {
        /// The revision.
        revision: i64,
        /// Which sections changed.
        sections: Vec<String>,
        /// The request that changed them; none where it was SQL.
        request_id: Option<String>,
    },
    /// The set of degraded components changed.
    HealthChanged {
        /// The whole set.
        degraded: Vec<&'static str>,
    },
}

impl Fact {
    /// The request that it comes from, where one does.
    pub(crate) fn request_id(&self) -> Option<String> {
        match self {
            Self::SettingsChanged { request_id, .. } => request_id.clone(),
            _ => None,
        }
    }
}

/// What a fact came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FactReply {
    /// It is durable, or needed nothing.
    Noted,
    /// The path still belongs to a torrent that is being removed: ask again when it is gone.
    PathBusy,
    /// The torrent is gone, or being removed: nothing is to be begun.
    Gone,
}

/// A fact could not be stored; tell it again later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the database cannot be reached")]
pub struct NotStored;

#[derive(Debug)]
pub(crate) struct FactRequest {
    pub(crate) fact: Fact,
    pub(crate) reply: oneshot::Sender<Result<FactReply, NotStored>>,
}

/// The door for facts. Clones share the mailbox.
#[derive(Debug, Clone)]
pub struct Facts {
    mailbox: mpsc::Sender<FactRequest>,
}

impl Facts {
    pub(crate) fn new() -> (Self, mpsc::Receiver<FactRequest>) {
        let (mailbox, requests) = mpsc::channel(MAILBOX);
        (Self { mailbox }, requests)
    }

    /// How many facts wait, and how many may.
    pub fn depth(&self) -> (usize, usize) {
        let most = self.mailbox.max_capacity();
        (most - self.mailbox.capacity(), most)
    }

    /// Tells a fact and waits until it is durable.
    pub async fn tell(&self, fact: Fact) -> Result<FactReply, NotStored> {
        let (reply, answer) = oneshot::channel();
        self.mailbox.send(FactRequest { fact, reply }).await.map_err(|_closed| NotStored)?;
        answer.await.map_err(|_closed| NotStored)?
    }
}

/// What is true of a torrent in the engine right now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Level {
    /// Whether it is a member of the session.
    pub loaded: bool,
    /// libtorrent's state, while it is a member.
    pub state: Option<EngineState>,
    /// Whether all wanted content is there, verified, on the volume it should be on; `None`: not known.
    pub complete: Option<bool>,
    /// Bytes of wanted content that are there; `None`: not known, the last value stands.
    pub done: Option<Bytes>,
    /// Payload received over its life.
    pub downloaded: Bytes,
    /// Payload sent over its life.
    pub uploaded: Bytes,
    /// Payload received per second.
    pub download_rate: BytesPerSecond,
    /// Payload sent per second.
    pub upload_rate: BytesPerSecond,
    /// Why the engine cannot go on with it.
    pub error: Option<String>,
}

/// How far a pipeline job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobProgress {
    /// The step.
    pub step: Step,
    /// Bytes handled.
    pub done: Bytes,
    /// Bytes to handle.
    pub total: Bytes,
}

#[derive(Debug, Default)]
pub(crate) struct Levels {
    pub(crate) torrents: HashMap<TorrentId, Level>,
    pub(crate) jobs: HashMap<TorrentId, JobProgress>,
}

/// Levels on their way to the ledger: at most one per torrent, so nothing queues while the database is away.
#[derive(Debug, Clone, Default)]
pub struct Board {
    shared: Arc<(Mutex<Levels>, Notify)>,
}

impl Board {
    /// Says what is true of a torrent; what was said before and not yet seen is superseded.
    pub fn post(&self, id: TorrentId, level: Level) {
        self.with(|levels| levels.torrents.insert(id, level));
        self.shared.1.notify_one();
    }

    /// Says how far a job is.
    pub fn post_job(&self, id: TorrentId, progress: JobProgress) {
        self.with(|levels| levels.jobs.insert(id, progress));
        self.shared.1.notify_one();
    }

    /// Puts back what could not be stored, unless something newer has been said.
    pub(crate) fn put_back(&self, id: TorrentId, level: Level) {
        self.with(|levels| {
            levels.torrents.entry(id).or_insert(level);
        });
        self.shared.1.notify_one();
    }

    /// Takes what was said of jobs and of `most` torrents; whoever waits is woken again where more is left.
    pub(crate) fn take(&self, most: usize) -> Levels {
        self.with(|levels| {
            if levels.torrents.len() <= most {
                return std::mem::take(levels);
            }
            self.shared.1.notify_one();
            let ids: Vec<TorrentId> = levels.torrents.keys().copied().take(most).collect();
            let torrents = ids.into_iter().filter_map(|id| levels.torrents.remove_entry(&id)).collect();
            Levels { torrents, jobs: std::mem::take(&mut levels.jobs) }
        })
    }

    pub(crate) async fn posted(&self) {
        self.shared.1.notified().await;
    }

    fn with<T>(&self, change: impl FnOnce(&mut Levels) -> T) -> T {
        change(&mut self.shared.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Torrents that somebody should look at: a set, so it is bounded by the number of torrents.
#[derive(Debug, Clone, Default)]
pub struct Pokes {
    shared: Arc<(Mutex<std::collections::HashSet<TorrentId>>, Notify)>,
}

impl Pokes {
    /// Adds torrents to the set and wakes its reader.
    pub fn add(&self, ids: impl IntoIterator<Item = TorrentId>) {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner).extend(ids);
        self.shared.1.notify_one();
    }

    /// Takes the set.
    pub fn take(&self) -> Vec<TorrentId> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner).drain().collect()
    }

    /// Waits until something has been added since the last wait.
    pub async fn added(&self) {
        self.shared.1.notified().await;
    }
}
