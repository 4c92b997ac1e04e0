//! What the queue does in the cases that matter, and whatever happens, against a model that sorts all of it each time.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{collection::vec, prelude::*};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Queue, Turn};
use crate::TorrentId;

fn id(number: u8) -> TorrentId {
    TorrentId::from_trusted(Uuid::from_u128(u128::from(number) + 1))
}

fn turn(complete: bool, second: u8) -> Turn {
    let added_at = OffsetDateTime::UNIX_EPOCH + time::Duration::seconds(second.into());
    Turn { held_back: false, complete, added_at }
}

fn held_back(turn: Turn) -> Turn {
    Turn { held_back: true, ..turn }
}

fn running(queue: &Queue) -> Vec<u8> {
    (0..=u8::MAX).filter(|number| queue.admits(id(*number))).collect()
}

/// Three that are incomplete, by age, one of which may run.
fn one_of_three() -> Queue {
    let mut queue = Queue::default();
    queue.set_limit(Some(1));
    for number in 0..3 {
        queue.set(id(number), Some(turn(false, number)));
    }
    queue
}

#[test]
fn without_a_limit_all_run() {
    let mut queue = one_of_three();
    assert_eq!(running(&queue), [0]);
    assert_eq!(queue.set_limit(None), [id(1), id(2)]);
    assert_eq!(running(&queue), [0, 1, 2]);
    assert_eq!(queue.counts(), (3, 0));
}

#[test]
fn with_a_limit_of_zero_none_runs() {
    let mut queue = one_of_three();
    assert_eq!(queue.set_limit(Some(0)), [id(0)]);
    assert_eq!(queue.set(id(3), Some(turn(false, 3))), []);
    assert_eq!(running(&queue), []);
    assert_eq!(queue.counts(), (0, 4));
}

#[test]
fn one_that_completes_makes_room_while_others_wait() {
    let mut queue = one_of_three();
    assert_eq!(queue.set(id(0), Some(turn(true, 0))), [id(0), id(1)]);
    assert_eq!(queue.set(id(1), Some(turn(true, 1))), [id(1), id(2)]);
    assert_eq!(queue.set(id(2), Some(turn(true, 2))), [id(2), id(0)], "of the seeds the oldest runs");
}

#[test]
fn one_that_ends_makes_room_and_one_that_waits_does_not() {
    let mut queue = one_of_three();
    assert_eq!(queue.set(id(1), None), []);
    assert_eq!(queue.set(id(0), None), [id(0), id(2)]);
    assert_eq!(queue.set(id(0), None), []);
}

#[test]
fn an_older_one_takes_the_place_of_a_younger_and_a_seed_gives_way() {
    let mut queue = one_of_three();
    queue.set(id(0), None);
    assert_eq!(queue.set(id(0), Some(turn(false, 0))), [id(0), id(1)]);
    let mut seeds = Queue::default();
    seeds.set_limit(Some(1));
    seeds.set(id(0), Some(turn(true, 0)));
    assert_eq!(seeds.set(id(9), Some(turn(false, 9))), [id(9), id(0)]);
}

#[test]
fn one_that_cannot_be_begun_yields_and_gets_its_turn_back() {
    let mut queue = one_of_three();
    assert_eq!(queue.set(id(0), Some(held_back(turn(false, 0)))), [id(0), id(1)]);
    assert_eq!(queue.set(id(1), Some(held_back(turn(false, 1)))), [id(1), id(2)]);
    assert_eq!(queue.set(id(2), Some(turn(true, 2))), [], "even one that only seeds goes first");
    assert_eq!(queue.set(id(0), Some(turn(false, 0))), [id(0), id(2)]);
    // Where all are held back the first of them tries.
    queue.set(id(2), None);
    queue.set(id(0), Some(held_back(turn(false, 0))));
    assert_eq!(running(&queue), [0]);
}

#[test]
fn what_was_said_before_changes_nothing() {
    let mut queue = one_of_three();
    assert_eq!(queue.set(id(0), Some(turn(false, 0))), []);
    assert_eq!(queue.set_limit(Some(1)), []);
}

/// What is told to the queue.
#[derive(Debug, Clone)]
enum Told {
    Set(u8, Option<Turn>),
    Limit(Option<u32>),
}

fn told() -> impl Strategy<Value = Told> {
    let turn = (prop::bool::weighted(0.2), any::<bool>(), 0_u8..4)
        .prop_map(|(held_back, complete, second)| Turn { held_back, ..turn(complete, second) });
    let turn = prop::option::weighted(0.8, turn);
    prop_oneof![
        6 => (0_u8..12, turn).prop_map(|(number, turn)| Told::Set(number, turn)),
        1 => prop::option::weighted(0.8, 0_u32..8).prop_map(Told::Limit),
    ]
}

fn naive(all: &BTreeMap<TorrentId, Turn>, limit: Option<u32>) -> BTreeSet<TorrentId> {
    let mut places: Vec<_> = all.iter().map(|(id, turn)| (*turn, *id)).collect();
    places.sort_unstable();
    places.truncate(limit.map_or(usize::MAX, |limit| limit as usize));
    places.into_iter().map(|(_, id)| id).collect()
}

proptest! {
    #[test]
    fn it_agrees_with_a_model_that_sorts_everything(history in vec(told(), 0..60)) {
        let (mut queue, mut all, mut limit) = (Queue::default(), BTreeMap::new(), None);
        for told in history {
            let before = naive(&all, limit);
            let changed = match told {
                Told::Set(number, wanted) => {
                    match wanted {
                        Some(turn) => all.insert(id(number), turn),
                        None => all.remove(&id(number)),
                    };
                    queue.set(id(number), wanted)
                }
                Told::Limit(new) => {
                    limit = new;
                    queue.set_limit(new)
                }
            };
            let now = naive(&all, limit);
            for number in 0..12 {
                prop_assert_eq!(queue.admits(id(number)), now.contains(&id(number)));
            }
            prop_assert_eq!(queue.counts(), (now.len(), all.len() - now.len()));
            let differing: BTreeSet<_> = before.symmetric_difference(&now).copied().collect();
            prop_assert_eq!(changed.len(), differing.len(), "each once: {:?}", changed);
            prop_assert_eq!(changed.into_iter().collect::<BTreeSet<_>>(), differing);
        }
    }
}
