//! Values on the command line: how each is read, and what is said when it cannot be.

use std::{fmt, str::FromStr};

use clap::ValueEnum;
use revaer_api_models::{ApiKeyToken, LimitChange};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;

/// For the parser: the id of a torrent that is there.
pub(crate) fn torrent_id(text: &str) -> Result<Uuid, String> {
    parse_id(text).ok_or_else(|| "must be the UUID of a torrent, such as `revaer ls` lists".to_owned())
}

/// For the parser: the id that a torrent is to get.
pub(crate) fn new_torrent_id(text: &str) -> Result<Uuid, String> {
    parse_id(text).ok_or_else(|| "must be a UUID, and not the nil one".to_owned())
}

fn parse_id(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text).ok().filter(|id| !id.is_nil())
}

/// For the parser: the id of an API key.
pub(crate) fn key_id(text: &str) -> Result<String, String> {
    if ApiKeyToken::is_key_id(text) {
        Ok(text.to_owned())
    } else {
        Err("a key id has 1 to 64 characters of A-Z a-z 0-9 _ -".to_owned())
    }
}

/// For the parser: the name of a preset. One of dots alone would be a step in a path.
pub(crate) fn preset_name(text: &str) -> Result<String, String> {
    let fits = (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    if fits && text != "." && text != ".." {
        Ok(text.to_owned())
    } else {
        Err("the name of a preset has 1 to 64 characters of A-Z a-z 0-9 . _ -".to_owned())
    }
}

/// For the parser: a moment.
pub(crate) fn moment(text: &str) -> Result<OffsetDateTime, String> {
    OffsetDateTime::parse(text, &Rfc3339)
        .map_err(|_| "a time is written as in RFC 3339, such as 2030-01-31T12:00:00Z".to_owned())
}

/// An order of the list of torrents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sort {
    /// Newest first
    #[value(name = "added_at:desc")]
    Newest,
    /// Oldest first
    #[value(name = "added_at:asc")]
    Oldest,
}

impl Sort {
    /// The word on the wire.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Newest => "added_at:desc",
            Self::Oldest => "added_at:asc",
        }
    }
}

/// The server's base address: `http` or `https`, without credentials, query or trailing slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiUrl(reqwest::Url);

impl ApiUrl {
    /// The address of a path such as `/v1/torrents`, with query members where there are any.
    pub(crate) fn join(&self, path: &str, query: &[(&str, String)]) -> reqwest::Url {
        let mut url = self.0.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{base}{path}"));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// The address itself.
    pub(crate) const fn as_url(&self) -> &reqwest::Url {
        &self.0
    }
}

impl fmt::Display for ApiUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl FromStr for ApiUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = reqwest::Url::parse(text)
            .map_err(|error| format!("{error}; write it like http://127.0.0.1:7070"))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err("an address begins with http:// or https://".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("no credentials in the address; use REVAER_API_KEY or the key file".to_owned());
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("the address has no query and no fragment".to_owned());
        }
        Ok(Self(url))
    }
}

/// A rate limit: bytes per second, or `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limit(Option<u64>);

impl Limit {
    /// The limit of a new torrent; `none` is no limit.
    pub(crate) const fn at_creation(self) -> Option<u64> {
        self.0
    }

    /// The change to a torrent's limit; an absent flag keeps it.
    pub(crate) fn change(flag: Option<Self>) -> LimitChange {
        match flag {
            None => LimitChange::Keep,
            Some(Self(None)) => LimitChange::Lift,
            Some(Self(Some(limit))) => LimitChange::Set(limit),
        }
    }
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.eq_ignore_ascii_case("none") {
            return Ok(Self(None));
        }
        text.parse().map(|limit| Self(Some(limit))).map_err(|_| {
            "a limit is a whole number of bytes per second (0 stops payload), or none".to_owned()
        })
    }
}

