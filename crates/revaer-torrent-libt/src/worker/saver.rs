//! Which resume data is asked for, collected and stored. Pure: it says what to do, the worker does it.
//!
//! A save asks libtorrent for the blob and then for a flush: the blob counts once every write that was queued
//! before it has reached the kernel. One round is with the store at a time, so memory is bounded by
//! [`MAX_ASKED`] blobs being collected and as many being stored.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::{mailbox::Reply, resume::SaveItem, session::Slot};

/// How many blobs are asked for at a time.
const MAX_ASKED: usize = 256;

/// Who wants to know that a save is on disk.
#[derive(Debug)]
pub(crate) enum Waiter {
    /// The caller of a command.
    Command(Reply),
    /// The torrent itself, which leaves the session afterwards.
    Leave,
}

#[derive(Debug, Default)]
struct Asked {
    blob: Option<SaveItem>,
    flushed: bool,
    waiters: Vec<Waiter>,
}

/// A save that has ended.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) slot: Slot,
    pub(crate) outcome: Result<(), String>,
    pub(crate) waiters: Vec<Waiter>,
}

/// The state of all saves.
#[derive(Debug, Default)]
pub(crate) struct Saver {
    /// Something worth saving happened; saved at the next interval.
    dirty: HashSet<Slot>,
    /// A file was completed: saved within seconds.
    soon: HashSet<Slot>,
    queue: VecDeque<Slot>,
    queued: HashMap<Slot, Vec<Waiter>>,
    asked: HashMap<Slot, Asked>,
    collected: Vec<(Slot, SaveItem, Vec<Waiter>)>,
    storing: Vec<(Slot, Vec<Waiter>)>,
}

impl Saver {
    /// Something worth saving happened.
    pub(crate) fn mark(&mut self, slot: Slot) {
        self.dirty.insert(slot);
    }

    /// Something worth saving within seconds happened.
    pub(crate) fn mark_soon(&mut self, slot: Slot) {
        self.soon.insert(slot);
    }

    /// Whether something waits for [`Self::queue_soon`].
    pub(crate) fn has_soon(&self) -> bool {
        !self.soon.is_empty()
    }

    pub(crate) fn is_dirty(&self, slot: Slot) -> bool {
        self.dirty.contains(&slot) || self.soon.contains(&slot)
    }

    /// Queues a save of one torrent.
    pub(crate) fn queue(&mut self, slot: Slot, waiter: Option<Waiter>) {
        let waiters = self.queued.entry(slot).or_insert_with(|| {
            self.queue.push_back(slot);
            Vec::new()
        });
        waiters.extend(waiter);
    }

    /// Queues everything that was marked.
    pub(crate) fn queue_dirty(&mut self) {
        for slot in std::mem::take(&mut self.dirty) {
            self.queue(slot, None);
        }
        self.queue_soon();
    }

    /// Queues what was marked to be saved within seconds.
    pub(crate) fn queue_soon(&mut self) {
        for slot in std::mem::take(&mut self.soon) {
            self.queue(slot, None);
        }
    }

    /// Takes the next torrents whose blobs are to be asked for now.
    pub(crate) fn take_asks(&mut self) -> Vec<Slot> {
        let mut asks = Vec::new();
        let mut busy = VecDeque::new();
        while self.asked.len() + self.collected.len() < MAX_ASKED
            && let Some(slot) = self.queue.pop_front()
        {
            // Its last save is still under way, and may be older than this request.
            if self.is_under_way(slot) {
                busy.push_back(slot);
                continue;
            }
            let waiters = self.queued.remove(&slot).unwrap_or_default();
            self.dirty.remove(&slot);
            self.soon.remove(&slot);
            self.asked.insert(slot, Asked { blob: None, flushed: false, waiters });
            asks.push(slot);
        }
        busy.append(&mut self.queue);
        self.queue = busy;
        asks
    }

    /// Those that were asked for and have not been answered.
    pub(crate) fn asked(&self) -> Vec<Slot> {
        self.asked.keys().copied().collect()
    }

