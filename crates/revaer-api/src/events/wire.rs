//! Events in the wire's words.

use revaer_api_models::{
    DiscoveredFile, Event as WireEvent, EventEnvelope, EventState, RateLimit, RequestId, StateKind,
};
use revaer_events::{Envelope, Event};

/// An event with its place; `None` where it holds a state that nobody knows, which no version writes.
pub(crate) fn envelope(envelope: &Envelope) -> Option<EventEnvelope> {
    Some(EventEnvelope {
        id: envelope.id,
        timestamp: envelope.at,
        request_id: envelope.request_id.clone().and_then(|id| RequestId::try_from(id).ok()),
        event: event(&envelope.event)?,
    })
}

fn event(event: &Event) -> Option<WireEvent> {
    Some(match event.clone() {
        Event::TorrentAdded { torrent_id, name } => WireEvent::TorrentAdded { torrent_id, name },
        Event::FilesDiscovered { torrent_id, files } => {
            let file = |file: &revaer_events::EventFile| DiscoveredFile {
                path: file.path.clone(),
                size_bytes: file.size_bytes,
            };
            WireEvent::FilesDiscovered { torrent_id, files: files.iter().map(file).collect() }
        }
        Event::Progress {
            torrent_id,
            bytes_downloaded,
            bytes_total,
            download_bps,
            upload_bps,
            eta_seconds,
        } => WireEvent::Progress {
            torrent_id,
            bytes_downloaded,
            bytes_total,
            download_bps,
            upload_bps,
            eta_seconds,
        },
        Event::StateChanged { torrent_id, state, message } => {
            let kind: StateKind = state.parse().ok()?;
            WireEvent::StateChanged { torrent_id, state: EventState::new(kind, message.unwrap_or_default()) }
        }
        Event::Completed { torrent_id, library_path } => WireEvent::Completed { torrent_id, library_path },
        Event::TorrentRemoved { torrent_id, data_deleted } => {
            WireEvent::TorrentRemoved { torrent_id, data_deleted }
        }
        Event::MetadataUpdated { torrent_id, change } => {
            let limit = |(download_bps, upload_bps)| RateLimit { download_bps, upload_bps };
            WireEvent::MetadataUpdated {
                torrent_id,
                name: change.name,
                selection: None,
                rate_limit: change.rate_limit.map(limit),
                sequential: None,
                trackers: None,
                tags: None,
            }
        }
        Event::SelectionReconciled { torrent_id, reason } => {
            WireEvent::SelectionReconciled { torrent_id, reason }
        }
        Event::FsopsStarted { torrent_id } => WireEvent::FsopsStarted { torrent_id },
        Event::FsopsProgress { torrent_id, step, bytes_done, bytes_total } => {
            WireEvent::FsopsProgress { torrent_id, step, bytes_done, bytes_total }
        }
        Event::FsopsCompleted { torrent_id, library_path } => {
            WireEvent::FsopsCompleted { torrent_id, library_path }
        }
        Event::FsopsFailed { torrent_id, step, message } => {
            WireEvent::FsopsFailed { torrent_id, step, message }
        }
        Event::SettingsChanged { description, revision, sections } => {
            WireEvent::SettingsChanged { description, revision, sections }
        }
        Event::HealthChanged { degraded } => WireEvent::HealthChanged { degraded },
    })
}
