//! `tr` and `ws`: whether a URL can be announced to, or fetched from. The engine judges the rest when it asks.

use super::percent::{Plus, decode};

/// So many trackers, and so many web seeds, are taken.
pub(super) const MAX_URLS: usize = 128;
/// So long may each be.
pub(super) const MAX_URL_BYTES: usize = 1024;

/// Schemes of announce URLs (BEP 3, BEP 15), and those of peers in browsers.
pub(super) const TRACKER_SCHEMES: &[&str] = &["http", "https", "udp", "ws", "wss"];
/// Schemes of web seeds (BEP 19).
pub(super) const WEB_SEED_SCHEMES: &[&str] = &["http", "https"];

/// The URL in an encoded value, or why it cannot be used. The reason quotes nothing that may be secret.
pub(super) fn read(value: &str, schemes: &[&str]) -> Result<String, String> {
    let decoded = decode(value, Plus::Literal);
    if decoded.is_malformed {
        return Err("a `%` in it is not followed by two hexadecimal digits".to_owned());
    }
    let text = String::from_utf8(decoded.bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    let url = text.trim();
    if url.is_empty() {
        return Err("it is empty".to_owned());
    }
    // Line ends would reach the tracker's request line; a NUL, the database.
    if url.chars().any(|letter| letter.is_control() || letter.is_whitespace()) {
        return Err("it holds a control character or white space".to_owned());
    }
    let (scheme, rest) = url.split_once("://").ok_or("it is no URL with a host")?;
    if !schemes.iter().any(|known| known.eq_ignore_ascii_case(scheme)) {
        return Err(format!("its scheme{} is not one of {}", named(scheme), schemes.join(", ")));
    }
    if host(rest).is_empty() {
        return Err("it names no host".to_owned());
    }
    Ok(url.to_owned())
}

/// A scheme, where it looks like one (RFC 3986, section 3.1).
fn named(scheme: &str) -> String {
    let is_scheme = scheme.len() <= 16
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    if is_scheme && !scheme.is_empty() { format!(" `{scheme}`") } else { String::new() }
}

/// The host in what follows `://`.
fn host(rest: &str) -> &str {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let endpoint = authority.rsplit('@').next().unwrap_or_default();
    if endpoint.starts_with('[') { endpoint } else { endpoint.split(':').next().unwrap_or_default() }
}
