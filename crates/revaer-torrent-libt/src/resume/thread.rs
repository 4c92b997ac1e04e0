//! `Store`: the session owner's end of the resume store, and its two threads. One stores rounds, which may wait long
//! for a busy volume; the other does all the rest. Each request has one response, which wakes the owner. Every queue
//! is bounded, and the owner never has more in flight than they hold.

use std::{
    collections::VecDeque,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{Receiver, sync_channel},
    },
};

use revaer_telemetry::Telemetry;
use revaer_torrent_core::{InfoHashes, TorrentId};

use super::{
    Loaded, Request, Response, files,
    lane::{Lane, Outlet, QUEUE},
    order::Order,
    relocate::{self, Relocation},
    round::{self, RoundOutcome, SaveItem},
    troubles::Troubles,
};
use crate::wake::Wake;

/// The owner's end of the store. Dropping it ends its threads after what they have.
#[derive(Debug)]
pub(crate) struct Store {
    order: Order,
    /// Where rounds go: the directory of the last open that was handed over.
    dir: Option<PathBuf>,
    /// Answers to requests that were held, and that no thread took afterwards.
    refused: VecDeque<Response>,
    // Dropped before the lanes, so that no thread waits for room for an answer that nobody takes.
    responses: Receiver<Response>,
    quick: Lane<Request>,
    rounds: Lane<Round>,
}

/// A round and where it goes.
#[derive(Debug)]
struct Round {
    dir: Option<PathBuf>,
    items: Vec<SaveItem>,
}

impl Store {
    pub(crate) fn start(wake: Arc<Wake>, telemetry: Telemetry) -> io::Result<Self> {
        let (outbox, responses) = sync_channel(QUEUE);
        let troubles = Arc::new(Troubles::new(telemetry));
        let outlet = Outlet { responses: outbox, wake, troubles: Arc::clone(&troubles) };
        let mut quick = Quick { dir: None, former: Vec::new(), troubles: Arc::clone(&troubles) };
        Ok(Self {
            order: Order::default(),
            dir: None,
            refused: VecDeque::new(),
            responses,
            quick: Lane::start("fast-resume", outlet.clone(), move |request| quick.answer(request))?,
            rounds: Lane::start("resume-rounds", outlet, move |round| {
                Response::Saved(store_round(&round, &troubles))
            })?,
        })
    }

    /// Hands over a request. Refused only if a thread has died or a queue is full, which is a defect.
    pub(crate) fn request(&mut self, request: Request) -> Result<(), String> {
        if self.order.held() >= QUEUE {
            return Err(refusal("its queue is full"));
        }
        match self.order.admit(request) {
            None => Ok(()),
            Some(request) => self.hand(request).map_err(|(request, reason)| {
                let reason = refusal(reason);
                let response = request.refused(&reason);
                self.free(&response);
                reason
            }),
        }
    }

    /// The next response, if there is one.
    pub(crate) fn response(&mut self) -> Option<Response> {
        let response = self.refused.pop_front().or_else(|| self.responses.try_recv().ok())?;
        self.free(&response);
        Some(response)
    }

    /// Hands over what waited for this.
    fn free(&mut self, response: &Response) {
        for request in self.order.ended(response) {
            if let Err((request, reason)) = self.hand(request) {
                self.refused.push_back(request.refused(&refusal(reason)));
            }
        }
    }

    fn hand(&mut self, request: Request) -> Result<(), (Request, &'static str)> {
        match request {
            Request::Save(items) => self
                .rounds
                .hand(Round { dir: self.dir.clone(), items })
                .map_err(|(round, reason)| (Request::Save(round.items), reason)),
            request => {
                if let Request::Open(dir) = &request {
                    self.dir = Some(dir.clone());
                }
                self.quick.hand(request)
            }
        }
    }
}

fn refusal(reason: &str) -> String {
    format!("the resume store takes no requests: {reason}")
}

/// What is not a round.
struct Quick {
    dir: Option<PathBuf>,
    /// Directories before it that still hold something.
    former: Vec<PathBuf>,
    troubles: Arc<Troubles>,
}

