//! Decides what a level comes to: what changes in memory only, and what has to be durable. Pure.

use std::sync::Arc;

use revaer_catalog::{FsopsStatus, FsopsSummary, LastObservation, Live, TorrentView};
use revaer_events::Event;
use revaer_torrent_core::{Bytes, StateKind, TorrentId, Transfer, derive_kind};
use time::{Duration, OffsetDateTime};

use super::{
    intents::with_kind,
    item::{JobProgress, Level},
    stage::{Decision, Stage, Write},
};

/// How old the stored counters of a torrent may become: those of a download are what a page shows right after a
/// crash, those of a seed are only a ratio.
const STORE_DOWNLOAD: Duration = Duration::seconds(10);
const STORE_SEED: Duration = Duration::seconds(60);

pub(crate) fn decide(stage: &Stage<'_>, id: TorrentId, level: &Level, now: OffsetDateTime) -> Decision {
    let Some(view) = stage.get(id) else { return Decision::default() };
    let record = &view.record;
    let complete = level.complete.unwrap_or(record.content.complete);
    let failure = record.failure.clone().or_else(|| level.error.clone());
    let upload_off = record.wish.limits.upload.is_some_and(|limit| limit.0 == 0);
    let transfer = Transfer { engine: level.state, failed: failure.is_some(), complete, upload_off };
    let kind = derive_kind(record.wish.wanted, transfer);
    let live = Live {
        kind,
        done: level.done.unwrap_or(view.live.done),
        downloaded: level.downloaded.max(view.live.downloaded),
        uploaded: level.uploaded.max(view.live.uploaded),
        download_rate: level.download_rate,
        upload_rate: level.upload_rate,
        loaded: level.loaded,
    };
    let seen = TorrentView { record: Arc::clone(record), live };
    // The counters of now with the state that was shown: what a change of state is told against.
    let shown = TorrentView { record: Arc::clone(record), live: Live { kind: view.live.kind, ..live } };
    let mut decision = Decision::default();
    decision.events.extend(progress(&view, &seen, level));
    if complete != record.content.complete {
        completion(&mut decision, &shown, complete, kind, now);
    } else if kind != record.last.kind || failure != record.failure {
        let mut record = (**record).clone();
        record.failure = failure;
        let mut told = with_kind(record, &shown, kind, now);
        decision.writes.append(&mut told.writes);
        decision.events.append(&mut told.events);
    } else if now - record.last.at > store_every(complete)
        && let Some(stored) = store_counters(&seen, now)
    {
        decision.writes.extend(stored.writes);
    }
    decision.live.push((id, live));
    decision
}

/// How far a job is, for whoever watches; never stored.
pub(crate) fn decide_job(stage: &Stage<'_>, id: TorrentId, progress: JobProgress) -> Decision {
    if stage.get(id).is_none() {
        return Decision::default();
    }
    Decision {
        events: vec![Event::FsopsProgress {
            torrent_id: id.as_uuid(),
            step: progress.step.name().to_owned(),
            bytes_done: progress.done.0,
            bytes_total: progress.total.0,
        }],
        ..Decision::default()
    }
}

fn progress(before: &TorrentView, now: &TorrentView, level: &Level) -> Option<Event> {
    let known = now.record.content.wanted_bytes.is_some() && level.loaded;
    let (old, new) = (before.live, now.live);
    let moved =
        old.done != new.done || old.download_rate != new.download_rate || old.upload_rate != new.upload_rate;
    let newly_complete = level.complete == Some(true) && !now.record.content.complete;
    (known && (moved || newly_complete)).then(|| Event::Progress {
        torrent_id: now.record.id.as_uuid(),
        bytes_downloaded: new.done.0,
        bytes_total: now.record.content.wanted_bytes.unwrap_or(Bytes::ZERO).0,
        download_bps: new.download_rate.0,
        upload_bps: new.upload_rate.0,
        eta_seconds: now.eta_seconds(),
    })
}

/// Wanted content became complete, or is no longer.
fn completion(
    decision: &mut Decision,
    shown: &TorrentView,
    complete: bool,
    kind: StateKind,
    now: OffsetDateTime,
) {
    let id = shown.record.id;
    let mut record = (*shown.record).clone();
    // What was complete when it came is not the pipeline's business.
    let came_complete = record.wish.seed_mode && record.content.generation == 0;
    record.content.complete = complete;
    if complete {
        record.content.generation += 1;
        record.completed_at.get_or_insert(now);
        if !came_complete {
            record.fsops = Some(FsopsSummary::of(FsopsStatus::Queued, None));
        }
    }
    let generation = record.content.generation;
    let path = record.placement.content.as_ref().map(|content| content.root().to_string_lossy().into_owned());
    let mut told = with_kind(record, shown, kind, now);
    decision.writes.append(&mut told.writes);
    decision.events.append(&mut told.events);
    if complete && !came_complete {
        decision.writes.push(Write::JobInsert { torrent: id, generation });
        decision
            .events
            .push(Event::Completed { torrent_id: id.as_uuid(), library_path: path.unwrap_or_default() });
    }
}

const fn store_every(complete: bool) -> Duration {
    if complete { STORE_SEED } else { STORE_DOWNLOAD }
}

/// What was last seen of a torrent, for its record; nothing where the record has it.
pub(crate) fn store_counters(seen: &TorrentView, now: OffsetDateTime) -> Option<Decision> {
    let Live { done, downloaded, uploaded, .. } = seen.live;
    let last = LastObservation { done, downloaded, uploaded, ..seen.record.last };
    if last == seen.record.last {
        return None;
    }
    let mut record = (*seen.record).clone();
    record.last = LastObservation { at: now, ..last };
    Some(Decision { writes: vec![Write::Put(Arc::new(record))], ..Decision::default() })
}
