//! What is wanted of a torrent beside what is. Pure.

use revaer_catalog::{TorrentRecord, TorrentView};
use revaer_torrent_core::{Desired, Membership, Observed, Turn, Wanted, engine::Observation, fsops::Policy};

use super::{jobs, slot::Slot};

/// When it may run, if it is to run at all.
pub(crate) fn turn(record: &TorrentRecord, policy: &Policy, held_back: bool) -> Option<Turn> {
    let runs = record.wish.wanted == Wanted::Running
        && record.failure.is_none()
        && !jobs::needs_files_alone(record, policy);
    runs.then_some(Turn { held_back, complete: record.content.complete, added_at: record.added_at })
}

/// Whether an action that failed for one record fails for the other just so: nothing that a client or the ledger has
/// said of it since makes a difference.
pub(crate) fn wants_the_same(one: &TorrentRecord, other: &TorrentRecord) -> bool {
    one.wish == other.wish && one.failure == other.failure && one.placement == other.placement
}

/// What is wanted and what is, for the planner.
pub(crate) fn compare(
    view: &TorrentView,
    slot: &Slot,
    seen: Option<&Observation>,
    policy: &Policy,
    admitted: bool,
) -> (Desired, Observed) {
    let record = &view.record;
    let path = record.placement.content.as_ref();
    let desired = Desired {
        wanted: record.wish.wanted,
        failed: record.failure.is_some(),
        has_metainfo: record.content.has_metainfo,
        has_path: path.is_some(),
        selection_version: record.wish.selection_version,
        limits: record.wish.limits,
        withheld: record.wish.wanted == Wanted::Running && jobs::needs_files_alone(record, policy),
        admitted,
    };
    let member = slot.given.as_ref();
    let observed = Observed {
        membership: if member.is_some() { Membership::In } else { Membership::Out },
        offers_metainfo: seen.is_some_and(|seen| seen.metainfo.is_some()),
        in_place: member.is_some_and(|given| path.is_none_or(|path| path.save_dir == given.save_dir)),
        selection_version: seen.and_then(|seen| seen.selection_version),
        limits: seen.map_or(record.wish.limits, |seen| seen.limits),
        conflict: seen.is_some_and(|seen| seen.conflict),
    };
    (desired, observed)
}
