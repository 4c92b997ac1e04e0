//! After alerts were lost: what had been asked for is asked for again.

use super::*;

/// `torrent_status::state_t`.
const CHECKING: u8 = 1;
const DOWNLOADING: u8 = 3;

/// A torrent of one piece that it does not have, with its metadata.
fn status(slot: u64, state: u8) -> Status {
    Status {
        slot,
        state,
        has_metadata: true,
        paused: false,
        error: String::new(),
        has_v1: false,
        v1: [0; 20],
        has_v2: false,
        v2: [0; 32],
        all_pieces: false,
        piece_count: 0,
        pieces: Vec::new(),
        wanted_done: 0,
        all_time_download: 0,
        all_time_upload: 0,
        session_download: 0,
        session_upload: 0,
        peers: 0,
    }
}

#[test]
fn lost_alerts_lead_to_one_look_at_everything() {
    let mut bench = Bench::new();
    let mut outcome = bench.run(bench.adding(1, magnet(), None));
    bench.until_called("add 0");
    bench.report(AlertKind::Dropped, u64::MAX);
    assert_eq!(bench.script.take_calls(), ["resync"]);
    // The session does not have it: the answer that was lost was a refusal.
    assert!(matches!(outcome.try_recv().unwrap(), Err(EngineError::Refused { .. })));
}

#[test]
fn a_lost_end_of_a_check_is_seen_in_the_status() {
    let mut bench = Bench::with_member(selection(1, &[FilePriority::Skip, FilePriority::Normal]));
    bench.script.statuses.borrow_mut().push(status(0, CHECKING));
    bench.report(AlertKind::Dropped, u64::MAX);
    assert_eq!(bench.script.take_calls(), ["resync"], "it is being checked still");
    bench.script.statuses.borrow_mut()[0].state = DOWNLOADING;
    bench.report(AlertKind::Dropped, u64::MAX);
    assert_eq!(bench.script.take_calls(), ["resync", "prioritize 0 [0, 4]"]);
    // The alert itself may come after all; nothing flows before the priorities are confirmed.
    bench.report(AlertKind::Checked, 0);
    assert_eq!(bench.script.take_calls(), Vec::<String>::new());
    bench.report(AlertKind::PrioritiesSet, 0);
    assert_eq!(bench.script.take_calls(), ["upload_mode 0 false"]);
}

#[test]
fn lost_confirmations_of_priorities_come_again_each() {
    let mut bench = Bench::with_member(selection(1, &[FilePriority::Normal]));
    bench.report(AlertKind::Checked, 0);
    let mut outcomes: Vec<_> = [(2, FilePriority::High), (3, FilePriority::Low)]
        .map(|(version, priority)| {
            bench.run(EngineCommand::Select { id: id(1), selection: selection(version, &[priority]) })
        })
        .into();
    bench.script.take_calls();
    bench.script.statuses.borrow_mut().push(status(0, DOWNLOADING));
    bench.report(AlertKind::Dropped, u64::MAX);
    assert_eq!(bench.script.take_calls(), ["resync", "prioritize 0 [7]", "prioritize 0 [1]"]);
    bench.report(AlertKind::PrioritiesSet, 0);
    bench.report(AlertKind::PrioritiesSet, 0);
    assert!(outcomes.iter_mut().all(|outcome| outcome.try_recv() == Ok(Ok(()))));
    assert_eq!(bench.core.shared.board.observe(id(1)).unwrap().selection_version, Some(3));
}

#[test]
fn a_lost_or_refused_info_dictionary_is_asked_for_again() {
    let mut bench = Bench::new();
    drop(bench.run(bench.adding(1, magnet(), None)));
    bench.until_called("add 0");
    bench.report(AlertKind::Added, 0);
    bench.report(AlertKind::MetadataReceived, 0);
    assert_eq!(bench.script.take_calls(), ["save 0 info=true"]);

    bench.script.statuses.borrow_mut().push(status(0, CHECKING));
    bench.report(AlertKind::Dropped, u64::MAX);
    assert_eq!(bench.script.take_calls(), ["resync", "save 0 info=true"]);

    bench.report(AlertKind::ResumeFailed, 0);
    assert_eq!(bench.script.take_calls(), Vec::<String>::new(), "not at once: it may fail for a while");
    bench.now += Duration::from_hours(1);
    bench.turn();
    assert_eq!(bench.script.take_calls()[0], "save 0 info=true");

    let given = Alert { metainfo: b"de".to_vec(), ..alert(AlertKind::ResumeData, 0) };
    bench.script.alerts.borrow_mut().push(given);
    bench.turn();
    bench.script.take_calls();
    bench.report(AlertKind::Dropped, u64::MAX);
    assert!(!bench.script.take_calls().contains(&"save 0 info=true".to_owned()));
}
