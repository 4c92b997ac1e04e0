//! The shapes of single text values: paths, addresses, hosts, octal modes, setting names.
//!
//! Each returns what is wrong. The domains of the first migration say the same in SQL.

use crate::text::{has_control, is_name, is_visible_ascii};

type Shape = Result<(), &'static str>;

fn require(holds: bool, rule: &'static str) -> Shape {
    if holds { Ok(()) } else { Err(rule) }
}

pub(crate) fn label(text: &str) -> Shape {
    let fits = (1..=128).contains(&text.chars().count()) && !has_control(text);
    require(fits, "must have 1 to 128 characters, none of them a control character")
}

/// An absolute path in its normal form: `/a/b`, without `.`, `..`, empty parts or a slash at the end.
pub(crate) fn path(text: &str) -> Shape {
    require(text.starts_with('/'), "must be an absolute path, beginning with /")?;
    require(text.len() <= 4096, "must have at most 4096 bytes")?;
    require(!has_control(text), "must not contain control characters")?;
    if text == "/" {
        return Ok(());
    }
    require(!text.ends_with('/'), "must not end with a slash")?;
    let mut parts = text.split('/').skip(1);
    require(parts.all(|part| !matches!(part, "" | "." | "..")), "must not contain `.`, `..` or empty parts")
}

pub(crate) fn url(text: &str, schemes: &[&str]) -> Shape {
    let rest = schemes.iter().find_map(|scheme| text.strip_prefix(scheme)?.strip_prefix("://"));
    require(
        text.len() <= 1024 && rest.is_some_and(is_visible_ascii),
        "must be a URL such as http://host:port/path, of at most 1024 bytes, or udp:// where a tracker is meant",
    )
}

fn octal(text: &str) -> bool {
    text.bytes().all(|byte| (b'0'..=b'7').contains(&byte))
}

pub(crate) fn mode_bits(text: &str) -> Shape {
    require(matches!(text.len(), 3 | 4) && octal(text), "must be an octal mode such as \"0644\"")
}

pub(crate) fn umask(text: &str) -> Shape {
    let digits = if text.len() == 4 { text.strip_prefix('0').unwrap_or("") } else { text };
    require(digits.len() == 3 && octal(digits), "must be an octal umask such as \"022\"")
}

/// A user or group, by name or by number.
pub(crate) fn account(text: &str) -> Shape {
    let number = (1..=9).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let named =
        is_name(text, "_.-", 32) && !text.starts_with(|one: char| one.is_ascii_digit() || ".-".contains(one));
    require(number || named, "must be a user or group name, or a number")
}

/// A host name, an IPv4 address, or an IPv6 address in brackets; no port.
pub(crate) fn host(text: &str) -> Shape {
    require(
        is_host(text),
        "must be a host name, an IPv4 address, or an IPv6 address in brackets, without a port",
    )
}

fn is_host(text: &str) -> bool {
    if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return (2..=45).contains(&inner.len())
            && inner.chars().all(|one| one.is_ascii_hexdigit() || ":.".contains(one));
    }
    let edge = |one: char| ".-".contains(one);
    is_name(text, "_.-", 252) && !text.starts_with(edge) && !text.ends_with(edge)
}

/// A web origin: scheme, host and optional port.
pub(crate) fn origin(text: &str) -> Shape {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let fits = rest.is_some_and(|rest| {
        let port = rest.rfind(':').filter(|at| !rest[*at..].contains(']'));
        let (name, port) = port.map_or((rest, None), |at| (&rest[..at], Some(&rest[at + 1..])));
        let port_fits =
            |port: &str| (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit());
        is_host(name) && port.is_none_or(port_fits)
    });
    require(fits, "must be an origin such as https://host:port")
}

/// The name of a section or setting: `engine_profile`, `engine_profile.dht`, `app_profile.telemetry.*`, `dht`.
pub(crate) fn key_path(text: &str) -> Shape {
    let named = text.strip_suffix(".*").unwrap_or(text);
    let part = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    };
    let fits = text.len() <= 128 && named.split('.').count() <= 3 && named.split('.').all(part);
    require(fits, "must be the name of a setting: section, section.field, section.* or field")
}