/// A list of globs, separated by commas outside of `{…}` and `[…]`.
pub(crate) fn split_globs(texts: &[String]) -> Vec<String> {
    let mut globs = Vec::new();
    for text in texts {
        let (mut depth, mut start) = (0_usize, 0);
        for (at, character) in text.char_indices() {
            match character {
                '{' | '[' => depth += 1,
                '}' | ']' => depth = depth.saturating_sub(1),
                ',' if depth == 0 => {
                    globs.push(&text[start..at]);
                    start = at + 1;
                }
                _ => {}
            }
        }
        globs.push(&text[start..]);
    }
    clean(globs)
}

/// A list of announce URLs, separated by commas that another URL follows.
pub(crate) fn split_urls(texts: &[String]) -> Vec<String> {
    let mut urls = Vec::new();
    for text in texts {
        let mut start = 0;
        for (at, _) in text.match_indices(',') {
            let next = &text[at + 1..];
            if next.split(',').next().is_some_and(|next| next.contains("://")) {
                urls.push(&text[start..at]);
                start = at + 1;
            }
        }
        urls.push(&text[start..]);
    }
    clean(urls)
}

fn clean(parts: Vec<&str>) -> Vec<String> {
    parts.into_iter().map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_keeps_its_base_path() {
        let url: ApiUrl = "https://host.example/revaer/".parse().unwrap();
        let joined = url.join("/v1/torrents", &[("name", "a b&c".to_owned())]);
        assert_eq!(joined.as_str(), "https://host.example/revaer/v1/torrents?name=a+b%26c");
        assert_eq!(url.to_string(), "https://host.example/revaer");
    }

    #[test]
    fn what_is_no_address_is_refused_without_its_credentials() {
        for text in ["127.0.0.1:7070", "ftp://host", "http://u:pass@host", "http://host?x=1", "nonsense"] {
            let error = text.parse::<ApiUrl>().unwrap_err();
            assert!(!error.contains("pass@"), "{error}");
        }
    }

    #[test]
    fn a_limit_is_a_number_or_none() {
        assert_eq!(Limit::change("none".parse().ok()), LimitChange::Lift);
        assert_eq!(Limit::change("0".parse().ok()), LimitChange::Set(0));
        assert_eq!(Limit::change(None), LimitChange::Keep);
        assert!("fast".parse::<Limit>().is_err());
        assert!("-1".parse::<Limit>().is_err());
    }

    #[test]
    fn an_id_is_any_uuid_but_nil() {
        assert!(torrent_id("01980000-0000-7000-8000-000000000009").is_ok());
        for text in ["nope", "", "00000000-0000-0000-0000-000000000000"] {
            assert!(torrent_id(text).is_err() && new_torrent_id(text).is_err(), "{text}");
        }
    }

    #[test]
    fn names_in_paths_cannot_leave_their_place() {
        assert!(preset_name("tv-1.hd_x").is_ok() && key_id("ops_1-A").is_ok());
        for text in ["", ".", "..", "a/b", "a%2fb", "a b", "ä", &"x".repeat(65)] {
            assert!(preset_name(text).is_err(), "{text}");
            assert!(key_id(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_moment_is_rfc_3339() {
        assert!(moment("2030-01-31T12:00:00+02:00").is_ok());
        assert!(moment("tomorrow").is_err() && moment("2030-01-31").is_err());
    }

    #[test]
    fn commas_inside_braces_do_not_separate_globs() {
        let globs = split_globs(&["*.{mkv,mp4},a/[,x]b".to_owned(), " c ,".to_owned()]);
        assert_eq!(globs, ["*.{mkv,mp4}", "a/[,x]b", "c"]);
    }

    #[test]
    fn commas_inside_a_url_do_not_separate_urls() {
        let urls = split_urls(&["http://a/announce?x=1,2,udp://b:1".to_owned()]);
        assert_eq!(urls, ["http://a/announce?x=1,2", "udp://b:1"]);
    }
}
