//! Turns what the engine sees of a torrent into what is true of it. Pure.

use revaer_catalog::TorrentRecord;
use revaer_torrent_core::{Bytes, BytesPerSecond, EngineState, engine::Observation};

use super::slot::Slot;
use crate::ledger::Level;

/// What an observation says, and whether the files have to be looked at before it can be believed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) level: Level,
    pub(crate) look_at_files: bool,
}

/// The level of a torrent that is not a member: what was last counted stands.
pub(crate) fn absent() -> Level {
    Level {
        loaded: false,
        state: None,
        complete: None,
        done: None,
        downloaded: Bytes::ZERO,
        uploaded: Bytes::ZERO,
        download_rate: BytesPerSecond(0),
        upload_rate: BytesPerSecond(0),
        error: None,
    }
}

/// The level of a torrent that has just left, from what was last seen of it as a member: that may not have been stored
/// yet, and what is posted supersedes it. Not its error, which a resume may have cleared meanwhile.
pub(crate) fn left(record: &TorrentRecord, slot: &Slot, seen: &Observation) -> Level {
    if slot.given.is_none() || seen.conflict || seen.state == EngineState::CheckingResumeData {
        return absent();
    }
    let Level { complete, done, downloaded, uploaded, .. } = member(record, slot, seen).level;
    Level { complete, done, downloaded, uploaded, ..absent() }
}

/// The level of a member.
///
/// "Complete" is computed: metadata known, the selection in force, every wanted byte in a verified piece, and the
/// files found on disk at their full size. The engine's own "finished" only says when to look.
pub(crate) fn member(record: &TorrentRecord, slot: &Slot, seen: &Observation) -> Seen {
    let content = slot.given.as_ref().and_then(|given| given.content.as_ref());
    let in_force = content.filter(|content| seen.selection_version == Some(content.selection_version));
    let wanted = record.content.wanted_bytes;
    let (mut complete, mut done, mut look_at_files) = (None, None, false);
    let checking = seen.state == EngineState::CheckingFiles;
    if let (Some(content), Some(wanted), false) = (in_force, wanted, checking) {
        // The sum over the pieces is made only when it can come out complete.
        let finished = matches!(seen.state, EngineState::Finished | EngineState::Seeding);
        let may_be = finished || seen.wanted_done >= wanted;
        let whole = may_be && content.layout.progress(&seen.pieces, &content.priorities).is_complete();
        if whole {
            let believed = record.content.complete || slot.verified == Some(content.selection_version);
            look_at_files = !believed;
            complete = believed.then_some(true);
            done = Some(wanted);
        } else if !finished {
            complete = Some(false);
            done = Some(seen.wanted_done.min(wanted));
        }
    }
    // A magnet's metadata has just told its files, and where they are to lie is not decided: what was found at the path
    // that it was added with may be another's.
    let is_placed =
        slot.given.as_ref().is_some_and(|given| given.content.is_some()) || seen.metainfo.is_none();
    let level = Level {
        loaded: true,
        state: Some(seen.state),
        complete,
        done,
        downloaded: seen.downloaded,
        uploaded: seen.uploaded,
        download_rate: seen.download_rate,
        upload_rate: seen.upload_rate,
        error: seen.error.clone().filter(|_| is_placed),
    };
    Seen { level, look_at_files }
}

#[cfg(test)]
pub(super) mod tests;
