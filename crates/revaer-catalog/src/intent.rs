//! What clients ask for: intents, handed to the ledger through a bounded mailbox and answered when they are durable.

use std::sync::Arc;

use revaer_torrent_core::{BytesPerSecond, Metainfo, TorrentId};
use tokio::sync::{mpsc, oneshot};

use crate::{TorrentRecord, TorrentView};

/// How many intents may wait. Beyond that the sender waits, and with it its client.
const MAILBOX: usize = 1024;

/// Something that is wanted.
#[derive(Debug)]
pub enum Intent {
    /// A new torrent.
    Add(Box<NewTorrent>),
    /// Let it run; clears a failure.
    Resume(TorrentId),
    /// Stop it.
    Pause(TorrentId),
    /// Change its own caps.
    SetRates(TorrentId, RateChange),
    /// Remove it.
    Remove {
        /// Which.
        id: TorrentId,
        /// With its downloaded content.
        delete_data: bool,
        /// Also where that content is the library entry itself.
        delete_library: bool,
    },
}

/// A torrent to be added: the record as its client wants it, and the .torrent where it came as one.
#[derive(Debug)]
pub struct NewTorrent {
    /// The record. `added_at`, `last` and `content` are set by the ledger.
    pub record: TorrentRecord,
    /// The .torrent's bytes with what they say.
    pub metainfo: Option<(Arc<[u8]>, Metainfo)>,
}

/// A change of caps: the outer `None` keeps the value, the inner one lifts the cap.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RateChange {
    /// Cap on what is received.
    pub download: Option<Option<BytesPerSecond>>,
    /// Cap on what is sent.
    pub upload: Option<Option<BytesPerSecond>>,
}

/// What an intent came to.
#[derive(Debug, Clone)]
pub enum IntentReply {
    /// It is durable; this is what the next GET shows.
    Accepted(Box<TorrentView>),
    /// The torrent is a tombstone now.
    Removed,
}

/// Why an intent was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IntentError {
    /// No torrent of that id.
    #[error("there is no torrent {0}")]
    NotFound(TorrentId),
    /// The same content is there under another id.
    #[error("the same content is already present as torrent {existing}")]
    Duplicate {
        /// Whose it is.
        existing: TorrentId,
    },
    /// The id is taken by other content.
    #[error("the id {0} belongs to a torrent with other content; leave it out to have one made")]
    IdTaken(TorrentId),
    /// The rule that stands against it.
    #[error("{0}")]
    Refused(String),
    /// It cannot be stored now; nothing has changed.
    #[error("the database cannot be reached, so nothing can be promised; try again when /health says ok")]
    Unavailable,
}

/// An intent on its way, with who wants to know.
#[derive(Debug)]
pub struct IntentRequest {
    /// What is wanted.
    pub intent: Intent,
    /// The request that wants it; goes into the events it causes.
    pub request_id: Option<String>,
    /// Answered once it is durable or refused.
    pub reply: oneshot::Sender<Result<IntentReply, IntentError>>,
}

/// The door for intents. Clones share the mailbox.
#[derive(Debug, Clone)]
pub struct Intents {
    mailbox: mpsc::Sender<IntentRequest>,
}

impl Intents {
    /// A door, and the end that the ledger reads.
    pub fn new() -> (Self, mpsc::Receiver<IntentRequest>) {
        let (mailbox, requests) = mpsc::channel(MAILBOX);
        (Self { mailbox }, requests)
    }

    /// How many intents wait, and how many may.
    pub fn depth(&self) -> (usize, usize) {
        let most = self.mailbox.max_capacity();
        (most - self.mailbox.capacity(), most)
    }

    /// Hands over an intent and waits until it is durable. If the caller goes away, the intent still counts.
    pub async fn submit(
        &self,
        intent: Intent,
        request_id: Option<String>,
    ) -> Result<IntentReply, IntentError> {
        let (reply, answer) = oneshot::channel();
        let request = IntentRequest { intent, request_id, reply };
        self.mailbox.send(request).await.map_err(|_closed| IntentError::Unavailable)?;
        answer.await.map_err(|_closed| IntentError::Unavailable)?
    }
}
