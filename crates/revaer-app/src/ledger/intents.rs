//! Decides what an intent comes to. Pure: the stage in, rows and events out.

use std::sync::Arc;

use revaer_catalog::{
    Intent, IntentError, IntentReply, LastObservation, NewTorrent, RateChange, TorrentRecord, TorrentView,
};
use revaer_events::{Event, MetadataChange};
use revaer_torrent_core::{Bytes, BytesPerSecond, RateLimits, StateKind, TorrentId, Wanted};
use time::OffsetDateTime;

use super::{
    facts::files_discovered,
    stage::{Decision, Stage, Write},
};

/// What to write and what to answer once it is written.
pub(crate) type Decided = Result<(Decision, Answer), IntentError>;

/// The answer to an intent that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The torrent as it is after the commit.
    View(TorrentId),
    /// It is gone.
    Removed,
}

impl Answer {
    pub(crate) fn reply(
        self,
        look: impl Fn(TorrentId) -> Option<TorrentView>,
    ) -> Result<IntentReply, IntentError> {
        match self {
            Self::Removed => Ok(IntentReply::Removed),
            Self::View(id) => {
                look(id).map(|view| IntentReply::Accepted(Box::new(view))).ok_or(IntentError::NotFound(id))
            }
        }
    }
}

pub(crate) fn decide(stage: &Stage<'_>, intent: Intent, now: OffsetDateTime) -> Decided {
    match intent {
        Intent::Add(new) => add(stage, *new, now),
        Intent::Resume(id) => resume(stage, id, now),
        Intent::Pause(id) => pause(stage, id, now),
        Intent::SetRates(id, change) => set_rates(stage, id, change, now),
        Intent::Remove { id, delete_data, delete_library } => {
            remove(stage, id, delete_data, delete_library, now)
        }
    }
}

fn add(stage: &Stage<'_>, new: NewTorrent, now: OffsetDateTime) -> Decided {
    let NewTorrent { mut record, metainfo } = new;
    let id = record.id;
    if let Some(present) = stage.any(id) {
        if present.record.is_tombstone() {
            return Err(IntentError::Refused(format!(
                "the torrent {id} is still being removed; try again in a moment, or leave the id out"
            )));
        }
        let same = present.record.info_hashes.overlaps(&record.info_hashes);
        return if same {
            Ok((Decision::default(), Answer::View(id)))
        } else {
            Err(IntentError::IdTaken(id))
        };
    }
    if let Some(other) = stage.by_info_hash(&record.info_hashes, id) {
        return Err(IntentError::Duplicate { existing: other.record.id });
    }
    record.added_at = cut_to_microseconds(now);
    record.last = LastObservation {
        kind: if record.wish.wanted == Wanted::Stopped { StateKind::Stopped } else { StateKind::Queued },
        done: Bytes::ZERO,
        downloaded: Bytes::ZERO,
        uploaded: Bytes::ZERO,
        at: record.added_at,
    };
    let mut decision = Decision::default();
    decision.events.push(Event::TorrentAdded { torrent_id: id.as_uuid(), name: record.name.clone() });
    decision.writes.push(Write::Put(Arc::new(record)));
    if let Some((bytes, metainfo)) = metainfo {
        decision.events.push(files_discovered(id, &metainfo));
        decision.writes.push(Write::Metainfo(id, bytes));
    }
    Ok((decision, Answer::View(id)))
}

fn resume(stage: &Stage<'_>, id: TorrentId, now: OffsetDateTime) -> Decided {
    let view = stage.get(id).ok_or(IntentError::NotFound(id))?;
    if view.record.wish.wanted == Wanted::Running && view.record.failure.is_none() {
        return Ok((Decision::default(), Answer::View(id)));
    }
    let mut record = (*view.record).clone();
    if record.same_as.take().is_some()
        && let Some(owner) = stage.by_info_hash(&record.info_hashes, id)
    {
        return Err(IntentError::Duplicate { existing: owner.record.id });
    }
    record.wish.wanted = Wanted::Running;
    record.failure = None;
    Ok((with_kind(record, &view, StateKind::Queued, now), Answer::View(id)))
}

fn pause(stage: &Stage<'_>, id: TorrentId, now: OffsetDateTime) -> Decided {
    let view = stage.get(id).ok_or(IntentError::NotFound(id))?;
    if view.record.wish.wanted == Wanted::Stopped {
        return Ok((Decision::default(), Answer::View(id)));
    }
    let mut record = (*view.record).clone();
    record.wish.wanted = Wanted::Stopped;
    let kind = if record.failure.is_some() { StateKind::Failed } else { StateKind::Stopped };
    Ok((with_kind(record, &view, kind, now), Answer::View(id)))
}

fn set_rates(stage: &Stage<'_>, id: TorrentId, change: RateChange, now: OffsetDateTime) -> Decided {
    let view = stage.get(id).ok_or(IntentError::NotFound(id))?;
    let before = view.record.wish.limits;
    let limits = RateLimits {
        download: change.download.unwrap_or(before.download),
        upload: change.upload.unwrap_or(before.upload),
    };
    if limits == before {
        return Ok((Decision::default(), Answer::View(id)));
    }
    let mut record = (*view.record).clone();
    record.wish.limits = limits;
    record.last.at = now;
    let plain = |limit: Option<BytesPerSecond>| limit.map(|rate| rate.0);
    let change = MetadataChange {
        rate_limit: Some((plain(limits.download), plain(limits.upload))),
        ..MetadataChange::default()
    };
    let decision = Decision {
        writes: vec![Write::Put(Arc::new(record))],
        events: vec![Event::MetadataUpdated { torrent_id: id.as_uuid(), change }],
        live: Vec::new(),
    };
    Ok((decision, Answer::View(id)))
}

fn remove(
    stage: &Stage<'_>,
    id: TorrentId,
    delete_data: bool,
    delete_library: bool,
    now: OffsetDateTime,
) -> Decided {
    let view = stage.get(id).ok_or(IntentError::NotFound(id))?;
    if delete_data && view.record.placement.content_in_library && !delete_library {
        return Err(IntentError::Refused(format!(
            "the content of {id} is its library entry (it was moved there); say delete_library:true to delete that, \
             or remove the torrent without its data"
        )));
    }
    let mut record = (*view.record).clone();
    record.wish.wanted = Wanted::Removed { delete_data };
    record.last.at = now;
    let decision = Decision { writes: vec![Write::Put(Arc::new(record))], ..Decision::default() };
    Ok((decision, Answer::Removed))
}

/// The record with a new state, and the event that says so where it differs from what was shown.
pub(crate) fn with_kind(
    mut record: TorrentRecord,
    before: &TorrentView,
    kind: StateKind,
    now: OffsetDateTime,
) -> Decision {
    let mut decision = Decision::default();
    record.last.kind = kind;
    record.last.at = now;
    record.last.done = before.live.done;
    record.last.downloaded = before.live.downloaded;
    record.last.uploaded = before.live.uploaded;
    if kind != before.live.kind || record.failure != before.record.failure {
        decision.events.push(Event::StateChanged {
            torrent_id: record.id.as_uuid(),
            state: kind.name().to_owned(),
            message: record.failure.clone(),
        });
    }
    decision.writes.push(Write::Put(Arc::new(record)));
    decision
}

fn cut_to_microseconds(now: OffsetDateTime) -> OffsetDateTime {
    now.replace_nanosecond(now.nanosecond() / 1000 * 1000).unwrap_or(now)
}
