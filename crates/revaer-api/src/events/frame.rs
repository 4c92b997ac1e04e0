//! The frames of the stream, byte for byte.

use axum::body::Bytes;
use revaer_api_models::{GAP_EVENT, Gap};
use revaer_events::{Envelope, Item};

use crate::events::wire;

/// The first frame: how long a client waits before it comes back, in milliseconds.
pub(crate) fn retry() -> Bytes {
    Bytes::from_static(b"retry: 5000\n\n")
}

/// An item of the log; `None` where there is nothing to say.
pub(crate) fn item(item: &Item) -> Option<Bytes> {
    match item {
        Item::Event(envelope) => event(envelope),
        Item::Overtaken => None,
        Item::Gap { requested, oldest, newest } => {
            let gap = Gap { requested: *requested, oldest: *oldest };
            Some(named(*newest, GAP_EVENT, &serde_json::to_string(&gap).ok()?))
        }
    }
}

/// A comment that moves the client's position to what its filter has seen. Browsers dispatch nothing for it.
pub(crate) fn keep_alive(position: u64) -> Bytes {
    format!(": keep-alive\nid: {position}\n\n").into()
}

/// A last word.
pub(crate) fn comment(text: &str) -> Bytes {
    format!(": {text}\n\n").into()
}

fn event(envelope: &Envelope) -> Option<Bytes> {
    let Some(wire) = wire::envelope(envelope) else {
        tracing::error!(id = envelope.id, "an event holds a state that is not known; it is left out");
        return None;
    };
    Some(named(envelope.id, envelope.event.kind(), &serde_json::to_string(&wire).ok()?))
}

/// JSON has no line break outside its strings, and none unescaped in them: the data is one line.
fn named(id: u64, name: &str, data: &str) -> Bytes {
    debug_assert!(!data.contains('\n'), "the data would be two lines");
    format!("id: {id}\nevent: {name}\ndata: {data}\n\n").into()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use revaer_events::Event;
    use time::macros::datetime;
    use uuid::Uuid;

    use super::*;

    fn text(one: &Item) -> String {
        String::from_utf8(item(one).unwrap().to_vec()).unwrap()
    }

    fn state(state: &str, message: Option<&str>) -> Item {
        Item::Event(Arc::new(Envelope {
            id: 7,
            at: datetime!(2025-10-17 12:00:00 UTC),
            request_id: Some("r-1".to_owned()),
            event: Event::StateChanged {
                torrent_id: Uuid::from_u128(1),
                state: state.to_owned(),
                message: message.map(ToOwned::to_owned),
            },
        }))
    }

    #[test]
    fn an_event_is_three_lines() {
        let expected = concat!(
            "id: 7\nevent: state_changed\n",
            r#"data: {"id":7,"timestamp":"2025-10-17T12:00:00Z","request_id":"r-1","#,
            r#""event":{"type":"state_changed","torrent_id":"00000000-0000-0000-0000-000000000001","#,
            r#""state":"downloading"}}"#,
            "\n\n"
        );
        assert_eq!(text(&state("downloading", None)), expected);
    }

    #[test]
    fn a_failure_carries_its_message() {
        let text = text(&state("failed", Some("no\nspace")));
        assert!(text.contains(r#""state":{"failed":{"message":"no\nspace"}}"#), "{text}");
        assert_eq!(text.lines().count(), 4);
    }

    #[test]
    fn a_gap_has_the_newest_id() {
        let gap = Item::Gap { requested: 3, oldest: 10, newest: 99 };
        assert_eq!(text(&gap), "id: 99\nevent: gap\ndata: {\"requested\":3,\"oldest\":10}\n\n");
    }
}
