//! What a subscriber asks for: filters in the query, a position in `Last-Event-ID`.

use axum::http::{HeaderMap, Uri};
use revaer_api_models::{EventKind, StateKind};
use revaer_events::EventFilter;

use crate::{
    http::{problem::Reject, query::Query, sole},
    torrents::{ID_RULE, parse_id, wire::core_state_kind},
};

/// Where a subscriber begins, and what it wants.
#[derive(Debug, PartialEq)]
pub(crate) struct Asked {
    pub(crate) filter: EventFilter,
    /// `None`: what comes from now on.
    pub(crate) after: Option<u64>,
}

impl Asked {
    pub(crate) fn read(uri: &Uri, headers: &HeaderMap) -> Result<Self, Reject> {
        let mut query = Query::new(uri, &["torrent", "event", "state"])?;
        let filter = EventFilter {
            torrents: query.list("torrent", |id| parse_id(id).ok_or(ID_RULE)),
            kinds: query.words::<EventKind>("event").into_iter().map(EventKind::as_str).collect(),
            states: query.words::<StateKind>("state").into_iter().map(core_state_kind).collect(),
        };
        query.finish()?;
        Ok(Self { filter, after: last_event_id(headers)? })
    }
}

/// An empty header is what a browser sends that has seen no event yet.
fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, Reject> {
    let Some(value) = sole::header(headers, "last-event-id")? else { return Ok(None) };
    let text = value.to_str().unwrap_or("?").trim();
    if text.is_empty() {
        return Ok(None);
    }
    let message = "must be the id of an event of this stream";
    text.parse().map(Some).map_err(|_| {
        Reject::bad_request("correct the header last-event-id, or leave it out to begin now")
            .param("/header/last-event-id", message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str, last: Option<&str>) -> Result<Asked, u16> {
        let mut headers = HeaderMap::new();
        if let Some(last) = last {
            headers.insert("last-event-id", last.parse().unwrap());
        }
        Asked::read(&format!("/v1/events{query}").parse().unwrap(), &headers)
            .map_err(|refused| refused.problem().status)
    }

    #[test]
    fn filters_and_position_are_read() {
        let asked = read("?event=Completed,progress&state=failed", Some("12")).unwrap();
        assert_eq!(asked.filter.kinds, ["completed", "progress"]);
        assert_eq!(asked.filter.states, [revaer_torrent_core::StateKind::Failed]);
        assert_eq!(asked.after, Some(12));
        assert_eq!(read("", Some("")).unwrap().after, None);
    }

    #[test]
    fn a_bad_id_is_told_as_in_a_path() {
        for id in ["foo", "00000000-0000-0000-0000-000000000000"] {
            let uri = format!("/v1/events?torrent={id}").parse().unwrap();
            let refused = Asked::read(&uri, &HeaderMap::new()).unwrap_err();
            assert_eq!(refused.problem().invalid_params[0].message, ID_RULE, "{id}");
        }
    }

    #[test]
    fn a_bad_value_is_refused() {
        for query in ["?torrent=1", "?event=explosion", "?state=asleep", "?since=1"] {
            assert_eq!(read(query, None), Err(400), "{query}");
        }
        for last in ["x", "-1", "1.5"] {
            assert_eq!(read("", Some(last)), Err(400), "{last}");
        }
    }
}
