//! What the ledger decides, told as stories: the stage in, rows and events out.

use std::{path::PathBuf, sync::Arc};

use revaer_catalog::{
    Catalog, Change, ContentFacts, FsopsStatus, FsopsSummary, Intent, IntentError, LastObservation,
    NewTorrent, Placement, TorrentRecord, Wish,
};
use revaer_events::Event;
use revaer_torrent_core::{
    Bytes, BytesPerSecond, ContentFile, ContentPath, EngineState, InfoHashV1, InfoHashV2, InfoHashes,
    Metainfo, RateLimits, SelectionRules, Source, StateKind, TorrentId, Wanted,
    fsops::{JobOutcome, MoveMode, Step},
};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::{
    facts, intents,
    item::{Fact, FactReply, Level},
    levels,
    stage::{Decision, Stage, Write},
};

const SIZE: u64 = 1000;

fn id(number: u128) -> TorrentId {
    TorrentId::from_trusted(Uuid::from_u128(number))
}

fn now() -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + Duration::days(20_000)
}

fn record(number: u8) -> TorrentRecord {
    TorrentRecord {
        id: id(number.into()),
        name: format!("torrent {number}"),
        info_hashes: InfoHashes { v1: Some(InfoHashV1::new([number; 20])), v2: None },
        source: Source::Metainfo,
        trackers: Vec::new(),
        peers: Vec::new(),
        tags: Vec::new(),
        placement: Placement {
            download_dir: "/downloads".into(),
            content: Some(ContentPath {
                save_dir: "/downloads".into(),
                root_name: format!("torrent {number}"),
            }),
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
        content: ContentFacts {
            has_metainfo: true,
            wanted_bytes: Some(Bytes(SIZE)),
            ..ContentFacts::default()
        },
        failure: None,
        same_as: None,
        added_at: now() + Duration::seconds(number.into()),
        completed_at: None,
        last: LastObservation {
            kind: StateKind::Queued,
            done: Bytes::ZERO,
            downloaded: Bytes::ZERO,
            uploaded: Bytes::ZERO,
            at: now(),
        },
        fsops: None,
    }
}

fn metainfo(hashes: InfoHashes) -> Metainfo {
    Metainfo {
        info_hashes: hashes,
        name: "show".to_owned(),
        is_directory: true,
        files: vec![ContentFile {
            path: "show/one.MKV".to_owned(),
            size: Bytes(SIZE),
            offset: Bytes::ZERO,
            is_padding: false,
            is_symlink: false,
        }],
        piece_length: Bytes(16_384),
        piece_count: 1,
        private: false,
        trackers: Vec::new(),
    }
}

fn level(state: EngineState, complete: Option<bool>) -> Level {
    Level {
        loaded: true,
        state: Some(state),
        complete,
        done: Some(Bytes(if complete == Some(true) { SIZE } else { 10 })),
        downloaded: Bytes(10),
        uploaded: Bytes::ZERO,
        download_rate: BytesPerSecond(5),
        upload_rate: BytesPerSecond(0),
        error: None,
    }
}

/// A catalogue whose changes are made the way the ledger makes them.
struct World(Catalog);

impl World {
    fn of(records: Vec<TorrentRecord>) -> Self {
        Self(Catalog::new(records))
    }

    fn commit(&self, decision: &Decision) {
        let puts = decision.writes.iter().filter_map(|write| match write {
            Write::Put(record) => Some(Change::Put(Arc::clone(record))),
            Write::Delete(id) => Some(Change::Gone(*id)),
            _ => None,
        });
        let live = decision.live.iter().map(|(id, live)| Change::Live(*id, *live));
        self.0.commit(puts.chain(live).collect::<Vec<_>>());
    }

    fn intent(&self, intent: Intent) -> Result<Decision, IntentError> {
        let (decision, _) = intents::decide(&Stage::new(&self.0), intent, now())?;
        self.commit(&decision);
        Ok(decision)
    }

    fn fact(&self, fact: Fact) -> (Vec<&'static str>, FactReply) {
        let (decision, reply) = facts::decide(&Stage::new(&self.0), fact, now());
        self.commit(&decision);
        (kinds(&decision), reply)
    }

    fn level(&self, number: u8, level: &Level) -> Vec<&'static str> {
        let decision = levels::decide(&Stage::new(&self.0), id(number.into()), level, now());
        self.commit(&decision);
        kinds(&decision)
    }

    fn record(&self, number: u8) -> Arc<TorrentRecord> {
        self.0.get_any(id(number.into())).unwrap().record
    }
}

