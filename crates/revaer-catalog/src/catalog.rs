//! The read model: every torrent in memory, ordered as lists show them.
//!
//! One writer (the ledger) changes it after its commits; readers take a short lock and clone what they need.
//! Nothing waits while the lock is held.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::Hash,
    ops::Bound,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use revaer_torrent_core::{InfoHashV1, InfoHashV2, InfoHashes, StateKind, TorrentId};
use time::OffsetDateTime;

use crate::{Filter, FsopsStatus, Live, TorrentRecord, TorrentView, filter::folded};

type ListKey = Reverse<(OffsetDateTime, TorrentId)>;

#[derive(Debug, Default)]
struct Model {
    entries: HashMap<TorrentId, TorrentView>,
    /// Newest first, with the names in lower case, so that a search reads nothing else; tombstones are not in it.
    order: BTreeMap<ListKey, Box<str>>,
    v1: HashMap<InfoHashV1, TorrentId>,
    v2: HashMap<InfoHashV2, TorrentId>,
    /// Content roots and library entries, tombstones included.
    roots: BTreeMap<PathBuf, TorrentId>,
    states: HashMap<StateKind, u64>,
    loaded: u64,
    jobs: HashMap<FsopsStatus, u64>,
    /// Jobs that are not over, by when their content came complete, which is when they were made.
    open_jobs: BTreeSet<(OffsetDateTime, TorrentId)>,
}

/// A change of the model, made after the database has it.
#[derive(Debug, Clone)]
pub enum Change {
    /// The record is new or different.
    Put(Arc<TorrentRecord>),
    /// What is not stored has changed.
    Live(TorrentId, Live),
    /// The record is gone.
    Gone(TorrentId),
}

/// The place in a list after which the next page begins: immutable, so that no row is repeated or missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// When the last torrent of the page was added.
    pub added_at: OffsetDateTime,
    /// Its id.
    pub id: TorrentId,
}

/// The order of a list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// By when they were added, and then by id, downwards.
    #[default]
    Newest,
    /// The same upwards.
    Oldest,
}

/// One page of a list.
#[derive(Debug, Clone)]
pub struct Page {
    /// In the order that was asked for.
    pub torrents: Vec<TorrentView>,
    /// Where the next page begins, if there may be one.
    pub next: Option<Cursor>,
}

/// How many torrents are in which state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Per state, in the contract's order; all states are listed.
    pub by_state: Vec<(StateKind, u64)>,
    /// Members of the engine's session.
    pub loaded: u64,
}

/// How the pipeline's jobs stand: the latest of each torrent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobCounts {
    /// Per status.
    pub by_status: HashMap<FsopsStatus, u64>,
    /// When the oldest that is not over was made.
    pub oldest_open: Option<OffsetDateTime>,
}

/// The read model. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    model: Arc<RwLock<Model>>,
}

impl Catalog {
    /// A model of `records`, as they come from the database at start.
    pub fn new(records: Vec<TorrentRecord>) -> Self {
        let catalog = Self::default();
        catalog.commit(records.into_iter().map(|record| Change::Put(Arc::new(record))));
        catalog
    }

    /// A torrent that is not a tombstone.
    pub fn get(&self, id: TorrentId) -> Option<TorrentView> {
        self.get_any(id).filter(|view| !view.record.is_tombstone())
    }

    /// A torrent, also when it is being removed.
    pub fn get_any(&self, id: TorrentId) -> Option<TorrentView> {
        self.read(|model| model.entries.get(&id).cloned())
    }

    /// The torrent whose identity one of the hashes is.
    pub fn by_info_hash(&self, hashes: &InfoHashes) -> Option<TorrentId> {
        self.read(|model| {
            let v1 = hashes.v1.and_then(|hash| model.v1.get(&hash));
            v1.or_else(|| hashes.v2.and_then(|hash| model.v2.get(&hash))).copied()
        })
    }

    /// The torrent whose content root or library entry is `root`, lies beneath it, or holds it. Tombstones count.
    pub fn path_owner(&self, root: &Path) -> Option<TorrentId> {
        self.read(|model| {
            let above = root.ancestors().find_map(|ancestor| model.roots.get(ancestor));
            let beneath = || {
                model
                    .roots
                    .range::<Path, _>((Bound::Excluded(root), Bound::Unbounded))
                    .next()
                    .filter(|(path, _)| path.starts_with(root))
                    .map(|(_, id)| id)
            };
            above.or_else(beneath).copied()
        })
    }

    /// At most `limit` torrents that come after `after` and match. Costs the page, plus what the filter passes over,
    /// in either order.
    pub fn page(&self, filter: &Filter, order: Order, after: Option<Cursor>, limit: usize) -> Page {
        let from =
            after.map_or(Bound::Unbounded, |cursor| Bound::Excluded(Reverse((cursor.added_at, cursor.id))));
        self.read(|model| match order {
            Order::Newest => model.take_page(filter, model.order.range((from, Bound::Unbounded)), limit),
            Order::Oldest => {
                model.take_page(filter, model.order.range((Bound::Unbounded, from)).rev(), limit)
            }
        })
    }

