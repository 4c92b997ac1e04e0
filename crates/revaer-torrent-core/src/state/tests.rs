//! The wire's word for every combination that matters.

use super::{EngineState, StateKind, Transfer, derive_kind};
use crate::Wanted;

const ENGINE: [Option<EngineState>; 7] = [
    None,
    Some(EngineState::CheckingResumeData),
    Some(EngineState::CheckingFiles),
    Some(EngineState::DownloadingMetadata),
    Some(EngineState::Downloading),
    Some(EngineState::Finished),
    Some(EngineState::Seeding),
];

/// A running torrent that is in `engine`'s state and has not all of its bytes.
fn transfer(engine: Option<EngineState>) -> Transfer {
    Transfer { engine, failed: false, complete: false, upload_off: false }
}

fn running(transfer: Transfer) -> StateKind {
    derive_kind(Wanted::Running, transfer)
}

#[test]
fn failed_comes_before_everything() {
    for engine in ENGINE {
        for wanted in [Wanted::Running, Wanted::Stopped, Wanted::Removed { delete_data: false }] {
            let failed = Transfer { failed: true, complete: true, ..transfer(engine) };
            assert_eq!(derive_kind(wanted, failed), StateKind::Failed);
        }
    }
}

#[test]
fn stopped_comes_before_what_the_engine_says() {
    for engine in ENGINE {
        let complete = Transfer { complete: true, ..transfer(engine) };
        assert_eq!(derive_kind(Wanted::Stopped, complete), StateKind::Stopped);
    }
}

#[test]
fn an_incomplete_torrent_follows_the_engine() {
    let kinds = ENGINE.map(|engine| running(transfer(engine)).name());
    assert_eq!(
        kinds,
        ["queued", "checking", "checking", "fetching_metadata", "downloading", "downloading", "downloading"]
    );
}

#[test]
fn finished_in_the_engine_is_not_complete() {
    // libtorrent is finished when nothing is wanted, and seeds what it does not know to be missing.
    for engine in [EngineState::Finished, EngineState::Seeding] {
        assert_eq!(running(transfer(Some(engine))), StateKind::Downloading);
    }
}

#[test]
fn a_complete_torrent_seeds_unless_uploading_is_off() {
    for engine in [EngineState::Downloading, EngineState::Finished, EngineState::Seeding] {
        let complete = Transfer { complete: true, ..transfer(Some(engine)) };
        assert_eq!(running(complete), StateKind::Seeding);
        assert_eq!(running(Transfer { upload_off: true, ..complete }), StateKind::Completed);
    }
}

#[test]
fn a_complete_torrent_that_is_checked_is_checking() {
    let checked = Transfer { complete: true, ..transfer(Some(EngineState::CheckingFiles)) };
    assert_eq!(running(checked), StateKind::Checking);
}

#[test]
fn names_are_read_back() {
    for kind in StateKind::ALL {
        assert_eq!(StateKind::from_name(kind.name()), Some(kind));
    }
    assert_eq!(StateKind::from_name("Seeding"), None);
    assert!(StateKind::ALL.is_sorted());
}