    /// Whether a blob of this torrent is waited for.
    pub(crate) fn wants_blob(&self, slot: Slot) -> bool {
        self.asked.get(&slot).is_some_and(|asked| asked.blob.is_none())
    }

    /// A blob came.
    pub(crate) fn on_blob(&mut self, slot: Slot, item: SaveItem) {
        if let Some(asked) = self.asked.get_mut(&slot) {
            asked.blob = Some(item);
            self.collect(slot);
        }
    }

    /// Every write queued before the blob has been made. One that comes before the blob is another's.
    pub(crate) fn on_flushed(&mut self, slot: Slot) {
        if let Some(asked) = self.asked.get_mut(&slot)
            && asked.blob.is_some()
        {
            asked.flushed = true;
            self.collect(slot);
        }
    }

    /// No flush will come: there is nothing on disk, or its files are closed already.
    pub(crate) fn skip_flush(&mut self, slot: Slot) {
        if let Some(asked) = self.asked.get_mut(&slot) {
            asked.flushed = true;
            self.collect(slot);
        }
    }

    /// libtorrent gives no blob.
    pub(crate) fn on_failed(&mut self, slot: Slot, reason: &str) -> Option<Done> {
        let asked = self.asked.remove(&slot)?;
        Some(Done { slot, outcome: Err(reason.to_owned()), waiters: asked.waiters })
    }

    /// The next round for the store, if it is free and there is one.
    pub(crate) fn take_round(&mut self) -> Option<Vec<SaveItem>> {
        if !self.storing.is_empty() || self.collected.is_empty() {
            return None;
        }
        let mut round = Vec::with_capacity(self.collected.len());
        for (slot, item, waiters) in self.collected.drain(..) {
            round.push(item);
            self.storing.push((slot, waiters));
        }
        Some(round)
    }

    /// The store has finished its round. What it could not write stays marked.
    pub(crate) fn on_stored(&mut self, outcomes: impl IntoIterator<Item = Result<(), String>>) -> Vec<Done> {
        let storing = std::mem::take(&mut self.storing);
        let mut done = Vec::with_capacity(storing.len());
        for ((slot, waiters), outcome) in storing.into_iter().zip(outcomes) {
            if outcome.is_err() {
                self.dirty.insert(slot);
            }
            done.push(Done { slot, outcome, waiters });
        }
        done
    }

    /// The torrent has left. Its saves end without an outcome, except one that the store has already.
    pub(crate) fn forget(&mut self, slot: Slot) -> Vec<Waiter> {
        self.dirty.remove(&slot);
        self.soon.remove(&slot);
        let mut waiters = Vec::new();
        if let Some(queued) = self.queued.remove(&slot) {
            self.queue.retain(|queued| *queued != slot);
            waiters.extend(queued);
        }
        waiters.extend(self.asked.remove(&slot).map(|asked| asked.waiters).unwrap_or_default());
        if let Some(at) = self.collected.iter().position(|(collected, ..)| *collected == slot) {
            waiters.extend(self.collected.swap_remove(at).2);
        }
        waiters
    }

    /// Whether nothing is queued, asked for, or being stored.
    pub(crate) fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.asked.is_empty() && self.collected.is_empty() && self.storing.is_empty()
    }

    fn is_under_way(&self, slot: Slot) -> bool {
        self.asked.contains_key(&slot)
            || self.collected.iter().any(|(collected, ..)| *collected == slot)
            || self.storing.iter().any(|(storing, _)| *storing == slot)
    }

    fn collect(&mut self, slot: Slot) {
        if !self.asked.get(&slot).is_some_and(|asked| asked.flushed && asked.blob.is_some()) {
            return;
        }
        if let Some(Asked { blob: Some(item), waiters, .. }) = self.asked.remove(&slot) {
            self.collected.push((slot, item, waiters));
        }
    }
}

#[cfg(test)]
mod tests;
