//! Torrents over HTTP: added, listed, shown, told what to do, removed.

pub(crate) mod action;
pub(crate) mod create;
pub(crate) mod create_body;
pub(crate) mod cursor;
pub(crate) mod detail;
pub(crate) mod error;
pub(crate) mod files;
pub(crate) mod list;
pub(crate) mod multipart;
pub(crate) mod record;
pub(crate) mod remove;
pub(crate) mod source;
pub(crate) mod wire;

use revaer_torrent_core::TorrentId;
use uuid::Uuid;

use crate::http::problem::Reject;

/// What an id has to be, wherever it stands.
pub(crate) const ID_RULE: &str = "must be the UUID of a torrent, such as GET /v1/torrents lists";

/// The id that `text` is.
pub(crate) fn parse_id(text: &str) -> Option<TorrentId> {
    Uuid::try_parse(text).ok().and_then(TorrentId::new)
}

/// The id in a path.
fn path_id(text: &str) -> Result<TorrentId, Reject> {
    parse_id(text).ok_or_else(|| Reject::bad_request("correct the id in the path").param("/path/id", ID_RULE))
}
