//! An event as one line for people. Pure.

use revaer_api_models::{Event, EventEnvelope, EventState};

use crate::{
    stream::Message,
    text::{percent, percent_of, printable, rate, size, span},
};

/// The line; an event of a kind that this program does not know is shown as it came.
pub(super) fn render(message: &Message) -> String {
    let envelope: EventEnvelope = match serde_json::from_str(&message.data) {
        Ok(envelope) => envelope,
        Err(_) => return printable(&format!("{} {} {}", message.id, message.kind, message.data)),
    };
    let time = envelope.timestamp.replace_nanosecond(0).unwrap_or(envelope.timestamp);
    let time = time.format(&time::format_description::well_known::Rfc3339).unwrap_or_default();
    let about = envelope.event.torrent_id().map(|id| format!(" {id}")).unwrap_or_default();
    let what = printable(&what(&envelope.event));
    format!("{time} {} {}{about} {what}", envelope.id, envelope.event.kind()).trim_end().to_owned()
}

fn what(event: &Event) -> String {
    match event {
        Event::TorrentAdded { name, .. } => name.clone(),
        Event::FilesDiscovered { files, .. } => {
            let total = files.iter().map(|file| file.size_bytes).fold(0, u64::saturating_add);
            format!("{} files, {}", files.len(), size(total))
        }
        Event::Progress { bytes_downloaded, bytes_total, download_bps, upload_bps, eta_seconds, .. } => {
            let eta = eta_seconds.map(|eta| format!(", eta {}", span(eta))).unwrap_or_default();
            format!(
                "{} of {}, {} down, {} up{eta}",
                percent(percent_of(*bytes_downloaded, *bytes_total)),
                size(*bytes_total),
                rate(*download_bps),
                rate(*upload_bps)
            )
        }
        Event::StateChanged { state: EventState::Failed { message }, .. } => format!("failed: {message}"),
        Event::StateChanged { state, .. } => state.kind().to_string(),
        Event::Completed { library_path, .. } | Event::FsopsCompleted { library_path, .. } => {
            library_path.clone()
        }
        Event::TorrentRemoved { data_deleted: true, .. } => "with its data".to_owned(),
        Event::TorrentRemoved { data_deleted: false, .. } => "data kept".to_owned(),
        Event::MetadataUpdated { name, selection, rate_limit, sequential, trackers, tags, .. } => [
            ("name", name.is_some()),
            ("selection", selection.is_some()),
            ("rate_limit", rate_limit.is_some()),
            ("sequential", sequential.is_some()),
            ("trackers", trackers.is_some()),
            ("tags", tags.is_some()),
        ]
        .into_iter()
        .filter_map(|(member, changed)| changed.then_some(member))
        .collect::<Vec<_>>()
        .join(", "),
        Event::SelectionReconciled { reason, .. } => reason.clone(),
        Event::FsopsStarted { .. } => String::new(),
        Event::FsopsProgress { step, bytes_done, bytes_total, .. } => {
            format!("{step} {}", percent(percent_of(*bytes_done, *bytes_total)))
        }
        Event::FsopsFailed { step, message, .. } => format!("{step}: {message}"),
        Event::SettingsChanged { description, revision, .. } => format!("revision {revision}: {description}"),
        Event::HealthChanged { degraded } if degraded.is_empty() => "all well".to_owned(),
        Event::HealthChanged { degraded } => format!("degraded: {}", degraded.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(event: &str) -> String {
        let data = format!(r#"{{"id":9,"timestamp":"2025-10-17T12:00:00.25Z","event":{event}}}"#);
        render(&Message { id: 9, kind: "kind".to_owned(), data })
    }

    #[test]
    fn an_event_is_one_line() {
        let id = "00000000-0000-0000-0000-000000000007";
        let lines = [
            line(&format!(r#"{{"type":"torrent_added","torrent_id":"{id}","name":"a\u001b[2Jb"}}"#)),
            line(&format!(
                r#"{{"type":"progress","torrent_id":"{id}","bytes_downloaded":1,"bytes_total":4,"download_bps":2048,"upload_bps":0,"eta_seconds":61}}"#
            )),
            line(&format!(
                r#"{{"type":"state_changed","torrent_id":"{id}","state":{{"failed":{{"message":"disk full"}}}}}}"#
            )),
            line(&format!(r#"{{"type":"fsops_started","torrent_id":"{id}"}}"#)),
            line(r#"{"type":"health_changed","degraded":[]}"#),
            line(r#"{"type":"from_the_future","x":1}"#),
        ];
        insta::assert_snapshot!(lines.join("\n"), @r#"
        2025-10-17T12:00:00Z 9 torrent_added 00000000-0000-0000-0000-000000000007 a�[2Jb
        2025-10-17T12:00:00Z 9 progress 00000000-0000-0000-0000-000000000007 25.0% of 4 B, 2.00 KiB/s down, 0 B/s up, eta 1m1s
        2025-10-17T12:00:00Z 9 state_changed 00000000-0000-0000-0000-000000000007 failed: disk full
        2025-10-17T12:00:00Z 9 fsops_started 00000000-0000-0000-0000-000000000007
        2025-10-17T12:00:00Z 9 health_changed all well
        9 kind {"id":9,"timestamp":"2025-10-17T12:00:00.25Z","event":{"type":"from_the_future","x":1}}
        "#);
    }
}