impl Quick {
    fn answer(&mut self, request: Request) -> Response {
        match request {
            Request::Open(dir) => Response::Opened(self.open(dir)),
            Request::Load(id) => Response::Loaded(self.load(id)),
            Request::Delete { id, save_dir, hashes } => {
                Response::Deleted(id, self.delete(id, &save_dir, &hashes))
            }
            Request::SetAsideOrphans(known) => Response::OrphansSetAside(
                self.in_dir("set aside orphans", |dir| files::set_aside_orphans(dir, &known)),
            ),
            Request::MarkCleanStop => {
                Response::CleanStopMarked(self.in_dir("mark the clean stop", files::mark_clean_stop))
            }
            // Never handed to this thread.
            Request::Save(_) => request.refused("rounds have a thread of their own"),
        }
    }

    fn open(&mut self, dir: PathBuf) -> Result<usize, String> {
        self.former.extend(self.dir.replace(dir));
        let prepared = self.in_dir("open", |dir| {
            files::prepare(dir)?;
            let mark = files::take_clean_stop(dir)?;
            let former = relocate::with_noted(dir, &self.former);
            if let Some(first) = former.first() {
                let reason = format!("resume data is being moved from {}; adds wait for it", first.display());
                tracing::info!(reason, to = %dir.display());
                self.troubles.set_open(Some(reason));
            }
            Ok((mark, relocate::take_over(dir, former)))
        });
        match prepared {
            Ok((mark, Relocation { moved, stayed, former })) => {
                self.former = former;
                let boot = files::boot_id();
                let stop = match mark {
                    Some(_) => "clean",
                    None => "unclean, or none before",
                };
                let same_boot = mark.as_deref() == Some(boot.as_str());
                tracing::info!(last_stop = stop, same_boot, moved, stayed, "resume directory opened");
                self.troubles.set_open(None);
                Ok(stayed)
            }
            Err(reason) => {
                self.troubles.not_opened(reason.clone());
                Err(reason)
            }
        }
    }

    fn load(&self, id: TorrentId) -> Loaded {
        let loaded = self.find(id);
        if let Some(trouble) = &loaded.trouble {
            tracing::warn!(torrent.id = %id, trouble, "resume data was not usable; the content is checked");
            self.troubles.set_file(id, Some(trouble.clone()));
        }
        loaded
    }

    /// What is stored of a torrent, here or where it could not be moved from.
    fn find(&self, id: TorrentId) -> Loaded {
        let Some(dir) = &self.dir else { return Loaded::nothing(id) };
        let here = files::load(dir, id);
        if here.blob.is_some() {
            return here;
        }
        let mut elsewhere = self.former.iter().map(|former| files::load(former, id));
        elsewhere.find(|loaded| loaded.blob.is_some()).unwrap_or(here)
    }

    fn delete(&self, id: TorrentId, save_dir: &Path, hashes: &InfoHashes) -> Result<(), String> {
        self.troubles.set_file(id, None);
        self.in_dir("delete resume data in", |dir| {
            // One that was never loaded here is known by its record only.
            if let Some(record) = self.find(id).record {
                files::delete_part_file(save_dir, &record.info_hashes())?;
            }
            files::delete_part_file(save_dir, hashes)?;
            for former in &self.former {
                if let Err(error) = files::delete(former, id) {
                    // As that of a torrent that nobody knows it is set aside one day.
                    tracing::warn!(torrent.id = %id, dir = %former.display(), %error, "resume data stays");
                }
            }
            files::delete(dir, id)
        })
    }

    fn in_dir<T>(&self, what: &str, work: impl FnOnce(&Path) -> io::Result<T>) -> Result<T, String> {
        let dir = self.dir.as_deref().ok_or_else(|| "there is no resume directory".to_owned())?;
        work(dir).map_err(|error| format!("can not {what} {}: {error}", dir.display()))
    }
}

