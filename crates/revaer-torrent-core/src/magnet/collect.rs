//! The members of a link, one after the other, and what they come to.

use std::{collections::HashSet, net::SocketAddr};

use super::{
    Magnet, MagnetError, file_range,
    ignored::{Ignored, shown},
    info_hash::{self, Taken},
    percent::{Plus, decode},
    url::{self, MAX_URL_BYTES, MAX_URLS, TRACKER_SCHEMES, WEB_SEED_SCHEMES},
};
use crate::InfoHashes;

/// What has been read so far.
#[derive(Default)]
pub(super) struct Members {
    info_hashes: InfoHashes,
    topics: usize,
    name: Option<String>,
    names: usize,
    trackers: Urls,
    web_seeds: Urls,
    peers: Peers,
    files: Vec<u32>,
    ignored: Ignored,
}

#[derive(Default)]
struct Urls {
    kept: Vec<String>,
    seen: usize,
}

#[derive(Default)]
struct Peers {
    kept: Vec<SocketAddr>,
    known: HashSet<SocketAddr>,
    seen: usize,
}

impl Members {
    /// Takes one `name=value`.
    pub(super) fn take(&mut self, member: &str) -> Result<(), MagnetError> {
        let (name, value) = member.split_once('=').unwrap_or((member, ""));
        // The link is stored as it was given, and a database takes no NUL.
        if member.chars().any(char::is_control) {
            return Err(wrong(&shown(name), "it holds a control character"));
        }
        match without_number(name).to_ascii_lowercase().as_str() {
            "xt" => self.take_topic(value),
            "dn" => {
                self.take_name(value);
                Ok(())
            }
            "tr" => self.trackers.take("tr", value, TRACKER_SCHEMES, &mut self.ignored),
            "ws" => self.web_seeds.take("ws", value, WEB_SEED_SCHEMES, &mut self.ignored),
            "x.pe" => {
                self.peers.take(value, &mut self.ignored);
                Ok(())
            }
            "so" => self.take_files(value),
            _ => Ok(()),
        }
    }

    /// What the link comes to.
    pub(super) fn into_magnet(mut self, uri: &str) -> Result<Magnet, MagnetError> {
        if self.info_hashes == InfoHashes::default() {
            return Err(MagnetError::NoInfoHash);
        }
        self.files.sort_unstable();
        self.files.dedup();
        Ok(Magnet {
            uri: uri.to_owned(),
            info_hashes: self.info_hashes,
            display_name: self.name,
            trackers: self.trackers.kept,
            web_seeds: self.web_seeds.kept,
            peers: self.peers.kept,
            select_only: self.files,
            ignored: self.ignored.into_reasons(),
        })
    }

    fn take_topic(&mut self, value: &str) -> Result<(), MagnetError> {
        self.topics += 1;
        let topic = text(value);
        match info_hash::take(&mut self.info_hashes, &topic).map_err(|reason| wrong("xt", &reason))? {
            Taken::Hash => {}
            Taken::Foreign => {
                let reason = format!("{} is no info-hash", shown(&topic));
                self.ignored.note("xt", self.topics, &reason);
            }
        }
        Ok(())
    }

    /// The first name counts: it is for show until metadata is known.
    fn take_name(&mut self, value: &str) {
        self.names += 1;
        let decoded = decode(value, Plus::Space);
        let name = String::from_utf8_lossy(&decoded.bytes).replace(char::is_control, " ");
        let name = name.trim();
        match &self.name {
            _ if name.is_empty() => {}
            None => self.name = Some(name.to_owned()),
            Some(known) if known == name => {}
            Some(_) => self.ignored.note("dn", self.names, "the link gives another name before it"),
        }
    }

    fn take_files(&mut self, value: &str) -> Result<(), MagnetError> {
        let files = text(value);
        if files.is_empty() {
            return Ok(());
        }
        file_range::take(&mut self.files, &files).map_err(|reason| wrong("so", &reason))
    }
}

impl Urls {
    fn take(
        &mut self,
        member: &str,
        value: &str,
        schemes: &[&str],
        ignored: &mut Ignored,
    ) -> Result<(), MagnetError> {
        self.seen += 1;
        let url = match url::read(value, schemes) {
            Ok(url) if self.kept.contains(&url) => return Ok(()),
            Ok(url) => url,
            Err(reason) => {
                ignored.note(member, self.seen, &reason);
                return Ok(());
            }
        };
        if url.len() > MAX_URL_BYTES {
            let length = url.len();
            return Err(wrong(
                member,
                &format!("one is {length} bytes long; at most {MAX_URL_BYTES} are taken"),
            ));
        }
        if self.kept.len() == MAX_URLS {
            return Err(wrong(member, &format!("there are more than {MAX_URLS} of them")));
        }
        self.kept.push(url);
        Ok(())
    }
}

impl Peers {
    fn take(&mut self, value: &str, ignored: &mut Ignored) {
        self.seen += 1;
        let text = text(value);
        let peer = match text.parse::<SocketAddr>() {
            Ok(peer) if peer.port() == 0 || peer.ip().is_unspecified() || peer.ip().is_multicast() => {
                Err("is an address that nobody can be reached at")
            }
            Ok(peer) => Ok(peer),
            Err(_) => Err("is no numeric address with a port; host names are not looked up"),
        };
        match peer {
            Ok(peer) if self.known.insert(peer) => self.kept.push(peer),
            Ok(_) => {}
            Err(reason) => ignored.note("x.pe", self.seen, &format!("{} {reason}", shown(&text))),
        }
    }
}

/// The text of a value that is plain ASCII where it is right.
fn text(value: &str) -> String {
    String::from_utf8_lossy(&decode(value, Plus::Literal).bytes).trim().to_owned()
}

/// `xt.1` is `xt`: the number tells repeated members apart and means nothing else.
fn without_number(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((stem, number)) if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) => {
            stem
        }
        _ => name,
    }
}

fn wrong(member: &str, reason: &str) -> MagnetError {
    MagnetError::Member { member: member.to_owned(), reason: reason.to_owned() }
}
