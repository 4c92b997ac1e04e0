//! Whether a setup call comes from this host, by a program of its operator.
//!
//! Loopback alone proves little: behind a proxy on this host every peer is loopback, and a web page in a local
//! browser can send a form. So the name that was called, the absence of a proxy's headers, the page's origin and
//! a content type that no form can send are judged too.

use std::net::{IpAddr, SocketAddr};

use axum::{
    extract::Request,
    http::{HeaderMap, header, uri::Authority},
};

use crate::{http::body::is_json, server::Peer};

/// What proxies add to what they pass on, beside `x-forwarded-…`.
const FORWARDING: [&str; 8] = [
    "forwarded",
    "via",
    "x-forwarded",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "true-client-ip",
    "cf-connecting-ip",
];

/// Why a call is not taken for the operator's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Foreign {
    #[error("the call comes from another host")]
    Peer,
    #[error(
        "the call was not made to a loopback name (its host header must be localhost, 127.0.0.1 or [::1])"
    )]
    Host,
    #[error("the call came through a proxy (it carries a forwarding header)")]
    Forwarded,
    #[error("the call was made by a web page of another origin")]
    Origin,
    #[error("the call does not say content-type: application/json")]
    ContentType,
}

/// Judges a setup call.
pub(crate) fn judge(request: &Request) -> Result<(), Foreign> {
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0);
    if !peer.is_some_and(is_loopback_peer) {
        return Err(Foreign::Peer);
    }
    let headers = request.headers();
    if came_through_proxy(headers) {
        return Err(Foreign::Forwarded);
    }
    let host = sole_host(headers).ok_or(Foreign::Host)?;
    let named = request.uri().authority().is_none_or(is_loopback_name);
    if !is_loopback_name(&host) || !named {
        return Err(Foreign::Host);
    }
    if !origin_is_own(headers, &host) {
        return Err(Foreign::Origin);
    }
    if !is_json(headers) {
        return Err(Foreign::ContentType);
    }
    Ok(())
}

/// 127.0.0.0/8, `::1`, and IPv4 loopback as IPv6 sockets show it.
pub(crate) fn is_loopback_peer(peer: SocketAddr) -> bool {
    peer.ip().to_canonical().is_loopback()
}

/// Whether a proxy says that the request is somebody else's.
pub(crate) fn came_through_proxy(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| is_forwarding(name.as_str()))
}

fn is_forwarding(name: &str) -> bool {
    FORWARDING.contains(&name) || name.starts_with("x-forwarded-")
}

fn sole_host(headers: &HeaderMap) -> Option<Authority> {
    let mut all = headers.get_all(header::HOST).iter();
    let host = all.next()?.to_str().ok()?.parse().ok()?;
    all.next().is_none().then_some(host)
}

/// `localhost`, or a loopback address.
pub(crate) fn is_loopback_name(name: &Authority) -> bool {
    let host = name.host();
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

/// A page of another port is another origin, as browsers see it.
fn origin_is_own(headers: &HeaderMap, host: &Authority) -> bool {
    headers.get_all(header::ORIGIN).iter().all(|origin| {
        let origin = origin.to_str().ok().and_then(|text| text.strip_prefix("http://"));
        origin.is_some_and(|origin| origin.eq_ignore_ascii_case(host.as_str()))
    })
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn check(peer: &str, headers: &[(&str, &str)], expected: Result<(), Foreign>) {
        let mut request = Request::builder().uri("/admin/setup/start");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(Body::empty()).unwrap();
        request.extensions_mut().insert(Peer(peer.parse().unwrap()));
        assert_eq!(judge(&request), expected, "{peer} {headers:?}");
    }

    const JSON: (&str, &str) = ("content-type", "application/json");
    const HOST: (&str, &str) = ("host", "127.0.0.1:7070");
    const LOCAL: &str = "127.0.0.1:4000";

    #[test]
    fn the_operator_on_this_host_passes() {
        for host in ["127.0.0.1:7070", "localhost", "LOCALHOST:1", "[::1]:7070", "127.9.9.9"] {
            check(LOCAL, &[("host", host), JSON], Ok(()));
        }
        for peer in [LOCAL, "[::1]:4000", "[::ffff:127.0.0.1]:4000", "127.1.2.3:1"] {
            check(peer, &[HOST, JSON], Ok(()));
        }
        check(LOCAL, &[HOST, ("content-type", "application/json; charset=utf-8")], Ok(()));
        check(LOCAL, &[HOST, JSON, ("origin", "http://127.0.0.1:7070")], Ok(()));
    }

    #[test]
    fn everyone_else_is_refused_with_the_reason() {
        check("192.0.2.1:4000", &[HOST, JSON], Err(Foreign::Peer));
        check("[::ffff:192.0.2.1]:4000", &[HOST, JSON], Err(Foreign::Peer));
        check(LOCAL, &[JSON], Err(Foreign::Host));
        for host in ["revaer.example", "192.0.2.1", "127.0.0.1.example", "localhost.example", "[::2]"] {
            check(LOCAL, &[("host", host), JSON], Err(Foreign::Host));
        }
        check(LOCAL, &[HOST, ("host", "evil.example"), JSON], Err(Foreign::Host));
        let forwarding = ["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"];
        for name in forwarding.into_iter().chain(FORWARDING) {
            check(LOCAL, &[HOST, JSON, (name, "127.0.0.1")], Err(Foreign::Forwarded));
        }
        for origin in ["null", "http://evil.example", "http://127.0.0.1:3000", "https://127.0.0.1:7070"] {
            check(LOCAL, &[HOST, JSON, ("origin", origin)], Err(Foreign::Origin));
        }
        check(LOCAL, &[HOST], Err(Foreign::ContentType));
        check(LOCAL, &[HOST, ("content-type", "text/plain")], Err(Foreign::ContentType));
        check(
            LOCAL,
            &[HOST, ("content-type", "application/x-www-form-urlencoded")],
            Err(Foreign::ContentType),
        );
    }
}
