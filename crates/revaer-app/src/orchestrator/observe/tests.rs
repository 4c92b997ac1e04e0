//! What is told of a torrent that leaves the session.

use std::sync::Arc;

use revaer_catalog::{ContentFacts, LastObservation, Placement, Wish};
use revaer_torrent_core::{
    ContentFile, FilePriority, InfoHashes, Layout, Metainfo, PieceSet, RateLimits, SelectionRules, Source,
    StateKind, TorrentId, Wanted,
};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    super::slot::{Given, GivenContent},
    *,
};

const SIZE: Bytes = Bytes(5);

pub(in super::super) fn record() -> TorrentRecord {
    let at = OffsetDateTime::UNIX_EPOCH;
    TorrentRecord {
        id: TorrentId::from_trusted(Uuid::from_u128(1)),
        name: "one".to_owned(),
        info_hashes: InfoHashes::default(),
        source: Source::Metainfo,
        trackers: Vec::new(),
        peers: Vec::new(),
        tags: Vec::new(),
        placement: Placement {
            download_dir: "/downloads".into(),
            content: None,
            library_path: None,
            content_in_library: false,
        },
        wish: Wish {
            wanted: Wanted::Running,
            sequential: false,
            seed_mode: false,
            limits: RateLimits::default(),
            selection: SelectionRules::default(),
            selection_version: 1,
        },
        content: ContentFacts { has_metainfo: true, wanted_bytes: Some(SIZE), ..ContentFacts::default() },
        failure: None,
        same_as: None,
        added_at: at,
        completed_at: None,
        last: LastObservation {
            kind: StateKind::Downloading,
            done: Bytes::ZERO,
            downloaded: Bytes::ZERO,
            uploaded: Bytes::ZERO,
            at,
        },
        fsops: None,
    }
}

/// A member with one file, whose files were found whole or not looked at.
fn slot(verified: Option<u64>) -> Slot {
    let file = ContentFile {
        path: "one".to_owned(),
        size: SIZE,
        offset: Bytes::ZERO,
        is_padding: false,
        is_symlink: false,
    };
    let metainfo = Metainfo {
        info_hashes: InfoHashes::default(),
        name: "one".to_owned(),
        is_directory: false,
        files: vec![file],
        piece_length: Bytes(16_384),
        piece_count: 1,
        private: false,
        trackers: Vec::new(),
    };
    let content = GivenContent {
        layout: Layout::new(&metainfo),
        priorities: vec![FilePriority::Normal],
        selection_version: 1,
    };
    let given = Given { save_dir: "/downloads".into(), content: Some(Arc::new(content)) };
    Slot { given: Some(given), verified, ..Slot::default() }
}

/// The engine has all of it.
fn seen(state: EngineState) -> Observation {
    Observation {
        id: record().id,
        loaded: false,
        state,
        info_hashes: InfoHashes::default(),
        metainfo: None,
        selection_version: Some(1),
        limits: RateLimits::default(),
        pieces: PieceSet::All,
        wanted_done: SIZE,
        downloaded: Bytes(7),
        uploaded: Bytes(3),
        download_rate: BytesPerSecond(0),
        upload_rate: BytesPerSecond(0),
        peers: 0,
        error: Some("what a resume has cleared".to_owned()),
        conflict: false,
    }
}

#[test]
fn one_that_leaves_as_it_completes_is_told_complete() {
    let left = left(&record(), &slot(Some(1)), &seen(EngineState::Finished));
    let wanted = Level {
        complete: Some(true),
        done: Some(SIZE),
        downloaded: Bytes(7),
        uploaded: Bytes(3),
        ..absent()
    };
    assert_eq!(left, wanted);
}

#[test]
fn one_whose_files_were_not_looked_at_is_not() {
    let left = left(&record(), &slot(None), &seen(EngineState::Finished));
    assert_eq!((left.complete, left.downloaded), (None, Bytes(7)));
}

#[test]
fn what_was_not_compared_yet_says_nothing() {
    let unknown = seen(EngineState::CheckingResumeData);
    assert_eq!(left(&record(), &slot(Some(1)), &unknown), absent());
    assert_eq!(left(&record(), &Slot::default(), &seen(EngineState::Finished)), absent());
}
