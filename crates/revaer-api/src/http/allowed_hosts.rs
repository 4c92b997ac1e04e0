//! The names that the server may be called by, where the settings list them: a web page whose name an attacker
//! points at this server (DNS rebinding) sends its own name, and gets no further.

use std::net::{IpAddr, SocketAddr};

use axum::{
    extract::Request,
    http::{header, uri::Authority},
};
use revaer_api_models::ProblemKind;

use crate::{
    http::{
        loopback::{is_loopback_name, is_loopback_peer},
        problem::Reject,
    },
    server::Peer,
};

/// Judges the host that a request is made to. Everything goes where nothing is listed; from this host itself its own
/// addresses go too, so that its health checks work and an unlucky list can be mended.
pub(crate) fn judge(allowed: &[String], request: &Request) -> Result<(), Reject> {
    if allowed.is_empty() {
        return Ok(());
    }
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0);
    let header = request.headers().get(header::HOST).and_then(|value| value.to_str().ok());
    let named = header.and_then(|text| text.parse::<Authority>().ok());
    // A URI with a host of its own wins over the header (RFC 9112 §3.2.2); neither may be a foreign one.
    let names: Vec<&Authority> = named.iter().chain(request.uri().authority()).collect();
    if !names.is_empty() && names.iter().all(|name| is_allowed(allowed, name, peer)) {
        return Ok(());
    }
    Err(Reject::new(
        ProblemKind::Forbidden,
        "the server may not be called by this host name; use one of app_profile.allowed_hosts, or add this one to \
         them (from the server's own host, 127.0.0.1 always works)",
    )
    .param("/header/host", "is not among app_profile.allowed_hosts"))
}

fn is_allowed(allowed: &[String], name: &Authority, peer: Option<SocketAddr>) -> bool {
    allowed.iter().any(|one| is_same(one, name.host())) || peer.is_some_and(|peer| is_own(name, peer))
}

/// Whether the caller is on this host and names it by address: a loopback one, the one that stands for all (which the
/// file `url` has where the server listens on all), or the very one that it calls from.
fn is_own(name: &Authority, peer: SocketAddr) -> bool {
    let address = address(name.host()).map(|address| address.to_canonical());
    let is_local = is_loopback_name(name) || address.is_some_and(|address| address.is_unspecified());
    (is_local && is_loopback_peer(peer)) || address == Some(peer.ip().to_canonical())
}

/// Names in any case and with or without the root's dot; addresses by value, whatever they are written like.
fn is_same(one: &str, other: &str) -> bool {
    match (address(one), address(other)) {
        (Some(one), Some(other)) => one == other,
        _ => one.eq_ignore_ascii_case(other.strip_suffix('.').unwrap_or(other)),
    }
}

fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    const AFAR: &str = "192.0.2.1:4000";
    const HERE: &str = "127.0.0.1:4000";

    fn check(allowed: &[&str], peer: &str, uri: &str, host: Option<&str>, passes: bool) {
        let allowed: Vec<String> = allowed.iter().map(|&one| one.to_owned()).collect();
        let mut request = Request::builder().uri(uri);
        if let Some(host) = host {
            request = request.header("host", host);
        }
        let mut request = request.body(Body::empty()).unwrap();
        request.extensions_mut().insert(Peer(peer.parse().unwrap()));
        let judged = judge(&allowed, &request);
        assert_eq!(judged.is_ok(), passes, "{allowed:?} {peer} {uri} {host:?}");
        if let Err(refused) = judged {
            assert_eq!(refused.problem().kind(), Some(ProblemKind::Forbidden));
        }
    }

    #[test]
    fn nothing_listed_means_anything_goes() {
        for host in [None, Some(""), Some("evil.example")] {
            check(&[], AFAR, "/", host, true);
        }
    }

    #[test]
    fn a_listed_name_goes_in_any_case_and_by_any_port() {
        let allowed = ["revaer.example", "192.0.2.7", "[2001:db8::1]"];
        for host in [
            "revaer.example",
            "REVAER.example:7070",
            "revaer.example.",
            "192.0.2.7:80",
            "[2001:db8::1]",
            "[2001:0db8:0::1]:7070",
        ] {
            check(&allowed, AFAR, "/", Some(host), true);
        }
        for host in
            ["evil.example", "xrevaer.example", "revaer.example.evil", "192.0.2.8", "[2001:db8::2]", ""]
        {
            check(&allowed, AFAR, "/", Some(host), false);
        }
        check(&allowed, AFAR, "/", None, false);
    }

    #[test]
    fn the_uris_own_host_counts_too() {
        let allowed = ["revaer.example"];
        check(&allowed, AFAR, "http://revaer.example/health", Some("revaer.example"), true);
        check(&allowed, AFAR, "http://revaer.example/health", None, true);
        check(&allowed, AFAR, "http://evil.example/health", Some("revaer.example"), false);
        check(&allowed, AFAR, "http://revaer.example/health", Some("evil.example"), false);
    }

    #[test]
    fn loopback_names_go_from_this_host_only() {
        let allowed = ["revaer.example"];
        for host in ["127.0.0.1:7070", "localhost", "[::1]:7070"] {
            check(&allowed, HERE, "/", Some(host), true);
            check(&allowed, "[::1]:4000", "/", Some(host), true);
            check(&allowed, AFAR, "/", Some(host), false);
        }
        check(&allowed, HERE, "/", Some("evil.example"), false);
    }

    #[test]
    fn health_checks_by_the_address_that_the_server_listens_on_go() {
        let allowed = ["revaer.example"];
        for host in ["0.0.0.0:7070", "[::]:7070"] {
            check(&allowed, HERE, "/", Some(host), true);
            check(&allowed, AFAR, "/", Some(host), false);
        }
        check(&allowed, AFAR, "/", Some("192.0.2.1:7070"), true);
        check(&allowed, "[::ffff:192.0.2.1]:4000", "/", Some("192.0.2.1:7070"), true);
        check(&allowed, AFAR, "/", Some("192.0.2.2:7070"), false);
    }
}
