//! The thread that owns the resume directory. Requests are worked on in order; each has one response, which wakes
//! the session's owner. Both queues are bounded, and the owner never has more in flight than they hold.

use std::{
    collections::{BTreeMap, HashSet},
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
};

use revaer_telemetry::{Component, Health};
use revaer_torrent_core::{InfoHashes, TorrentId};

use super::{
    MetaRecord, files,
    round::{self, RoundOutcome, SaveItem},
};
use crate::wake::Wake;

/// More than the owner ever has in flight: 512 loads, one round, and what commands ask for, one by one.
const QUEUE: usize = 4096;

/// Something for the store to do.
#[derive(Debug)]
pub(crate) enum Request {
    /// Use this directory from now on.
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

/// What became of a request, in the order of the requests.
#[derive(Debug)]
pub(crate) enum Response {
    Opened(Result<(), String>),
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

/// The owner's end of the store. Dropping it ends the thread after the requests it has.
#[derive(Debug)]
pub(crate) struct Store {
    requests: Option<SyncSender<Request>>,
    responses: Receiver<Response>,
    thread: Option<JoinHandle<()>>,
}

impl Store {
    pub(crate) fn start(wake: Arc<Wake>, health: Health) -> io::Result<Self> {
        let (requests, inbox) = sync_channel(QUEUE);
        let (outbox, responses) = sync_channel(QUEUE);
        let worker = StoreThread {
            dir: None,
            troubles: Troubles { health, open: None, save: None, files: BTreeMap::new() },
        };
        let thread = std::thread::Builder::new()
            .name("fast-resume".to_owned())
            .spawn(move || worker.run(&inbox, &outbox, &wake))?;
        Ok(Self { requests: Some(requests), responses, thread: Some(thread) })
    }

    /// Hands over a request. Refused only if the thread has died or the queue is full, which is a defect.
    pub(crate) fn request(&self, request: Request) -> Result<(), String> {
        let sent =
            self.requests.as_ref().map_or(Err("it has ended"), |requests| match requests.try_send(request) {
                Ok(()) => Ok(()),
                Err(TrySendError::Full(_)) => Err("its queue is full"),
                Err(TrySendError::Disconnected(_)) => Err("its thread has died"),
            });
        sent.map_err(|reason| format!("the resume store takes no requests: {reason}"))
    }

    /// The next response, if there is one.
    pub(crate) fn response(&self) -> Option<Response> {
        self.responses.try_recv().ok()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        drop(self.requests.take());
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread of the resume store panicked");
        }
    }
}

struct StoreThread {
    dir: Option<PathBuf>,
    troubles: Troubles,
}

impl StoreThread {
    fn run(mut self, inbox: &Receiver<Request>, outbox: &SyncSender<Response>, wake: &Wake) {
        while let Ok(request) = inbox.recv() {
            let response = self.answer(request);
            if outbox.send(response).is_err() {
                return;
            }
            wake.signal();
        }
    }

    fn answer(&mut self, request: Request) -> Response {
        match request {
            Request::Open(dir) => Response::Opened(self.open(dir)),
            Request::Load(id) => Response::Loaded(self.load(id)),
            Request::Save(items) => Response::Saved(self.save(&items)),
            Request::Delete { id, save_dir, hashes } => {
                Response::Deleted(id, self.delete(id, &save_dir, &hashes))
            }
            Request::SetAsideOrphans(known) => Response::OrphansSetAside(
                self.in_dir("set aside orphans", |dir| files::set_aside_orphans(dir, &known)),
            ),
            Request::MarkCleanStop => {
                Response::CleanStopMarked(self.in_dir("mark the clean stop", files::mark_clean_stop))
            }
        }
    }

    fn open(&mut self, dir: PathBuf) -> Result<(), String> {
        self.dir = Some(dir);
        let prepared = self.in_dir("open", |dir| {
            files::prepare(dir)?;
            files::take_clean_stop(dir)
        });
        match prepared {
            Ok(mark) => {
                let boot = files::boot_id();
                let stop = match mark {
                    Some(_) => "clean",
                    None => "unclean, or none before",
                };
                let same_boot = mark.as_deref() == Some(boot.as_str());
                tracing::info!(last_stop = stop, same_boot, "resume directory opened");
                self.troubles.set_open(None);
                Ok(())
            }
            Err(reason) => {
                self.troubles.set_open(Some(reason.clone()));
                Err(reason)
            }
        }
    }

    fn load(&mut self, id: TorrentId) -> Loaded {
        let Some(dir) = &self.dir else {
            return Loaded { id, blob: None, record: None, trouble: None };
        };
        let loaded = files::load(dir, id);
        if let Some(trouble) = &loaded.trouble {
            tracing::warn!(torrent.id = %id, trouble, "resume data was not usable; the content is checked");
            self.troubles.set_file(id, Some(trouble.clone()));
        }
        loaded
    }

    fn save(&mut self, items: &[SaveItem]) -> RoundOutcome {
        let Some(dir) = &self.dir else {
            return items
                .iter()
                .map(|item| (item.id, Err("there is no resume directory".to_owned())))
                .collect();
        };
        // It may have been unmounted or removed since; a missing one is made again.
        let outcome = match std::fs::create_dir_all(dir) {
            Ok(()) => round::save(dir, items),
            Err(error) => {
                let reason = format!("{} could not be made: {error}", dir.display());
                items.iter().map(|item| (item.id, Err(reason.clone()))).collect()
            }
        };
        let failure = outcome.iter().find_map(|(_, result)| result.as_ref().err().cloned());
        if failure.is_none() {
            self.troubles.set_open(None);
        }
        self.troubles.set_save(failure);
        for (id, result) in &outcome {
            if result.is_ok() {
                self.troubles.set_file(*id, None);
            }
        }
        outcome
    }

    fn delete(&mut self, id: TorrentId, save_dir: &Path, hashes: &InfoHashes) -> Result<(), String> {
        self.troubles.set_file(id, None);
        self.in_dir("delete resume data in", |dir| {
            // One that was never loaded here is known by its record only.
            if let Some(record) = files::load(dir, id).record {
                files::delete_part_file(save_dir, &record.info_hashes())?;
            }
            files::delete_part_file(save_dir, hashes)?;
            files::delete(dir, id)
        })
    }

    fn in_dir<T>(&self, what: &str, work: impl FnOnce(&Path) -> io::Result<T>) -> Result<T, String> {
        let dir = self.dir.as_deref().ok_or_else(|| "there is no resume directory".to_owned())?;
        work(dir).map_err(|error| format!("can not {what} {}: {error}", dir.display()))
    }
}

/// Why the store is degraded; it is ok again when nothing is left.
struct Troubles {
    health: Health,
    open: Option<String>,
    save: Option<String>,
    files: BTreeMap<TorrentId, String>,
}

impl Troubles {
    fn set_open(&mut self, reason: Option<String>) {
        self.open = reason;
        self.report();
    }

    fn set_save(&mut self, reason: Option<String>) {
        self.save = reason;
        self.report();
    }

    fn set_file(&mut self, id: TorrentId, reason: Option<String>) {
        match reason {
            Some(reason) => drop(self.files.insert(id, reason)),
            None => drop(self.files.remove(&id)),
        }
        self.report();
    }

    fn report(&self) {
        match self.open.as_ref().or(self.save.as_ref()).or_else(|| self.files.values().next()) {
            Some(reason) => self.health.degrade(Component::ResumeStore, reason.clone()),
            None => self.health.clear(Component::ResumeStore),
        }
    }
}
