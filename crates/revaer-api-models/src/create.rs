//! What a client says to add a torrent.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// Body of a torrent's creation: exactly one of `magnet` and `metainfo`, everything else optional.
///
/// An unknown member is refused, so that a misspelled limit is never silently no limit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CreateTorrent {
    /// A magnet link of at most 8 KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub magnet: Option<String>,
    /// A `.torrent` of at most 8 MiB, in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metainfo: Option<String>,
    /// The id to give it; else the server makes one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Uuid>,
    /// Display name; else its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Directory that receives the content; else the configured one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub download_dir: Option<String>,
    /// Ask for pieces in order; else as configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequential: Option<bool>,
    /// Labels: at most 64 of at most 64 characters.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Announce URLs added to its own: at most 128 of at most 1 KiB.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trackers: Vec<String>,
    /// Only files that match one of these globs; empty: all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<String>,
    /// No file that matches one of these globs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// No samples, extras and side files.
    #[serde(skip_serializing_if = "is_false")]
    pub skip_fluff: bool,
    /// Most payload to receive, in bytes per second. Absent: no limit. 0: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_download_bps: Option<u64>,
    /// Most payload to send, in bytes per second. Absent: no limit. 0: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_upload_bps: Option<u64>,
    /// Add it stopped.
    #[serde(skip_serializing_if = "is_false")]
    pub paused: bool,
    /// The content is already in place: seed it without a check.
    #[serde(skip_serializing_if = "is_false")]
    pub seed_mode: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands fields over by reference")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_said_is_sent() {
        let create = CreateTorrent {
            magnet: Some("magnet:?xt=urn:btih:00".to_owned()),
            max_upload_bps: Some(0),
            ..CreateTorrent::default()
        };
        let json = serde_json::to_string(&create).unwrap();
        assert_eq!(json, r#"{"magnet":"magnet:?xt=urn:btih:00","max_upload_bps":0}"#);
        assert_eq!(serde_json::from_str::<CreateTorrent>(&json).unwrap(), create);
    }

    #[test]
    fn an_unknown_member_is_refused() {
        let error = serde_json::from_str::<CreateTorrent>(r#"{"max_download":5}"#).unwrap_err();
        assert!(error.to_string().contains("unknown field `max_download`"), "{error}");
    }
}
