//! One torrent of the session: what is wanted of it, what is seen of it, and whether content may flow.

use std::{collections::VecDeque, path::PathBuf, sync::Arc, time::Instant};

use revaer_torrent_core::{
    Bytes, EngineState, FilePriority, InfoHashes, PieceSet, RateLimits, TorrentId,
    engine::{AddSource, AddTorrent, AppliedSelection, Observation},
};

use super::leave::Leaving;
use crate::{ffi::Status, inspect::info_hashes, mailbox::Reply, rate::RateMeter, settings::is_zero};

/// Where a torrent is on its way through the session.
#[derive(Debug)]
pub(crate) enum Phase {
    /// It waits for its resume data or for libtorrent's answer.
    Entering,
    /// It is a member.
    Active,
    /// It is being taken out.
    Leaving(Leaving),
}

/// Priorities that were handed over and are not confirmed yet.
#[derive(Debug)]
pub(crate) struct PendingPriorities {
    pub(crate) selection: AppliedSelection,
    /// Nobody waits where they are only put in force again.
    pub(crate) reply: Option<Reply>,
}

/// What holds content back (`upload_mode`). All of it has to be gone before content flows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gate {
    /// No selection is in force yet.
    pub(crate) unselected: bool,
    /// The files are being checked: 2.0.8 forgets the priorities of what turns out to be a seed.
    pub(crate) unchecked: bool,
    /// What libtorrent was last told.
    pub(crate) closed: bool,
}

/// What the resume store needs to know about it.
#[derive(Debug, Default)]
pub(crate) struct Saving {
    /// The stored blob was used when it was added, so what it says is not news.
    pub(crate) from_blob: bool,
    /// The check is over: from now on a new piece is news.
    pub(crate) checked: bool,
    /// When totals changed first since the last save.
    pub(crate) counters_since: Option<Instant>,
}

/// A torrent of the session.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) id: TorrentId,
    pub(crate) phase: Phase,
    pub(crate) save_dir: PathBuf,
    pub(crate) sequential: bool,
    pub(crate) selection: Option<AppliedSelection>,
    pub(crate) pending: VecDeque<PendingPriorities>,
    pub(crate) gate: Gate,
    pub(crate) saving: Saving,
    pub(crate) meter: RateMeter,
    pub(crate) view: View,
}

/// How far the .torrent is known that a magnet becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Metainfo {
    /// It was added from one.
    Given,
    /// libtorrent has not been asked for it, or did not give it.
    Unasked,
    /// libtorrent was asked for it.
    Asked,
    /// libtorrent gave it.
    Known(Arc<[u8]>),
}

/// What was seen last.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) state: EngineState,
    pub(crate) hashes: InfoHashes,
    pub(crate) has_metadata: bool,
    pub(crate) metainfo: Metainfo,
    /// Length of each file, 0 for padding; empty while unknown.
    pub(crate) file_sizes: Box<[u64]>,
    pub(crate) confirmed: Option<u64>,
    pub(crate) limits: RateLimits,
    pub(crate) pieces: PieceSet,
    pub(crate) piece_count: u32,
    pub(crate) wanted_done: u64,
    pub(crate) downloaded: u64,
    pub(crate) uploaded: u64,
    pub(crate) peers: u32,
    pub(crate) paused: bool,
    pub(crate) error: Option<String>,
    pub(crate) conflict: bool,
}

/// What a status changed, beyond the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct News {
    /// Pieces came or went.
    pub(crate) pieces: bool,
    /// The info dictionary became known.
    pub(crate) metadata: bool,
    /// Payload moves.
    pub(crate) moving: bool,
}

impl Metainfo {
    /// What libtorrent gave.
    pub(crate) fn known(&self) -> Option<&Arc<[u8]>> {
        match self {
            Self::Known(bytes) => Some(bytes),
            Self::Given | Self::Unasked | Self::Asked => None,
        }
    }
}

impl Member {
    pub(crate) fn new(add: &AddTorrent) -> Self {
        let has_metainfo = matches!(add.source, AddSource::Metainfo(_));
        let skips = add.selection.as_ref().is_some_and(has_skips);
        Self {
            id: add.id,
            phase: Phase::Entering,
            save_dir: add.save_dir.clone(),
            sequential: add.sequential,
            selection: add.selection.clone(),
            pending: VecDeque::new(),
            gate: Gate {
                unselected: add.selection.is_none() || !has_metainfo,
                unchecked: skips,
                closed: false,
            },
            saving: Saving::default(),
            meter: RateMeter::default(),
            view: View {
                state: EngineState::CheckingResumeData,
                hashes: InfoHashes::default(),
                has_metadata: has_metainfo,
                metainfo: if has_metainfo { Metainfo::Given } else { Metainfo::Unasked },
                file_sizes: Box::default(),
                confirmed: None,
                limits: add.limits,
                pieces: PieceSet::None,
                piece_count: 0,
                wanted_done: 0,
                downloaded: 0,
                uploaded: 0,
                peers: 0,
                paused: false,
                error: None,
                conflict: false,
            },
        }
    }

