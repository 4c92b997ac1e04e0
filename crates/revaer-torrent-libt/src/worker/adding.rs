//! Torrents on their way in: their resume data is read, then libtorrent is asked, then it answers. At most
//! [`MAX_IN_FLIGHT`] at a time, so that no answer is lost in libtorrent's alert queue.

use std::{
    collections::{HashMap, VecDeque},
    time::Instant,
};

use revaer_torrent_core::{
    TorrentId,
    engine::{AddSource, AddTorrent, EngineError},
};

use super::{
    core::Core,
    member::{Member, Phase, numbers},
};
use crate::{
    ffi::{AddRequest, Endpoint},
    mailbox::{Reply, answer},
    resume::{Loaded, Request},
    session::{LibtSession, Slot},
    settings::{is_zero, limit},
};

const MAX_IN_FLIGHT: usize = 512;

/// Adds in every stage.
#[derive(Debug, Default)]
pub(crate) struct Entering {
    queue: VecDeque<TorrentId>,
    /// Queued, or waiting for their resume data.
    requests: HashMap<TorrentId, (Box<AddTorrent>, Reply)>,
    /// Handed to libtorrent.
    replies: HashMap<Slot, Reply>,
    in_flight: usize,
}

impl Entering {
    /// How many wait for their turn.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Slots that libtorrent has not answered for.
    pub(crate) fn unanswered(&self) -> Vec<Slot> {
        self.replies.keys().copied().collect()
    }
}

impl<S: LibtSession> Core<S> {
    /// A torrent that is not known here yet.
    pub(crate) fn enter(&mut self, add: Box<AddTorrent>, reply: Reply) {
        let id = add.id;
        self.members.insert(Member::new(&add));
        self.entering.requests.insert(id, (add, reply));
        self.entering.queue.push_back(id);
        self.start_entering();
    }

    fn start_entering(&mut self) {
        while self.entering.in_flight < MAX_IN_FLIGHT
            && let Some(id) = self.entering.queue.pop_front()
        {
            self.entering.in_flight += 1;
            if !self.ask_store(Request::Load(id)) {
                self.on_loaded(&Loaded::nothing(id));
            }
        }
    }

    /// Its resume data was read: libtorrent's turn.
    pub(crate) fn on_loaded(&mut self, loaded: &Loaded) {
        let id = loaded.id;
        let Some((add, reply)) = self.entering.requests.remove(&id) else { return };
        let Some(slot) = self.members.by_id.get(&id).copied() else { return };
        let session_limits = self.profile.as_ref().map(|profile| profile.limits).unwrap_or_default();
        let Some(member) = self.members.by_slot.get_mut(&slot) else { return };
        let closed = member.must_hold(&session_limits);
        member.gate.closed = closed;
        let request = request_of(slot, &add, closed, loaded.blob.is_some());
        let metainfo: &[u8] = match &add.source {
            AddSource::Metainfo(bytes) => bytes,
            AddSource::Magnet(_) => &[],
        };
        match self.session.add(&request, metainfo, loaded.blob.as_deref().unwrap_or_default()) {
            Ok(outcome) => {
                member.view.file_sizes = outcome.file_sizes.into();
                if outcome.resume_refused.is_empty() {
                    member.saving.from_blob = loaded.blob.is_some();
                } else {
                    let reason = outcome.resume_refused;
                    tracing::warn!(torrent.id = %id, reason, "resume data was not used; the content is checked");
                }
                self.entering.replies.insert(slot, reply);
            }
            Err(error) => {
                self.members.remove(slot);
                self.entering.in_flight -= 1;
                answer(reply, Err(EngineError::Refused { id, reason: error.to_string() }));
                self.run_deferred(id, Instant::now());
                self.start_entering();
            }
        }
    }

    /// libtorrent has it.
    pub(crate) fn on_added(&mut self, slot: Slot, now: Instant) {
        let Some(reply) = self.entering.replies.remove(&slot) else { return };
        self.entering.in_flight -= 1;
        self.timers.active(now);
        if let Some(member) = self.members.by_slot.get_mut(&slot) {
            member.phase = Phase::Active;
            member.view.confirmed = member
                .selection
                .as_ref()
                .filter(|_| member.view.has_metadata)
                .map(|selection| selection.version);
            let id = member.id;
            self.update_tick(slot);
            // A profile may have changed while libtorrent was busy with it.
            self.update_gate(slot);
            self.show(slot);
            answer(reply, Ok(()));
            self.run_deferred(id, now);
        }
        self.start_entering();
    }

    /// libtorrent does not take it.
    pub(crate) fn on_add_failed(
        &mut self,
        slot: Slot,
        error: impl FnOnce(TorrentId) -> EngineError,
        now: Instant,
    ) {
        let Some(reply) = self.entering.replies.remove(&slot) else { return };
        self.entering.in_flight -= 1;
        if let Some(member) = self.members.remove(slot) {
            answer(reply, Err(error(member.id)));
            self.run_deferred(member.id, now);
        }
        self.start_entering();
    }
}

fn request_of(slot: Slot, add: &AddTorrent, upload_mode: bool, has_blob: bool) -> AddRequest {
    AddRequest {
        slot: slot.0,
        magnet: match &add.source {
            AddSource::Magnet(link) => link.clone(),
            AddSource::Metainfo(_) => String::new(),
        },
        save_dir: add.save_dir.to_string_lossy().into_owned(),
        priorities: match (&add.source, &add.selection) {
            (AddSource::Metainfo(_), Some(selection)) => numbers(selection),
            // What a magnet's files are is not known yet; `so=` was turned into a selection by who parsed it.
            (AddSource::Magnet(_), _) | (_, None) => Vec::new(),
        },
        upload_mode,
        sequential: add.sequential,
        seed_mode: add.seed_mode && !has_blob,
        hold_uploads: is_zero(add.limits.upload),
        download_limit: limit(add.limits.download),
        upload_limit: limit(add.limits.upload),
        trackers: add.trackers.clone(),
        peers: add
            .peers
            .iter()
            .map(|peer| Endpoint { address: peer.ip().to_string(), port: peer.port() })
            .collect(),
    }
}
