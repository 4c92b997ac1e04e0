//! The saver's rules, without libtorrent and without a store.

use revaer_torrent_core::{InfoHashes, TorrentId};

use super::*;
use crate::resume::MetaRecord;

fn item(slot: Slot) -> SaveItem {
    SaveItem {
        id: TorrentId::from_trusted(uuid::Uuid::from_u128(u128::from(slot.0) + 1)),
        blob: vec![0],
        record: MetaRecord::new(None, "/downloads".into(), false, &InfoHashes::default()),
        claims_pieces: true,
    }
}

fn collect(saver: &mut Saver, slot: Slot) {
    saver.on_blob(slot, item(slot));
    saver.on_flushed(slot);
}

#[test]
fn a_blob_counts_only_after_the_flush_that_follows_it() {
    let mut saver = Saver::default();
    saver.queue(Slot(1), None);
    assert_eq!(saver.take_asks(), [Slot(1)]);
    saver.on_flushed(Slot(1));
    assert!(saver.take_round().is_none());
    saver.on_blob(Slot(1), item(Slot(1)));
    assert!(saver.take_round().is_none());
    saver.on_flushed(Slot(1));
    assert_eq!(saver.take_round().map(|round| round.len()), Some(1));
}

#[test]
fn a_request_during_a_save_is_a_save_of_its_own() {
    let mut saver = Saver::default();
    saver.queue(Slot(1), None);
    assert_eq!(saver.take_asks(), [Slot(1)]);
    saver.queue(Slot(1), Some(Waiter::Leave));
    assert!(saver.take_asks().is_empty());
    collect(&mut saver, Slot(1));
    saver.take_round();
    assert!(saver.take_asks().is_empty());
    let done = saver.on_stored([Ok(())]);
    assert!(done.len() == 1 && done[0].waiters.is_empty());
    assert_eq!(saver.take_asks(), [Slot(1)]);
}

#[test]
fn one_round_is_with_the_store_at_a_time_and_the_next_holds_what_came_meanwhile() {
    let mut saver = Saver::default();
    for number in 0..4 {
        saver.queue(Slot(number), None);
    }
    saver.take_asks();
    collect(&mut saver, Slot(0));
    assert_eq!(saver.take_round().map(|round| round.len()), Some(1));
    for number in 1..4 {
        collect(&mut saver, Slot(number));
    }
    assert!(saver.take_round().is_none());
    saver.on_stored([Ok(())]);
    assert_eq!(saver.take_round().map(|round| round.len()), Some(3));
}

#[test]
fn what_could_not_be_stored_stays_marked() {
    let mut saver = Saver::default();
    saver.mark(Slot(1));
    saver.queue_dirty();
    saver.take_asks();
    assert!(!saver.is_dirty(Slot(1)));
    collect(&mut saver, Slot(1));
    saver.take_round();
    let done = saver.on_stored([Err("no space".to_owned())]);
    assert_eq!(done[0].outcome, Err("no space".to_owned()));
    assert!(saver.is_dirty(Slot(1)) && saver.is_idle());
}

#[test]
fn blobs_are_asked_for_in_bounded_numbers() {
    let mut saver = Saver::default();
    for number in 0..10_000 {
        saver.queue(Slot(number), None);
    }
    assert_eq!(saver.take_asks().len(), MAX_ASKED);
    assert!(saver.take_asks().is_empty());
}

#[test]
fn a_torrent_that_left_holds_nothing_up() {
    let mut saver = Saver::default();
    saver.queue(Slot(1), Some(Waiter::Leave));
    saver.queue(Slot(2), None);
    saver.take_asks();
    assert_eq!(saver.forget(Slot(1)).len(), 1);
    saver.on_blob(Slot(1), item(Slot(1)));
    collect(&mut saver, Slot(2));
    assert_eq!(saver.take_round().map(|round| round.len()), Some(1));
    saver.on_stored([Ok(())]);
    assert!(saver.is_idle());
}
