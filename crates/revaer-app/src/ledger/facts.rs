//! Decides what a fact comes to. Pure: the stage in, rows and events out.

use std::sync::Arc;

use revaer_catalog::{FsopsStatus, FsopsSummary, TorrentRecord, TorrentView};
use revaer_events::{Event, EventFile, MetadataChange};
use revaer_torrent_core::{
    ContentPath, Magnet, Metainfo, Source, StateKind, TorrentId, Wanted,
    fsops::{JobOutcome, MoveMode},
};
use time::OffsetDateTime;

use super::{
    intents::with_kind,
    item::{Fact, FactReply},
    stage::{Decision, JobEnd, Stage, Write},
};

pub(crate) fn decide(stage: &Stage<'_>, fact: Fact, now: OffsetDateTime) -> (Decision, FactReply) {
    let decision = match fact {
        Fact::AssignPath { id, save_dir, root_name, is_taken } => {
            return assign_path(stage, id, ContentPath { save_dir, root_name }, is_taken);
        }
        Fact::MetadataKnown { id, bytes, metainfo } => metadata_known(stage, id, &bytes, &metainfo, now),
        Fact::Failed { id, message } => failed(stage, id, message, now),
        Fact::Left { id, pieces } => left(stage, id, pieces),
        Fact::Removed { id } => removed(stage, id),
        Fact::JobStarted { id, mode, policy } => return job_started(stage, id, mode, policy),
        Fact::JobFinished { id, generation, outcome } => job_finished(stage, id, generation, outcome),
        Fact::SettingsChanged { revision, sections, .. } => Decision {
            writes: vec![Write::SettingsRevision(revision)],
            events: vec![Event::SettingsChanged {
                description: format!("settings revision {revision}"),
                revision,
                sections,
            }],
            live: Vec::new(),
        },
        Fact::HealthChanged { degraded } => Decision {
            events: vec![Event::HealthChanged {
                degraded: degraded.into_iter().map(ToOwned::to_owned).collect(),
            }],
            ..Decision::default()
        },
    };
    (decision, FactReply::Noted)
}

/// The event that names a torrent's files, paths inside the torrent.
pub(crate) fn files_discovered(id: TorrentId, metainfo: &Metainfo) -> Event {
    let files = metainfo
        .files
        .iter()
        .filter(|file| !file.is_padding)
        .map(|file| EventFile { path: file.path.clone(), size_bytes: file.size.0 })
        .collect();
    Event::FilesDiscovered { torrent_id: id.as_uuid(), files }
}

fn metadata_known(
    stage: &Stage<'_>,
    id: TorrentId,
    bytes: &Arc<[u8]>,
    metainfo: &Metainfo,
    now: OffsetDateTime,
) -> Decision {
    let Some(view) = stage.get(id).filter(|view| !view.record.content.has_metainfo) else {
        return Decision::default();
    };
    // Two links may turn out to be one torrent. The elder goes on and answers to both hashes.
    let Some(other) = stage.by_info_hash(&metainfo.info_hashes, id) else {
        return learn(&view, bytes, metainfo, now);
    };
    if (view.record.added_at, id) > (other.record.added_at, other.record.id) {
        return give_way(&view, other.record.id, now);
    }
    let mut decision = give_way(&other, id, now);
    merge(&mut decision, learn(&view, bytes, metainfo, now));
    decision
}

/// The younger of two torrents with the same content fails, and leaves its hashes to the elder.
fn give_way(younger: &TorrentView, elder: TorrentId, now: OffsetDateTime) -> Decision {
    let mut record = (*younger.record).clone();
    record.same_as = Some(elder);
    record.failure = Some(format!("same content as {elder}"));
    with_kind(record, younger, StateKind::Failed, now)
}

fn learn(view: &TorrentView, bytes: &Arc<[u8]>, metainfo: &Metainfo, now: OffsetDateTime) -> Decision {
    let id = view.record.id;
    let mut record = (*view.record).clone();
    record.info_hashes = metainfo.info_hashes;
    let mut change = MetadataChange::default();
    if let Source::Magnet(uri) = &record.source
        && let Ok(magnet) = Magnet::parse(uri)
    {
        let provisional = magnet.display_name.as_deref() == Some(record.name.as_str())
            || magnet.info_hashes.v1.is_some_and(|hash| hash.to_string() == record.name)
            || magnet.info_hashes.v2.is_some_and(|hash| hash.to_string() == record.name);
        if provisional && record.name != metainfo.name {
            record.name.clone_from(&metainfo.name);
            change.name = Some(metainfo.name.clone());
        }
    }
    record.content.has_metainfo = true;
    record.content.private = metainfo.private;
    record.content.is_directory = metainfo.is_directory;
    record.content.extensions = metainfo.extensions();
    let mut decision = Decision {
        writes: vec![Write::Metainfo(id, Arc::clone(bytes))],
        events: vec![files_discovered(id, metainfo)],
        live: Vec::new(),
    };
    if change != MetadataChange::default() {
        decision.events.push(Event::MetadataUpdated { torrent_id: id.as_uuid(), change });
    }
    match record.wish.selection.apply(&metainfo.files) {
        Ok(priorities) => {
            record.content.wanted_bytes = Some(metainfo.wanted_size(&priorities));
            decision.writes.insert(0, Write::Put(Arc::new(record)));
        }
        Err(error) => {
            record.failure = Some(format!("{error}; change the selection and resume"));
            let mut told = with_kind(record, view, StateKind::Failed, now);
            decision.events.append(&mut told.events);
            told.writes.append(&mut decision.writes);
            decision.writes = told.writes;
        }
    }
    decision
}