fn kinds(decision: &Decision) -> Vec<&'static str> {
    decision.events.iter().map(Event::kind).collect()
}

fn adding(record: TorrentRecord) -> Intent {
    Intent::Add(Box::new(NewTorrent { record, metainfo: None }))
}

#[test]
fn the_same_content_is_taken_once() {
    let world = World::of(vec![record(1)]);
    assert!(world.intent(adding(record(1))).unwrap().writes.is_empty());
    let other_id = TorrentRecord { id: id(9), ..record(1) };
    assert_eq!(world.intent(adding(other_id)).unwrap_err(), IntentError::Duplicate { existing: id(1) });
    let other_content = TorrentRecord { id: id(1), ..record(2) };
    assert_eq!(world.intent(adding(other_content)).unwrap_err(), IntentError::IdTaken(id(1)));
}

#[test]
fn two_adds_of_one_content_in_one_batch_are_one_torrent() {
    let catalog = Catalog::default();
    let mut stage = Stage::new(&catalog);
    let (first, _) = intents::decide(&stage, adding(record(1)), now()).unwrap();
    stage.apply(&first);
    let again = TorrentRecord { id: id(2), ..record(1) };
    let refused = intents::decide(&stage, adding(again), now()).unwrap_err();
    assert_eq!(refused, IntentError::Duplicate { existing: id(1) });
}

#[test]
fn a_removed_torrent_is_gone_for_clients_and_its_content_can_come_again() {
    let world = World::of(vec![record(1)]);
    world.intent(Intent::Remove { id: id(1), delete_data: true, delete_library: false }).unwrap();
    assert_eq!(world.intent(Intent::Pause(id(1))).unwrap_err(), IntentError::NotFound(id(1)));
    let again = TorrentRecord {
        id: id(2),
        placement: Placement { content: None, ..record(1).placement },
        ..record(1)
    };
    world.intent(adding(again)).unwrap();
    let path = || Fact::AssignPath {
        id: id(2),
        save_dir: "/downloads".into(),
        root_name: "torrent 1".to_owned(),
        is_taken: false,
    };
    // Its files are still being deleted: the new one waits for the path rather than share it.
    assert_eq!(world.fact(path()).1, FactReply::PathBusy);
    assert_eq!(world.fact(Fact::Removed { id: id(1) }).0, ["torrent_removed"]);
    assert_eq!(world.fact(path()).1, FactReply::Noted);
    let content = world.record(2).placement.content.clone().unwrap();
    assert_eq!(content.root(), PathBuf::from("/downloads/torrent 1"));
}

#[test]
fn no_two_torrents_share_a_path_not_even_one_beneath_the_other() {
    let world = World::of(vec![record(1)]);
    for (number, save_dir, root_name) in
        [(2, "/downloads", "torrent 1"), (3, "/downloads/torrent 1", "inner"), (4, "/", "downloads")]
    {
        let new = TorrentRecord {
            placement: Placement { content: None, ..record(number).placement },
            ..record(number)
        };
        world.intent(adding(new)).unwrap();
        let fact = Fact::AssignPath {
            id: id(number.into()),
            save_dir: save_dir.into(),
            root_name: root_name.to_owned(),
            is_taken: false,
        };
        world.fact(fact);
        let content = world.record(number).placement.content.clone().unwrap();
        assert_eq!(content.save_dir, PathBuf::from(save_dir).join(id(number.into()).to_string()));
    }
}

#[test]
fn completion_counts_once_and_makes_one_job() {
    let world = World::of(vec![record(1)]);
    assert_eq!(world.level(1, &level(EngineState::Downloading, Some(false))), ["progress", "state_changed"]);
    let done = level(EngineState::Seeding, Some(true));
    assert_eq!(world.level(1, &done), ["progress", "state_changed", "completed"]);
    assert!(world.level(1, &done).is_empty());
    let record = world.record(1);
    assert_eq!((record.content.generation, record.last.kind), (1, StateKind::Seeding));
    assert_eq!(record.fsops.as_ref().unwrap().status, FsopsStatus::Queued);
}

#[test]
fn a_restart_of_a_complete_torrent_completes_nothing_again() {
    let world = World::of(vec![record(1)]);
    world.level(1, &level(EngineState::Seeding, Some(true)));
    let restarted = World::of(vec![(*world.record(1)).clone()]);
    for seen in [
        level(EngineState::CheckingResumeData, None),
        level(EngineState::Seeding, None),
        level(EngineState::Seeding, Some(true)),
    ] {
        assert!(!restarted.level(1, &seen).contains(&"completed"));
    }
    assert_eq!(restarted.record(1).content.generation, 1);
}

