//! The state of a batch while it is being decided: the read model with what the batch has already changed laid over.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use revaer_catalog::{Catalog, Live, TorrentRecord, TorrentView};
use revaer_events::Event;
use revaer_torrent_core::{InfoHashes, TorrentId};

/// One row to write.
#[derive(Debug, Clone)]
pub(crate) enum Write {
    Put(Arc<TorrentRecord>),
    Metainfo(TorrentId, Arc<[u8]>),
    Pieces(TorrentId, Option<Arc<[u8]>>),
    Delete(TorrentId),
    JobInsert { torrent: TorrentId, generation: u32 },
    JobClaim { torrent: TorrentId, generation: u32, policy: serde_json::Value },
    JobFinish { torrent: TorrentId, generation: u32, end: JobEnd },
    SettingsRevision(i64),
}

/// How a job's row ends up.
#[derive(Debug, Clone)]
pub(crate) enum JobEnd {
    Completed {
        library_path: PathBuf,
    },
    Failed {
        step: &'static str,
        message: String,
    },
    /// To be tried again.
    Waiting {
        step: &'static str,
        message: String,
    },
}

/// What deciding one item came to.
#[derive(Debug, Default)]
pub(crate) struct Decision {
    pub(crate) writes: Vec<Write>,
    pub(crate) events: Vec<Event>,
    pub(crate) live: Vec<(TorrentId, Live)>,
}

impl Decision {
    /// Whether anything has to be durable.
    pub(crate) fn is_durable(&self) -> bool {
        !self.writes.is_empty() || self.events.iter().any(Event::is_durable)
    }
}

/// The model as the next item of the batch sees it.
#[derive(Debug)]
pub(crate) struct Stage<'a> {
    catalog: &'a Catalog,
    changed: HashMap<TorrentId, Option<Arc<TorrentRecord>>>,
}

impl<'a> Stage<'a> {
    pub(crate) fn new(catalog: &'a Catalog) -> Self {
        Self { catalog, changed: HashMap::new() }
    }

    /// The torrent, tombstone or not.
    pub(crate) fn any(&self, id: TorrentId) -> Option<TorrentView> {
        let stored = self.catalog.get_any(id);
        match self.changed.get(&id) {
            None => stored,
            Some(None) => None,
            Some(Some(record)) => {
                let live = stored.map_or_else(|| Live::from_record(record), |view| view.live);
                Some(TorrentView {
                    record: Arc::clone(record),
                    live: Live { kind: record.last.kind, ..live },
                })
            }
        }
    }

    /// The torrent, unless it is being removed.
    pub(crate) fn get(&self, id: TorrentId) -> Option<TorrentView> {
        self.any(id).filter(|view| !view.record.is_tombstone())
    }

    /// The torrent whose identity one of the hashes is, leaving `but` out.
    pub(crate) fn by_info_hash(&self, hashes: &InfoHashes, but: TorrentId) -> Option<TorrentView> {
        let staged =
            self.changed.values().flatten().find(|record| {
                record.id != but && record.owns_hashes() && record.info_hashes.overlaps(hashes)
            });
        if let Some(record) = staged {
            return self.get(record.id);
        }
        // Each hash is asked for alone: a hybrid may meet two torrents.
        [InfoHashes { v1: hashes.v1, v2: None }, InfoHashes { v1: None, v2: hashes.v2 }]
            .iter()
            .filter_map(|one| self.catalog.by_info_hash(one))
            .filter(|id| *id != but)
            .filter_map(|id| self.any(id))
            .find(|view| view.record.owns_hashes() && view.record.info_hashes.overlaps(hashes))
    }

    /// Whose content or library entry lies at, above or beneath `root`.
    pub(crate) fn path_owner(&self, root: &Path, but: TorrentId) -> Option<TorrentView> {
        let clashes = |record: &TorrentRecord| {
            record.placement.paths().any(|other| other.starts_with(root) || root.starts_with(&other))
        };
        let staged = self.changed.values().flatten().find(|one| one.id != but && clashes(one));
        if let Some(record) = staged {
            return self.any(record.id);
        }
        self.catalog
            .path_owner(root)
            .filter(|id| *id != but)
            .and_then(|id| self.any(id))
            .filter(|view| clashes(&view.record))
    }

    /// Lays a decision over the model.
    pub(crate) fn apply(&mut self, decision: &Decision) {
        for write in &decision.writes {
            match write {
                Write::Put(record) => {
                    self.changed.insert(record.id, Some(Arc::clone(record)));
                }
                Write::Delete(id) => {
                    self.changed.insert(*id, None);
                }
                Write::Metainfo(..)
                | Write::Pieces(..)
                | Write::JobInsert { .. }
                | Write::JobClaim { .. }
                | Write::JobFinish { .. }
                | Write::SettingsRevision(_) => {}
            }
        }
    }
}