fn merge(into: &mut Decision, mut other: Decision) {
    into.writes.append(&mut other.writes);
    into.events.append(&mut other.events);
    into.live.append(&mut other.live);
}

fn assign_path(
    stage: &Stage<'_>,
    id: TorrentId,
    plain: ContentPath,
    is_taken: bool,
) -> (Decision, FactReply) {
    let Some(view) = stage.get(id).filter(|view| view.record.placement.content.is_none()) else {
        return (Decision::default(), FactReply::Noted);
    };
    let content = match stage.path_owner(&plain.root(), id) {
        None if !is_taken => plain,
        Some(owner) if owner.record.is_tombstone() => return (Decision::default(), FactReply::PathBusy),
        Some(_) | None => ContentPath { save_dir: plain.save_dir.join(id.to_string()), ..plain },
    };
    let mut record = (*view.record).clone();
    record.placement.content = Some(content);
    (put(record), FactReply::Noted)
}

fn failed(stage: &Stage<'_>, id: TorrentId, message: String, now: OffsetDateTime) -> Decision {
    let Some(view) = stage.get(id).filter(|view| view.record.failure.as_ref() != Some(&message)) else {
        return Decision::default();
    };
    let mut record = (*view.record).clone();
    record.failure = Some(message);
    with_kind(record, &view, StateKind::Failed, now)
}

fn left(stage: &Stage<'_>, id: TorrentId, pieces: Option<Arc<[u8]>>) -> Decision {
    if stage.any(id).is_none_or(|view| !view.record.content.has_metainfo) {
        return Decision::default();
    }
    Decision { writes: vec![Write::Pieces(id, pieces)], ..Decision::default() }
}

fn removed(stage: &Stage<'_>, id: TorrentId) -> Decision {
    let Some(view) = stage.any(id) else { return Decision::default() };
    let Wanted::Removed { delete_data } = view.record.wish.wanted else { return Decision::default() };
    Decision {
        writes: vec![Write::Delete(id)],
        events: vec![Event::TorrentRemoved { torrent_id: id.as_uuid(), data_deleted: delete_data }],
        live: Vec::new(),
    }
}

fn job_started(
    stage: &Stage<'_>,
    id: TorrentId,
    mode: MoveMode,
    policy: serde_json::Value,
) -> (Decision, FactReply) {
    let Some(view) = stage.get(id) else { return (Decision::default(), FactReply::Gone) };
    let again = view.record.fsops.as_ref().is_some_and(|job| job.claim.is_some());
    let mut record = (*view.record).clone();
    record.fsops = Some(FsopsSummary::of(FsopsStatus::Running, Some(mode)));
    let generation = record.content.generation;
    let mut decision = put(record);
    decision.writes.push(Write::JobClaim { torrent: id, generation, policy });
    if !again {
        decision.events.push(Event::FsopsStarted { torrent_id: id.as_uuid() });
    }
    (decision, FactReply::Noted)
}

fn job_finished(stage: &Stage<'_>, id: TorrentId, generation: u32, outcome: JobOutcome) -> Decision {
    let Some(view) = stage.any(id) else { return Decision::default() };
    let before = view.record.fsops.clone();
    let claim = before.as_ref().and_then(|job| job.claim);
    let mut record = (*view.record).clone();
    let (end, summary, event) = match outcome {
        // It stays as it is: the next start finds it running and goes on from its journal.
        JobOutcome::Interrupted => return Decision::default(),
        JobOutcome::Completed { library_path, moved } => {
            let shown = library_path.to_string_lossy().into_owned();
            let summary = FsopsSummary::of(FsopsStatus::Completed, claim);
            if moved {
                moved_to(&mut record, &library_path);
            }
            record.placement.library_path = Some(library_path.clone());
            let event = Event::FsopsCompleted { torrent_id: id.as_uuid(), library_path: shown };
            (JobEnd::Completed { library_path }, summary, Some(event))
        }
        JobOutcome::Failed { step, message, retry } => {
            let status = if retry { FsopsStatus::Waiting } else { FsopsStatus::Failed };
            let step = step.name();
            let summary =
                FsopsSummary { status, step: Some(step.to_owned()), message: Some(message.clone()), claim };
            // A job that waits for the same thing says so once.
            let told = before.as_ref().is_some_and(|job| job.message == summary.message);
            let event = Event::FsopsFailed {
                torrent_id: id.as_uuid(),
                step: step.to_owned(),
                message: message.clone(),
            };
            let end =
                if retry { JobEnd::Waiting { step, message } } else { JobEnd::Failed { step, message } };
            (end, summary, (!told).then_some(event))
        }
    };
    // The content may have become complete anew meanwhile: then another job is the one to show.
    if generation == record.content.generation {
        record.fsops = Some(summary);
    }
    let mut decision = put(record);
    decision.writes.push(Write::JobFinish { torrent: id, generation, end });
    decision.events.extend(event);
    decision
}

/// After a `move` the torrent's content is the library entry: it seeds from there.
fn moved_to(record: &mut TorrentRecord, library_path: &std::path::Path) {
    if let (Some(parent), Some(name)) = (library_path.parent(), library_path.file_name()) {
        record.placement.content = Some(ContentPath {
            save_dir: parent.to_path_buf(),
            root_name: name.to_string_lossy().into_owned(),
        });
        record.placement.content_in_library = true;
        // Whoever asked for the data to go meant the download. It is a library entry now, which only goes when
        // that is asked for by name.
        if let Wanted::Removed { delete_data } = &mut record.wish.wanted {
            *delete_data = false;
        }
    }
}

fn put(record: TorrentRecord) -> Decision {
    Decision { writes: vec![Write::Put(Arc::new(record))], ..Decision::default() }
}
