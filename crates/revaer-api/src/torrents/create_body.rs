//! The members of a torrent to be added, beside its source: every fault is found, none hides another.

use std::path::{Component, Path, PathBuf};

use axum::http::Uri;
use revaer_config::ConfigSnapshot;
use revaer_torrent_core::{BytesPerSecond, RateLimits, SelectionRules, TorrentId};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::http::{
    faults::Faults,
    members::{Members, plain_text},
};

/// Every member there is.
const MEMBERS: [&str; 15] = [
    "magnet",
    "metainfo",
    "id",
    "name",
    "download_dir",
    "sequential",
    "tags",
    "trackers",
    "include",
    "exclude",
    "skip_fluff",
    "max_download_bps",
    "max_upload_bps",
    "paused",
    "seed_mode",
];
const MOST_TAGS: usize = 64;
const LONGEST_TAG: usize = 64;
const LONGEST_NAME: usize = 255;
const MOST_TRACKERS: usize = 128;
const LONGEST_TRACKER: usize = 1024;
const MOST_GLOBS: usize = 64;
const LONGEST_GLOB: usize = 512;
/// `PATH_MAX` of Linux.
const LONGEST_PATH: usize = 4096;
/// What trackers can be reached by.
const SCHEMES: [&str; 3] = ["http", "https", "udp"];

/// What a client says of a torrent to be added.
#[derive(Debug, Default)]
pub(crate) struct CreateBody<'a> {
    pub(crate) magnet: Option<&'a str>,
    /// Base64.
    pub(crate) metainfo: Option<&'a str>,
    pub(crate) id: Option<TorrentId>,
    pub(crate) name: Option<String>,
    pub(crate) download_dir: Option<PathBuf>,
    pub(crate) sequential: Option<bool>,
    pub(crate) tags: Vec<String>,
    pub(crate) trackers: Vec<String>,
    pub(crate) selection: SelectionRules,
    pub(crate) limits: RateLimits,
    pub(crate) paused: bool,
    pub(crate) seed_mode: bool,
}

impl<'a> CreateBody<'a> {
    /// Reads the members of `object`, judged by the settings in force.
    pub(crate) fn read(
        object: &'a Map<String, Value>,
        settings: &ConfigSnapshot,
        faults: &mut Faults,
    ) -> Self {
        let mut members = Members::new(object, &MEMBERS, faults);
        let limit = |number: Option<u64>| number.map(BytesPerSecond);
        Self {
            magnet: members.text("magnet"),
            metainfo: members.text("metainfo"),
            id: id(&mut members),
            name: name(&mut members),
            download_dir: download_dir(&mut members, settings),
            sequential: members.flag("sequential"),
            tags: members.texts("tags", MOST_TAGS, |tag| plain_text(tag, LONGEST_TAG)),
            trackers: members.texts("trackers", MOST_TRACKERS, tracker),
            selection: SelectionRules {
                include: members.texts("include", MOST_GLOBS, glob),
                exclude: members.texts("exclude", MOST_GLOBS, glob),
                skip_fluff: members.flag("skip_fluff").unwrap_or(false),
                priorities: Vec::new(),
            },
            limits: RateLimits {
                download: limit(members.number("max_download_bps")),
                upload: limit(members.number("max_upload_bps")),
            },
            paused: members.flag("paused").unwrap_or(false),
            seed_mode: members.flag("seed_mode").unwrap_or(false),
        }
    }
}

fn id(members: &mut Members<'_, '_>) -> Option<TorrentId> {
    let text = members.text("id")?;
    let id = Uuid::try_parse(text).ok().and_then(TorrentId::new);
    if id.is_none() {
        members.fault("id", "must be a UUID, and not the nil one");
    }
    id
}

fn name(members: &mut Members<'_, '_>) -> Option<String> {
    let text = members.text("name")?;
    match plain_text(text, LONGEST_NAME) {
        Ok(()) => Some(text.to_owned()),
        Err(message) => {
            members.fault("name", message);
            None
        }
    }
}

fn download_dir(members: &mut Members<'_, '_>, settings: &ConfigSnapshot) -> Option<PathBuf> {
    let text = members.text("download_dir")?;
    let path = Path::new(text);
    if !is_normal(text, path) {
        members.fault("download_dir", "must be an absolute path without `.`, `..` or empty parts");
        return None;
    }
    if !settings.allows(path) {
        let roots: Vec<String> =
            settings.allow_list().iter().map(|root| root.to_string_lossy().into_owned()).collect();
        let message = format!("must lie in one of {}; fs_policy.allow_paths adds others", roots.join(", "));
        members.fault("download_dir", message);
        return None;
    }
    Some(path.to_owned())
}

/// Whether the text is the one spelling of an absolute path.
fn is_normal(text: &str, path: &Path) -> bool {
    let plain = path.components().skip(1).all(|part| matches!(part, Component::Normal(_)));
    let respelled: PathBuf = path.components().collect();
    text.len() <= LONGEST_PATH
        && path.is_absolute()
        && plain
        && respelled.as_os_str() == text
        && !text.chars().any(char::is_control)
}

fn tracker(text: &str) -> Result<(), String> {
    let parsed = text.parse::<Uri>().ok().filter(|_| text.len() <= LONGEST_TRACKER);
    let fits = parsed.is_some_and(|uri| {
        let scheme = uri.scheme_str().is_some_and(|scheme| SCHEMES.contains(&scheme.to_lowercase().as_str()));
        scheme && uri.host().is_some_and(|host| !host.is_empty())
    });
    let rule = "must be an announce URL of at most 1024 bytes that begins with http://, https:// or udp://";
    if fits { Ok(()) } else { Err(rule.to_owned()) }
}

fn glob(text: &str) -> Result<(), String> {
    if !(1..=LONGEST_GLOB).contains(&text.len()) {
        return Err(format!("must have 1 to {LONGEST_GLOB} bytes"));
    }
    let alone = SelectionRules { include: vec![text.to_owned()], ..SelectionRules::default() };
    alone.validate().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_one_spelling_of_a_path_is_taken() {
        for (text, normal) in [
            ("/srv/downloads", true),
            ("/", true),
            ("/srv/ü", true),
            ("srv", false),
            ("/srv/", false),
            ("/srv//x", false),
            ("/srv/./x", false),
            ("/srv/../etc", false),
            ("/srv/\u{0}", false),
            ("", false),
        ] {
            assert_eq!(is_normal(text, Path::new(text)), normal, "{text:?}");
        }
    }

    #[test]
    fn a_tracker_is_a_url_that_can_be_announced_to() {
        for good in ["udp://tracker.example:6969/announce", "http://[::1]:80/a?passkey=1", "HTTPS://t/a"] {
            assert_eq!(tracker(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "t.example",
            "ftp://t/a",
            "wss://t/a",
            "udp://",
            "http://a b/",
            &format!("http://{}", "x".repeat(1024)),
        ] {
            assert!(tracker(bad).is_err(), "{bad}");
        }
    }
}
