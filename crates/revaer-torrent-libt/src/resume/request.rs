//! What the store is asked, and what it answers.

use std::{collections::HashSet, path::PathBuf};

use revaer_torrent_core::{InfoHashes, TorrentId};

use super::{
    MetaRecord,
    round::{RoundOutcome, SaveItem},
};

/// Something for the store to do.
#[derive(Debug)]
pub(crate) enum Request {
    /// Use this directory from now on, with what the one before holds.
    Open(PathBuf),
    /// Read what is stored of a torrent.
    Load(TorrentId),
    /// Store a round.
    Save(Vec<SaveItem>),
    /// Delete what is stored of a torrent, and the part file that it may have left in `save_dir`.
    Delete { id: TorrentId, save_dir: PathBuf, hashes: InfoHashes },
    /// Set aside what belongs to none of these.
    SetAsideOrphans(HashSet<TorrentId>),
    /// Leave the mark of a clean stop.
    MarkCleanStop,
}

/// What became of a request. Each has one; those about one torrent come in the order of its requests.
#[derive(Debug)]
pub(crate) enum Response {
    /// With the number of files that stayed in the directory before.
    Opened(Result<usize, String>),
    Loaded(Loaded),
    Saved(RoundOutcome),
    Deleted(TorrentId, Result<(), String>),
    OrphansSetAside(Result<usize, String>),
    CleanStopMarked(Result<(), String>),
}

/// What is stored of a torrent.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) id: TorrentId,
    pub(crate) blob: Option<Vec<u8>>,
    pub(crate) record: Option<MetaRecord>,
    /// What was wrong with it.
    pub(crate) trouble: Option<String>,
}

impl Loaded {
    /// Nothing is stored, or nothing can be read: the torrent is checked, which costs time and loses nothing.
    pub(crate) fn nothing(id: TorrentId) -> Self {
        Self { id, blob: None, record: None, trouble: None }
    }
}

impl Request {
    /// The response to a request that nobody can work on any more.
    pub(super) fn refused(self, reason: &str) -> Response {
        let refused = || reason.to_owned();
        match self {
            Self::Open(_) => Response::Opened(Err(refused())),
            Self::Load(id) => Response::Loaded(Loaded::nothing(id)),
            Self::Save(items) => {
                Response::Saved(items.into_iter().map(|item| (item.id, Err(refused()))).collect())
            }
            Self::Delete { id, .. } => Response::Deleted(id, Err(refused())),
            Self::SetAsideOrphans(_) => Response::OrphansSetAside(Err(refused())),
            Self::MarkCleanStop => Response::CleanStopMarked(Err(refused())),
        }
    }
}
