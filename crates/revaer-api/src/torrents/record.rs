//! From what a client said and what the source says to the record that the ledger stores.

use revaer_catalog::{ContentFacts, LastObservation, NewTorrent, Placement, TorrentRecord, Wish};
use revaer_config::ConfigSnapshot;
use revaer_torrent_core::{
    Bytes, InfoHashes, Magnet, Metainfo, SelectionRules, Source as Origin, StateKind, TorrentId, Wanted,
};
use time::OffsetDateTime;

use crate::{
    http::faults::Faults,
    torrents::{create_body::CreateBody, source::Source},
};

/// What the record takes from its source.
struct Facts {
    name: Option<String>,
    info_hashes: InfoHashes,
    origin: Origin,
    trackers: Vec<String>,
    peers: Vec<std::net::SocketAddr>,
    content: ContentFacts,
}

/// The torrent to be added; `None` where body and source contradict each other.
pub(crate) fn build(
    body: CreateBody<'_>,
    source: Source,
    settings: &ConfigSnapshot,
    fresh: TorrentId,
    now: OffsetDateTime,
    faults: &mut Faults,
) -> Option<NewTorrent> {
    let selection = match &source {
        // What the client says of files wins over the link's `so`.
        Source::Magnet(magnet) if body.selection.is_everything() => magnet.selection().unwrap_or_default(),
        _ => body.selection,
    };
    let (facts, metainfo) = match source {
        Source::Magnet(magnet) => {
            if body.seed_mode {
                faults.add("/seed_mode", "needs the .torrent: a magnet link does not say what to seed");
                return None;
            }
            (of_magnet(*magnet), None)
        }
        Source::Metainfo(bytes, metainfo) => {
            (of_metainfo(&metainfo, &selection, &body.trackers, faults)?, Some((bytes, *metainfo)))
        }
    };
    let name = body.name.or(facts.name).unwrap_or_else(|| hash_text(&facts.info_hashes));
    let mut trackers = facts.trackers;
    for tracker in body.trackers {
        if !trackers.contains(&tracker) {
            trackers.push(tracker);
        }
    }
    let added_at = now.replace_nanosecond(now.microsecond() * 1_000).unwrap_or(now);
    let wanted = if body.paused { Wanted::Stopped } else { Wanted::Running };
    let record = TorrentRecord {
        id: body.id.unwrap_or(fresh),
        name,
        info_hashes: facts.info_hashes,
        source: facts.origin,
        trackers,
        peers: facts.peers,
        tags: body.tags,
        placement: Placement {
            download_dir: body.download_dir.unwrap_or_else(|| settings.engine.download_root.clone()),
            content: None,
            library_path: None,
            content_in_library: false,
        },
        wish: Wish {
            wanted,
            sequential: body.sequential.unwrap_or(settings.engine.sequential_default),
            seed_mode: body.seed_mode,
            limits: body.limits,
            selection,
            selection_version: 1,
        },
        content: facts.content,
        failure: None,
        same_as: None,
        added_at,
        completed_at: None,
        last: LastObservation {
            kind: if body.paused { StateKind::Stopped } else { StateKind::Queued },
            done: Bytes::ZERO,
            downloaded: Bytes::ZERO,
            uploaded: Bytes::ZERO,
            at: added_at,
        },
        fsops: None,
    };
    Some(NewTorrent { record, metainfo })
}

fn of_magnet(magnet: Magnet) -> Facts {
    Facts {
        name: magnet.display_name,
        info_hashes: magnet.info_hashes,
        origin: Origin::Magnet(magnet.uri),
        trackers: magnet.trackers,
        peers: magnet.peers,
        content: ContentFacts::default(),
    }
}

fn of_metainfo(
    metainfo: &Metainfo,
    selection: &SelectionRules,
    added_trackers: &[String],
    faults: &mut Faults,
) -> Option<Facts> {
    let before = faults.len();
    if metainfo.private && !added_trackers.is_empty() {
        faults.add("/trackers", "a private torrent keeps to its own trackers (BEP 27); leave these out");
    }
    let priorities = selection.apply(&metainfo.files).map_err(|error| {
        faults.add("/include", error.to_string());
    });
    if faults.len() > before {
        return None;
    }
    Some(Facts {
        name: Some(metainfo.name.clone()).filter(|name| !name.is_empty()),
        info_hashes: metainfo.info_hashes,
        origin: Origin::Metainfo,
        trackers: distinct(&metainfo.trackers),
        peers: Vec::new(),
        content: ContentFacts {
            has_metainfo: true,
            private: metainfo.private,
            is_directory: metainfo.is_directory,
            extensions: metainfo.extensions(),
            wanted_bytes: Some(metainfo.wanted_size(&priorities.ok()?)),
            generation: 0,
            complete: false,
        },
    })
}

fn distinct(trackers: &[String]) -> Vec<String> {
    let mut kept: Vec<String> = Vec::with_capacity(trackers.len());
    for tracker in trackers {
        if !kept.contains(tracker) {
            kept.push(tracker.clone());
        }
    }
    kept
}

fn hash_text(hashes: &InfoHashes) -> String {
    let v1 = hashes.v1.map(|hash| hash.to_string());
    v1.or_else(|| hashes.v2.map(|hash| hash.to_string())).unwrap_or_default()
}
