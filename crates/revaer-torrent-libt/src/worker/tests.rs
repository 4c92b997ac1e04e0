//! The worker's own logic against a scripted session: what is called, in which order, and what is waited for.

mod lost;

use std::{
    cell::RefCell,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use revaer_telemetry::Telemetry;
use revaer_torrent_core::{
    FilePriority, RateLimits, TorrentId,
    engine::{
        AddSource, AddTorrent, AppliedSelection, Encryption, EngineCommand, EngineError, EngineProfile,
        TrackerProfile,
    },
};
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::{Shared, core::Core, listen::Listen};
use crate::{
    board::Board,
    ffi::{AddOutcome, AddRequest, Alert, AlertKind, Alerts, Setting, Status},
    resume::Store,
    session::{LibtSession, SessionError, Slot},
    wake::Wake,
};

type Answer<T = ()> = Result<T, SessionError>;

/// Notes every call, and reports what the test put into it.
#[derive(Debug, Clone, Default)]
struct Script {
    calls: Rc<RefCell<Vec<String>>>,
    alerts: Rc<RefCell<Vec<Alert>>>,
    /// What a look at everything shows.
    statuses: Rc<RefCell<Vec<Status>>>,
}

impl Script {
    #[expect(clippy::unnecessary_wraps, reason = "the shape of the calls that it stands in for")]
    fn note(&self, call: String) -> Answer {
        self.calls.borrow_mut().push(call);
        Ok(())
    }

    fn report(&self, kind: AlertKind, slot: u64) {
        self.alerts.borrow_mut().push(alert(kind, slot));
    }

    fn take_calls(&self) -> Vec<String> {
        self.calls.take()
    }
}

fn alert(kind: AlertKind, slot: u64) -> Alert {
    Alert {
        kind,
        slot,
        other: u64::MAX,
        text: String::new(),
        path: String::new(),
        code: 0,
        port: 0,
        blob: vec![b'x'],
        metainfo: Vec::new(),
        received: 0,
        sent: 0,
    }
}

impl LibtSession for Script {
    fn apply(&mut self, settings: &[Setting]) -> Answer {
        match settings {
            [setting] => self.note(format!("{} {}", setting.name, setting.number)),
            _ => Ok(()),
        }
    }
    fn set_local_peers_limited(&mut self, _limited: bool) -> Answer {
        Ok(())
    }
    fn reopen(&mut self) -> Answer {
        Ok(())
    }
    fn pause_session(&mut self) -> Answer {
        self.note("pause session".to_owned())
    }
    fn hold_all_uploads(&mut self, _hold: bool) {}
    fn add(&mut self, request: &AddRequest, _metainfo: &[u8], _resume: &[u8]) -> Answer<AddOutcome> {
        self.note(format!("add {} upload_mode={}", request.slot, request.upload_mode))?;
        Ok(AddOutcome::default())
    }
    fn prioritize(&mut self, slot: Slot, priorities: &[u8]) -> Answer {
        self.note(format!("prioritize {} {priorities:?}", slot.0))
    }
    fn set_upload_mode(&mut self, slot: Slot, on: bool) -> Answer {
        self.note(format!("upload_mode {} {on}", slot.0))
    }
    fn hold_uploads(&mut self, slot: Slot, hold: bool) -> Answer {
        self.note(format!("hold_uploads {} {hold}", slot.0))
    }
    fn set_limits(&mut self, slot: Slot, download: i32, upload: i32) -> Answer {
        self.note(format!("limits {} {download} {upload}", slot.0))
    }
    fn pause(&mut self, slot: Slot) -> Answer {
        self.note(format!("pause {}", slot.0))
    }
    fn save_resume(&mut self, slot: Slot, with_info: bool) -> Answer {
        self.note(format!("save {} info={with_info}", slot.0))
    }
    fn flush(&mut self, slot: Slot) -> Answer {
        self.note(format!("flush {}", slot.0))
    }
    fn remove(&mut self, slot: Slot, delete_partfile: bool) -> Answer {
        self.note(format!("remove {} partfile={delete_partfile}", slot.0))
    }
    fn forget(&mut self, _slot: Slot) {}
    fn post_updates(&mut self) -> Answer {
        Ok(())
    }
    fn post_stats(&mut self) -> Answer {
        Ok(())
    }
    fn pop(&mut self) -> Answer<Alerts> {
        Ok(Alerts { alerts: self.alerts.take(), statuses: Vec::new() })
    }
    fn resync(&mut self) -> Answer<Alerts> {
        self.note("resync".to_owned())?;
        Ok(Alerts { alerts: Vec::new(), statuses: self.statuses.borrow().clone() })
    }
}

struct Bench {
    core: Core<Script>,
    script: Script,
    dir: TempDir,
    now: Instant,
}

type Outcome = oneshot::Receiver<Result<(), EngineError>>;

impl Bench {
    fn new() -> Self {
        let (dir, now, script) = (TempDir::new().unwrap(), Instant::now(), Script::default());
        let wake = Arc::new(Wake::new().unwrap());
        let telemetry = Telemetry::new();
        let store = Store::start(Arc::clone(&wake), telemetry.clone()).unwrap();
        let shared = Shared { wake, board: Arc::new(Board::default()), health: telemetry.health };
        let mut core = Core::new(shared, script.clone(), store, Listen::new(None), now);
        let profile = EngineProfile {
            listen_interfaces: Vec::new(),
            listen_port: None,
            dht: false,
            lsd: false,
            upnp: false,
            natpmp: false,
            encryption: Encryption::Prefer,
            limits: RateLimits::default(),
            limit_local_peers: true,
            resume_dir: dir.path().join("resume"),
            resume_save_seconds: 3600,
            tracker: TrackerProfile::default(),
        };
        core.begin(profile, now).unwrap();
        Self { core, script, dir, now }
    }

    fn run(&mut self, command: EngineCommand) -> Outcome {
        let (reply, outcome) = oneshot::channel();
        self.core.on_command(command, reply, self.now);
        outcome
    }

    fn report(&mut self, kind: AlertKind, slot: u64) {
        self.script.report(kind, slot);
        self.turn();
    }

    fn turn(&mut self) {
        self.core.take_alerts(self.now);
        self.core.take_responses(self.now);
        self.core.on_timers(self.now);
    }

    /// Turns until the store has answered enough for `call` to be made.
    fn until_called(&mut self, call: &str) -> Vec<String> {
        let mut calls = Vec::new();
        for _ in 0..1000 {
            self.turn();
            calls.extend(self.script.take_calls());
            if calls.iter().any(|one| one.starts_with(call)) {
                return calls;
            }
            self.core.shared.wake.wait(Duration::from_millis(20));
        }
        panic!("{call} was not called: {calls:?}");
    }

    fn adding(&self, number: u128, source: AddSource, selection: Option<AppliedSelection>) -> EngineCommand {
        EngineCommand::Add(Box::new(AddTorrent {
            id: id(number),
            source,
            save_dir: self.dir.path().to_owned(),
            selection,
            limits: RateLimits::default(),
            sequential: false,
            seed_mode: false,
            trackers: Vec::new(),
            peers: Vec::new(),
        }))
    }

    /// A member with the slot 0.
    fn with_member(selection: AppliedSelection) -> Self {
        let mut bench = Self::new();
        let source = AddSource::Metainfo(Arc::from(&b"de"[..]));
        let mut outcome = bench.run(bench.adding(1, source, Some(selection)));
        bench.until_called("add 0");
        bench.report(AlertKind::Added, 0);
        assert_eq!(outcome.try_recv().unwrap(), Ok(()));
        bench.script.take_calls();
        bench
    }
}

fn id(number: u128) -> TorrentId {
    TorrentId::from_trusted(uuid::Uuid::from_u128(number))
}

fn selection(version: u64, priorities: &[FilePriority]) -> AppliedSelection {
    AppliedSelection { version, priorities: priorities.to_vec() }
}

fn magnet() -> AddSource {
    AddSource::Magnet("magnet:?xt=urn:btih:0000000000000000000000000000000000000001".to_owned())
}

#[test]
fn content_of_a_magnet_flows_only_after_priorities_are_confirmed() {
    let mut bench = Bench::new();
    drop(bench.run(bench.adding(1, magnet(), None)));
    assert_eq!(bench.until_called("add 0"), ["add 0 upload_mode=true"]);
    bench.report(AlertKind::Added, 0);
    let wanted = selection(3, &[FilePriority::High]);
    let mut early = bench.run(EngineCommand::Select { id: id(1), selection: wanted.clone() });
    assert!(
        matches!(early.try_recv().unwrap(), Err(EngineError::Refused { .. })),
        "no metadata, no priorities"
    );
    bench.report(AlertKind::MetadataReceived, 0);
    assert_eq!(bench.script.take_calls(), ["save 0 info=true"]);

    let mut outcome = bench.run(EngineCommand::Select { id: id(1), selection: wanted });
    bench.turn();
    assert_eq!(bench.script.take_calls(), ["prioritize 0 [7]"]);
    assert!(outcome.try_recv().is_err());
    bench.report(AlertKind::PrioritiesSet, 0);
    assert_eq!(outcome.try_recv().unwrap(), Ok(()));
    assert_eq!(bench.script.take_calls(), ["upload_mode 0 false"]);
    assert_eq!(bench.core.shared.board.observe(id(1)).unwrap().selection_version, Some(3));
}

#[test]
fn skipped_files_hold_content_back_until_priorities_are_set_again_after_the_check() {
    let mut bench = Bench::with_member(selection(1, &[FilePriority::Skip, FilePriority::Normal]));
    bench.report(AlertKind::Checked, 0);
    assert_eq!(bench.script.take_calls(), ["prioritize 0 [0, 4]"]);
    bench.report(AlertKind::PrioritiesSet, 0);
    assert_eq!(bench.script.take_calls(), ["upload_mode 0 false"]);
}

#[test]
fn an_unload_closes_files_saves_and_only_then_removes() {
    let mut bench = Bench::with_member(selection(1, &[FilePriority::Normal]));
    let mut outcome = bench.run(EngineCommand::Unload { id: id(1) });
    bench.turn();
    assert_eq!(bench.script.take_calls(), ["pause 0"]);
    bench.report(AlertKind::Paused, 0);
    assert_eq!(bench.script.take_calls(), ["save 0 info=false", "flush 0"]);
    bench.report(AlertKind::ResumeData, 0);
    bench.report(AlertKind::CacheFlushed, 0);
    assert_eq!(bench.until_called("remove 0"), ["remove 0 partfile=false"]);
    assert!(bench.dir.path().join("resume").join(format!("{}.fastresume", id(1))).is_file());
    assert!(outcome.try_recv().is_err());
    bench.report(AlertKind::Removed, 0);
    assert_eq!(outcome.try_recv().unwrap(), Ok(()));
    assert!(!bench.core.shared.board.observe(id(1)).unwrap().loaded);
}

#[test]
fn an_add_during_an_unload_waits_for_it() {
    let mut bench = Bench::with_member(selection(1, &[FilePriority::Normal]));
    drop(bench.run(EngineCommand::Unload { id: id(1) }));
    let source = AddSource::Metainfo(Arc::from(&b"de"[..]));
    let mut again = bench.run(bench.adding(1, source, Some(selection(1, &[FilePriority::Normal]))));
    bench.report(AlertKind::Paused, 0);
    bench.report(AlertKind::ResumeFailed, 0);
    bench.report(AlertKind::CacheFlushed, 0);
    bench.until_called("remove 0");
    assert!(again.try_recv().is_err());
    bench.report(AlertKind::Removed, 0);
    bench.until_called("add 1");
    bench.report(AlertKind::Added, 1);
    assert_eq!(again.try_recv().unwrap(), Ok(()));
}

#[test]
fn a_removal_waits_for_the_part_file_and_for_the_resume_data() {
    let mut bench = Bench::with_member(selection(1, &[FilePriority::Normal]));
    let mut outcome = bench.run(EngineCommand::Remove { id: id(1), save_dir: bench.dir.path().to_owned() });
    assert_eq!(bench.script.take_calls(), ["remove 0 partfile=true"]);
    bench.report(AlertKind::Removed, 0);
    assert!(outcome.try_recv().is_err(), "writes may still be queued");
    bench.report(AlertKind::Deleted, 0);
    for _ in 0..1000 {
        bench.turn();
        if let Ok(answer) = outcome.try_recv() {
            assert_eq!(answer, Ok(()));
            return;
        }
        bench.core.shared.wake.wait(Duration::from_millis(20));
    }
    panic!("no answer");
}

#[test]
fn a_cap_of_zero_is_put_in_force_without_a_limit() {
    let mut bench = Bench::with_member(selection(1, &[FilePriority::Normal]));
    let zero = Some(revaer_torrent_core::BytesPerSecond(0));
    drop(
        bench
            .run(EngineCommand::SetLimits { id: id(1), limits: RateLimits { download: zero, upload: zero } }),
    );
    assert_eq!(bench.script.take_calls(), ["limits 0 0 0", "hold_uploads 0 true", "upload_mode 0 true"]);
}

#[test]
fn the_interval_of_bookkeeping_follows_the_caps_of_the_members() {
    let mut bench = Bench::with_member(selection(1, &[FilePriority::Normal]));
    let cap = Some(revaer_torrent_core::BytesPerSecond(1000));
    let capped = RateLimits { download: cap, upload: None };
    drop(bench.run(EngineCommand::SetLimits { id: id(1), limits: capped }));
    assert_eq!(bench.script.take_calls(), ["limits 0 1000 0", "hold_uploads 0 false", "tick_interval 100"]);
    // A second one changes nothing, with its cap or without.
    let source = AddSource::Metainfo(Arc::from(&b"de"[..]));
    drop(bench.run(bench.adding(2, source, Some(selection(1, &[FilePriority::Normal])))));
    bench.until_called("add 1");
    bench.report(AlertKind::Added, 1);
    drop(bench.run(EngineCommand::SetLimits { id: id(2), limits: capped }));
    drop(bench.run(EngineCommand::SetLimits { id: id(1), limits: RateLimits::default() }));
    let calls = bench.script.take_calls();
    assert!(!calls.iter().any(|call| call.starts_with("tick_interval")), "{calls:?}");
    // It goes with the last of them.
    drop(bench.run(EngineCommand::Remove { id: id(2), save_dir: bench.dir.path().to_owned() }));
    bench.report(AlertKind::Removed, 1);
    bench.report(AlertKind::Deleted, 1);
    assert_eq!(bench.script.take_calls(), ["remove 1 partfile=true", "tick_interval 500"]);
}

#[test]
fn no_more_than_512_adds_are_unanswered() {
    let mut bench = Bench::new();
    let outcomes: Vec<_> = (1..=600).map(|number| bench.run(bench.adding(number, magnet(), None))).collect();
    let calls = bench.until_called("add 511");
    assert!(!calls.iter().any(|call| call.starts_with("add 512")));
    bench.report(AlertKind::Added, 0);
    bench.until_called("add 512");
    drop(outcomes);
}

#[test]
fn a_session_that_does_not_answer_degrades_the_engine_until_it_does() {
    let mut bench = Bench::new();
    bench.turn();
    bench.now += Duration::from_secs(31);
    bench.turn();
    assert_eq!(bench.core.shared.health.degraded(), ["engine"]);
    bench.report(AlertKind::SessionStats, u64::MAX);
    bench.now += Duration::from_secs(5);
    bench.turn();
    assert!(bench.core.shared.health.degraded().is_empty());
}

#[test]
fn a_shutdown_that_cannot_save_ends_in_time_and_says_so() {
    let mut bench = Bench::with_member(selection(1, &[FilePriority::Normal]));
    bench.report(AlertKind::Checked, 0);
    drop(bench.run(EngineCommand::Shutdown));
    bench.turn();
    assert!(bench.core.take_stopped().is_none());
    // Before the server stops waiting.
    bench.now += Duration::from_secs(9);
    bench.turn();
    let stopped = bench.core.take_stopped().unwrap();
    assert!(stopped.late && matches!(stopped.outcome, Err(EngineError::Storage(_))));
}