#[test]
fn damage_that_was_repaired_is_a_new_generation() {
    let world = World::of(vec![record(1)]);
    world.level(1, &level(EngineState::Seeding, Some(true)));
    world.level(1, &level(EngineState::Downloading, Some(false)));
    assert!(world.level(1, &level(EngineState::Seeding, Some(true))).contains(&"completed"));
    assert_eq!(world.record(1).content.generation, 2);
}

#[test]
fn what_was_complete_when_it_came_is_not_the_pipelines_business() {
    let mut seeded = record(1);
    seeded.wish.seed_mode = true;
    let world = World::of(vec![seeded]);
    assert!(!world.level(1, &level(EngineState::Seeding, Some(true))).contains(&"completed"));
    let record = world.record(1);
    assert!(record.content.complete && record.fsops.is_none());
}

#[test]
fn an_engine_error_fails_the_torrent_and_a_resume_clears_it() {
    let world = World::of(vec![record(1)]);
    let broken = Level { error: Some("no space".to_owned()), ..level(EngineState::Downloading, Some(false)) };
    assert!(world.level(1, &broken).contains(&"state_changed"));
    assert_eq!(world.record(1).failure.as_deref(), Some("no space"));
    assert!(world.level(1, &level(EngineState::Downloading, None)).iter().all(|kind| *kind == "progress"));
    world.intent(Intent::Resume(id(1))).unwrap();
    assert_eq!((world.record(1).failure.clone(), world.record(1).last.kind), (None, StateKind::Queued));
}

#[test]
fn a_magnet_takes_its_name_files_and_second_hash_from_its_metadata() {
    let v1 = InfoHashV1::new([7; 20]);
    let magnet = TorrentRecord {
        name: v1.to_string(),
        info_hashes: InfoHashes { v1: Some(v1), v2: None },
        source: Source::Magnet(format!("magnet:?xt=urn:btih:{v1}")),
        content: ContentFacts::default(),
        placement: Placement { content: None, ..record(7).placement },
        ..record(7)
    };
    let world = World::of(vec![magnet]);
    let hashes = InfoHashes { v1: Some(v1), v2: Some(InfoHashV2::new([8; 32])) };
    let fact = || Fact::MetadataKnown { id: id(7), bytes: Arc::from(&b"d"[..]), metainfo: metainfo(hashes) };
    assert_eq!(world.fact(fact()).0, ["files_discovered", "metadata_updated"]);
    let record = world.record(7);
    assert_eq!((record.name.as_str(), record.info_hashes), ("show", hashes));
    assert_eq!(record.content.extensions, ["mkv"]);
    assert!(world.fact(fact()).0.is_empty());
}

#[test]
fn of_two_magnets_that_turn_out_to_be_one_torrent_the_younger_fails() {
    let (v1, v2) = (InfoHashV1::new([1; 20]), InfoHashV2::new([2; 32]));
    let both = InfoHashes { v1: Some(v1), v2: Some(v2) };
    let magnet = |number: u8, info_hashes| TorrentRecord {
        info_hashes,
        content: ContentFacts::default(),
        placement: Placement { content: None, ..record(number).placement },
        ..record(number)
    };
    let elder = magnet(1, InfoHashes { v1: Some(v1), v2: None });
    let younger = magnet(2, InfoHashes { v1: None, v2: Some(v2) });
    for first_to_know in [1_u8, 2] {
        let world = World::of(vec![elder.clone(), younger.clone()]);
        world.fact(Fact::MetadataKnown {
            id: id(first_to_know.into()),
            bytes: Arc::from(&b"d"[..]),
            metainfo: metainfo(both),
        });
        assert_eq!(world.record(1).failure, None);
        assert_eq!(world.record(2).failure, Some(format!("same content as {}", id(1))));
        world.fact(Fact::MetadataKnown { id: id(1), bytes: Arc::from(&b"d"[..]), metainfo: metainfo(both) });
        assert_eq!(world.record(1).info_hashes, both);
        assert_eq!(world.0.by_info_hash(&younger.info_hashes), Some(id(1)));
        let resumed = world.intent(Intent::Resume(id(2)));
        assert!(matches!(resumed, Err(IntentError::Duplicate { existing }) if existing == id(1)));

        world.intent(Intent::Remove { id: id(1), delete_data: false, delete_library: false }).unwrap();
        world.intent(Intent::Resume(id(2))).unwrap();
        assert_eq!((world.record(2).failure.clone(), world.record(2).same_as), (None, None));
        assert_eq!(world.0.by_info_hash(&younger.info_hashes), Some(id(2)));
    }
}