    /// Whether commands can be carried out on it now.
    pub(crate) fn is_active(&self) -> bool {
        matches!(self.phase, Phase::Active)
    }

    /// Whether what was seen of it says that its files have been checked.
    pub(crate) fn is_past_check(&self) -> bool {
        let running = [EngineState::Downloading, EngineState::Finished, EngineState::Seeding];
        self.view.has_metadata && running.contains(&self.view.state)
    }

    /// Whether its .torrent is there to be asked for.
    pub(crate) fn has_unasked_metainfo(&self) -> bool {
        self.is_active() && self.view.has_metadata && self.view.metainfo == Metainfo::Unasked
    }

    /// Whether libtorrent has not answered for it yet.
    pub(crate) fn is_entering(&self) -> bool {
        matches!(self.phase, Phase::Entering)
    }

    /// Whether content has to be held back.
    pub(crate) fn must_hold(&self, session: &RateLimits) -> bool {
        self.gate.unselected
            || self.gate.unchecked
            || is_zero(session.download)
            || is_zero(self.view.limits.download)
    }

    /// Takes over what libtorrent reports.
    pub(crate) fn see(&mut self, status: &Status, now: Instant) -> News {
        let view = &mut self.view;
        let metadata = status.has_metadata && !view.has_metadata;
        let pieces = status.piece_count != view.piece_count;
        let totals = (status.all_time_download, status.all_time_upload);
        if totals != (view.downloaded, view.uploaded) && self.saving.counters_since.is_none() {
            self.saving.counters_since = Some(now);
        }
        if let Some(state) = state_of(status.state) {
            view.state = state;
        }
        view.has_metadata = status.has_metadata;
        view.hashes = info_hashes(status.has_v1, status.v1, status.has_v2, status.v2);
        view.paused = status.paused;
        let set = piece_set(status);
        if set != view.pieces {
            view.pieces = set;
        }
        view.piece_count = status.piece_count;
        view.wanted_done = status.wanted_done;
        (view.downloaded, view.uploaded) = totals;
        view.peers = status.peers;
        if !status.error.is_empty() && view.error.is_none() {
            view.error = Some(status.error.clone());
        }
        self.meter.sample(now, status.session_download, status.session_upload);
        let news = pieces && self.saving.checked;
        News { pieces: news, metadata, moving: !self.meter.is_still() }
    }

    /// What is shown of it.
    pub(crate) fn observation(&self, loaded: bool) -> Observation {
        let view = &self.view;
        let (download_rate, upload_rate) = self.meter.rates();
        let none = revaer_torrent_core::BytesPerSecond(0);
        Observation {
            id: self.id,
            loaded,
            state: view.state,
            info_hashes: view.hashes,
            metainfo: view.metainfo.known().cloned(),
            selection_version: view.confirmed,
            limits: view.limits,
            pieces: view.pieces.clone(),
            wanted_done: Bytes(self.wanted_done()),
            downloaded: Bytes(view.downloaded),
            uploaded: Bytes(view.uploaded),
            download_rate: if loaded { download_rate } else { none },
            upload_rate: if loaded { upload_rate } else { none },
            peers: if loaded { view.peers } else { 0 },
            error: view.error.clone(),
            conflict: view.conflict,
        }
    }

    /// libtorrent counts every file of a seed, whatever its priority: never more than what is wanted.
    fn wanted_done(&self) -> u64 {
        let Some(selection) = self.selection.as_ref().filter(|_| !self.view.file_sizes.is_empty()) else {
            return self.view.wanted_done;
        };
        let sizes = self.view.file_sizes.iter().zip(&selection.priorities);
        let wanted =
            sizes.filter(|(_, priority)| **priority != FilePriority::Skip).map(|(size, _)| *size).sum();
        self.view.wanted_done.min(wanted)
    }
}

/// Whether it leaves out any file.
pub(crate) fn has_skips(selection: &AppliedSelection) -> bool {
    selection.priorities.contains(&FilePriority::Skip)
}

/// Priorities in libtorrent's numbers.
pub(crate) fn numbers(selection: &AppliedSelection) -> Vec<u8> {
    let number = |priority: &FilePriority| match priority {
        FilePriority::Skip => 0,
        FilePriority::Low => 1,
        FilePriority::Normal => 4,
        FilePriority::High => 7,
    };
    selection.priorities.iter().map(number).collect()
}

fn piece_set(status: &Status) -> PieceSet {
    if status.all_pieces {
        PieceSet::All
    } else if status.pieces.is_empty() {
        PieceSet::None
    } else {
        PieceSet::Some(status.pieces.as_slice().into())
    }
}

/// `torrent_status::state_t`, whose numbers are part of libtorrent's interface.
fn state_of(state: u8) -> Option<EngineState> {
    match state {
        1 => Some(EngineState::CheckingFiles),
        2 => Some(EngineState::DownloadingMetadata),
        3 => Some(EngineState::Downloading),
        4 => Some(EngineState::Finished),
        5 => Some(EngineState::Seeding),
        7 => Some(EngineState::CheckingResumeData),
        _ => None,
    }
}