fn store_round(round: &Round, troubles: &Troubles) -> RoundOutcome {
    let Round { dir, items } = round;
    let all_failed = |reason: String| items.iter().map(|item| (item.id, Err(reason.clone()))).collect();
    let outcome: RoundOutcome = match dir {
        None => all_failed("there is no resume directory".to_owned()),
        // It may have been unmounted or removed since; a missing one is made again.
        Some(dir) => match std::fs::create_dir_all(dir) {
            Ok(()) => round::save(dir, items),
            Err(error) => all_failed(format!("{} could not be made: {error}", dir.display())),
        },
    };
    let failure = outcome.iter().find_map(|(_, result)| result.as_ref().err().cloned());
    troubles.set_save(failure, outcome.iter().filter(|(_, result)| result.is_ok()).map(|(id, _)| *id));
    outcome
}

#[cfg(test)]
mod tests {
    use std::{fs::File, time::Duration};

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;
    use crate::resume::MetaRecord;

    fn id(number: u128) -> TorrentId {
        TorrentId::from_trusted(uuid::Uuid::from_u128(number))
    }

    fn next(store: &mut Store, wake: &Wake) -> Response {
        for _ in 0..1000 {
            if let Some(response) = store.response() {
                return response;
            }
            wake.wait(Duration::from_millis(20));
        }
        panic!("no response");
    }

    #[test]
    fn loads_do_not_wait_for_a_volume_that_is_being_synced() {
        let dir = tempfile::tempdir().unwrap();
        // Opening a pipe waits for its other end, as a sync waits for a busy disk.
        let volume = dir.path().join("busy");
        mknodat(CWD, &volume, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let wake = Arc::new(Wake::new().unwrap());
        let mut store = Store::start(Arc::clone(&wake), Telemetry::new()).unwrap();
        store.request(Request::Open(dir.path().join("resume"))).unwrap();
        assert!(matches!(next(&mut store, &wake), Response::Opened(Ok(0))));

        let record = MetaRecord::new(None, volume.clone(), false, &InfoHashes::default());
        let item = SaveItem { id: id(1), blob: b"de".to_vec(), record, claims_pieces: true };
        store.request(Request::Save(vec![item])).unwrap();
        store.request(Request::Load(id(1))).unwrap();
        store.request(Request::Load(id(2))).unwrap();
        assert!(matches!(next(&mut store, &wake), Response::Loaded(Loaded { id: two, .. }) if two == id(2)));

        let _other_end = File::options().write(true).open(&volume).unwrap();
        assert!(matches!(next(&mut store, &wake), Response::Saved(outcome) if outcome == [(id(1), Ok(()))]));
        let Response::Loaded(loaded) = next(&mut store, &wake) else { panic!("it is the only one left") };
        assert!(loaded.id == id(1) && loaded.record.is_some(), "it reads what the round wrote");
    }

    #[test]
    fn what_cannot_follow_a_changed_directory_is_read_and_deleted_where_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (dir.path().join("old"), dir.path().join("new"));
        let wake = Arc::new(Wake::new().unwrap());
        let mut store = Store::start(Arc::clone(&wake), Telemetry::new()).unwrap();
        store.request(Request::Open(old.clone())).unwrap();
        assert!(matches!(next(&mut store, &wake), Response::Opened(Ok(0))));
        let blob = [
            b"d11:file-format22:libtorrent resume file12:file-versioni1e9:info-hash20:".as_slice(),
            &[b'a'; 20],
            b"e",
        ];
        let name = files::blob_name(id(1));
        std::fs::write(old.join(&name), blob.concat()).unwrap();
        // In its way.
        std::fs::create_dir_all(new.join(&name)).unwrap();
        store.request(Request::Open(new)).unwrap();
        assert!(matches!(next(&mut store, &wake), Response::Opened(Ok(1))));
        store.request(Request::Load(id(1))).unwrap();
        let Response::Loaded(loaded) = next(&mut store, &wake) else { panic!("it was a load") };
        assert_eq!(loaded.blob, Some(blob.concat()));
        let hashes = InfoHashes::default();
        store.request(Request::Delete { id: id(1), save_dir: dir.path().to_owned(), hashes }).unwrap();
        assert!(matches!(next(&mut store, &wake), Response::Deleted(..)));
        assert!(!old.join(&name).exists());
    }
}