    /// Every id, tombstones included.
    pub fn ids(&self) -> Vec<TorrentId> {
        self.read(|model| model.entries.keys().copied().collect())
    }

    /// How many torrents are in which state; kept as they change, so it costs nothing.
    pub fn counts(&self) -> Counts {
        self.read(|model| Counts {
            by_state: StateKind::ALL
                .into_iter()
                .map(|kind| (kind, model.states.get(&kind).copied().unwrap_or(0)))
                .collect(),
            loaded: model.loaded,
        })
    }

    /// How the pipeline's jobs stand; kept as they change, so it costs nothing.
    pub fn jobs(&self) -> JobCounts {
        self.read(|model| JobCounts {
            by_status: model.jobs.clone(),
            oldest_open: model.open_jobs.first().map(|(made_at, _)| *made_at),
        })
    }

    /// Makes changes visible, all at once. Only the ledger calls this, after its commit.
    pub fn commit(&self, changes: impl IntoIterator<Item = Change>) {
        let mut model = self.model.write().unwrap_or_else(PoisonError::into_inner);
        for change in changes {
            match change {
                Change::Put(record) => model.put(record),
                Change::Live(id, live) => model.set_live(id, live),
                Change::Gone(id) => {
                    model.take(id);
                }
            }
        }
    }

    fn read<T>(&self, look: impl FnOnce(&Model) -> T) -> T {
        look(&self.model.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Model {
    fn take_page<'m>(
        &'m self,
        filter: &Filter,
        places: impl Iterator<Item = (&'m ListKey, &'m Box<str>)>,
        limit: usize,
    ) -> Page {
        let names = filter.name_search();
        let mut matching = places
            .filter(|(_, name)| names.finds(name))
            .filter_map(|(Reverse((_, id)), _)| self.entries.get(id))
            .filter(|view| filter.matches_but_name(view));
        let torrents: Vec<_> = matching.by_ref().take(limit).cloned().collect();
        let next = matching
            .next()
            .and(torrents.last())
            .map(|view| Cursor { added_at: view.record.added_at, id: view.record.id });
        Page { torrents, next }
    }

    fn put(&mut self, record: Arc<TorrentRecord>) {
        let live = match self.take(record.id) {
            Some(before) => Live { kind: record.last.kind, ..before.live },
            None => Live::from_record(&record),
        };
        for path in record.placement.paths() {
            self.roots.insert(path, record.id);
        }
        if !record.is_tombstone() {
            let name = folded(&record.name).into_owned().into_boxed_str();
            self.order.insert(Reverse((record.added_at, record.id)), name);
            self.count(&live, true);
            self.count_job(&record, true);
        }
        if record.owns_hashes() {
            if let Some(hash) = record.info_hashes.v1 {
                self.v1.insert(hash, record.id);
            }
            if let Some(hash) = record.info_hashes.v2 {
                self.v2.insert(hash, record.id);
            }
        }
        self.entries.insert(record.id, TorrentView { record, live });
    }

    fn set_live(&mut self, id: TorrentId, live: Live) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let before = std::mem::replace(&mut entry.live, live);
        if !entry.record.is_tombstone() {
            self.count(&before, false);
            self.count(&live, true);
        }
    }

    fn take(&mut self, id: TorrentId) -> Option<TorrentView> {
        let view = self.entries.remove(&id)?;
        for path in view.record.placement.paths() {
            if self.roots.get(&path) == Some(&id) {
                self.roots.remove(&path);
            }
        }
        if !view.record.is_tombstone() {
            self.order.remove(&Reverse((view.record.added_at, id)));
            self.count(&view.live, false);
            self.count_job(&view.record, false);
        }
        if let Some(hash) = view.record.info_hashes.v1 {
            remove_own(&mut self.v1, &hash, id);
        }
        if let Some(hash) = view.record.info_hashes.v2 {
            remove_own(&mut self.v2, &hash, id);
        }
        Some(view)
    }

    fn count(&mut self, live: &Live, more: bool) {
        step(self.states.entry(live.kind).or_default(), more);
        if live.loaded {
            step(&mut self.loaded, more);
        }
    }

    fn count_job(&mut self, record: &TorrentRecord, more: bool) {
        let Some(job) = &record.fsops else { return };
        step(self.jobs.entry(job.status).or_default(), more);
        if let (false, Some(made_at)) = (job.status.is_over(), record.completed_at) {
            let key = (made_at, record.id);
            if more {
                self.open_jobs.insert(key);
            } else {
                self.open_jobs.remove(&key);
            }
        }
    }
}

/// Counts one up or down.
const fn step(count: &mut u64, more: bool) {
    *count = if more { *count + 1 } else { count.saturating_sub(1) };
}

/// Within one commit a hash may have gone to another torrent before its old one is taken out.
fn remove_own<K: Eq + Hash>(index: &mut HashMap<K, TorrentId>, key: &K, id: TorrentId) {
    if index.get(key) == Some(&id) {
        index.remove(key);
    }
}