fn started() -> Fact {
    Fact::JobStarted { id: id(1), mode: MoveMode::Move, policy: serde_json::json!({}) }
}

#[test]
fn a_job_that_waits_for_the_same_thing_says_so_once() {
    let world = World::of(vec![record(1)]);
    world.level(1, &level(EngineState::Seeding, Some(true)));
    assert_eq!(world.fact(started()).0, ["fsops_started"]);
    let waits = || Fact::JobFinished {
        id: id(1),
        generation: 1,
        outcome: JobOutcome::Failed { step: Step::Transfer, message: "no space".to_owned(), retry: true },
    };
    assert_eq!(world.fact(waits()).0, ["fsops_failed"]);
    assert!(world.fact(started()).0.is_empty());
    let outcome = JobOutcome::Completed { library_path: "/library/torrent 1".into(), moved: false };
    assert_eq!(world.fact(Fact::JobFinished { id: id(1), generation: 1, outcome }).0, ["fsops_completed"]);
    assert_eq!(world.record(1).placement.library_path, Some("/library/torrent 1".into()));
}

#[test]
fn the_library_entry_of_a_moved_torrent_is_not_deleted_by_accident() {
    let mut moved = record(1);
    moved.placement.content_in_library = true;
    let world = World::of(vec![moved]);
    let remove = |delete_library| Intent::Remove { id: id(1), delete_data: true, delete_library };
    assert!(matches!(world.intent(remove(false)), Err(IntentError::Refused(_))));
    assert!(world.intent(remove(true)).is_ok());
}

#[test]
fn a_move_that_ends_after_the_removal_keeps_its_library_entry() {
    let world = World::of(vec![record(1)]);
    world.level(1, &level(EngineState::Seeding, Some(true)));
    assert_eq!(world.fact(started()).1, FactReply::Noted);
    world.intent(Intent::Remove { id: id(1), delete_data: true, delete_library: false }).unwrap();
    let outcome = JobOutcome::Completed { library_path: "/library/torrent 1".into(), moved: true };
    world.fact(Fact::JobFinished { id: id(1), generation: 1, outcome });
    let tombstone = world.0.get_any(id(1)).unwrap().record;
    assert_eq!(tombstone.placement.content.as_ref().unwrap().root(), PathBuf::from("/library/torrent 1"));
    assert_eq!(tombstone.wish.wanted, Wanted::Removed { delete_data: false });
}

#[test]
fn no_job_is_begun_for_a_torrent_that_is_being_removed() {
    let world = World::of(vec![record(1)]);
    world.level(1, &level(EngineState::Seeding, Some(true)));
    world.intent(Intent::Remove { id: id(1), delete_data: false, delete_library: false }).unwrap();
    assert_eq!(world.fact(started()), (Vec::new(), FactReply::Gone));
}

#[test]
fn the_end_of_an_old_job_does_not_hide_the_new_one() {
    let world = World::of(vec![record(1)]);
    let (whole, broken) =
        (level(EngineState::Seeding, Some(true)), level(EngineState::Downloading, Some(false)));
    world.level(1, &whole);
    world.fact(started());
    world.level(1, &broken);
    world.level(1, &whole);
    let outcome = JobOutcome::Completed { library_path: "/library/torrent 1".into(), moved: false };
    world.fact(Fact::JobFinished { id: id(1), generation: 1, outcome });
    assert_eq!(world.record(1).fsops, Some(FsopsSummary::of(FsopsStatus::Queued, None)));
    assert_eq!(world.record(1).content.generation, 2);
}

#[test]
fn content_goes_nowhere_near_a_library_entry_or_what_is_not_its_own() {
    let mut entered = record(1);
    entered.placement.library_path = Some("/library/show".into());
    let world = World::of(vec![entered]);
    for (number, save_dir, root_name, is_taken, plain) in [
        (2, "/library", "show", false, false),
        (3, "/library/show", "inner", false, false),
        (4, "/downloads", "foreign", true, false),
        (5, "/library", "showing", false, true),
    ] {
        let new = TorrentRecord {
            placement: Placement { content: None, ..record(number).placement },
            ..record(number)
        };
        world.intent(adding(new)).unwrap();
        let root_name = root_name.to_owned();
        world.fact(Fact::AssignPath {
            id: id(number.into()),
            save_dir: save_dir.into(),
            root_name,
            is_taken,
        });
        let content = world.record(number).placement.content.clone().unwrap();
        assert_eq!(content.save_dir.as_os_str() == save_dir, plain, "{content:?}");
    }
}
