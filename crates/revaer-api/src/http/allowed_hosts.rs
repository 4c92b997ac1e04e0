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
        loopback::{came_through_proxy, is_loopback_name, is_loopback_peer},
        problem::Reject,
    },
    server::Peer,
};

/// The address at this end of the connection. An extension of every request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Local(pub(crate) SocketAddr);

/// The two ends of a connection.
#[derive(Debug, Clone, Copy)]
struct Ends {
    peer: SocketAddr,
    local: SocketAddr,
}

impl Ends {
    /// `None` where a proxy speaks for somebody else, whose ends these are not.
    fn of(request: &Request) -> Option<Self> {
        let extensions = request.extensions();
        let ends = Self { peer: extensions.get::<Peer>()?.0, local: extensions.get::<Local>()?.0 };
        (!came_through_proxy(request.headers())).then_some(ends)
    }
}

/// Judges the host that a request is made to. Everything goes where nothing is listed; from this host itself its own
/// addresses go too, so that its health checks work and an unlucky list can be mended.
pub(crate) fn judge(allowed: &[String], request: &Request) -> Result<(), Reject> {
    if allowed.is_empty() {
        return Ok(());
    }
    let ends = Ends::of(request);
    let header = request.headers().get(header::HOST).and_then(|value| value.to_str().ok());
    let named = header.and_then(|text| text.parse::<Authority>().ok());
    // A URI with a host of its own wins over the header (RFC 9112 §3.2.2); neither may be a foreign one.
    let names: Vec<&Authority> = named.iter().chain(request.uri().authority()).collect();
    if !names.is_empty() && names.iter().all(|name| is_allowed(allowed, name, ends)) {
        return Ok(());
    }
    Err(Reject::new(
        ProblemKind::Forbidden,
        "the server may not be called by this host name; use one of app_profile.allowed_hosts, or add this one to \
         them (from the server's own host, 127.0.0.1 always works)",
    )
    .param("/header/host", "is not among app_profile.allowed_hosts"))
}

fn is_allowed(allowed: &[String], name: &Authority, ends: Option<Ends>) -> bool {
    allowed.iter().any(|one| is_same(one, name.host())) || ends.is_some_and(|ends| is_own(name, ends))
}

/// Whether the caller is on this host and names it by address: a loopback one, the one that stands for all (which the
/// file `url` has where the server listens on all), or the very one that it called. A host that calls an address of
/// its own calls from that address, and nobody else can.
fn is_own(name: &Authority, Ends { peer, local }: Ends) -> bool {
    let named = address(name.host()).map(|address| address.to_canonical());
    let is_local = is_loopback_name(name) || named.is_some_and(|address| address.is_unspecified());
    let called = local.ip().to_canonical();
    (is_local && is_loopback_peer(peer)) || (named == Some(called) && peer.ip().to_canonical() == called)
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
    const SERVER: &str = "192.0.2.7:7070";
    const HERE: &str = "127.0.0.1:4000";

    fn check(allowed: &[&str], peer: &str, uri: &str, host: Option<&str>, passes: bool) {
        let local = if peer == AFAR { SERVER } else { HERE };
        check_between(allowed, (peer, local), uri, host, passes);
    }

    fn check_between(
        allowed: &[&str],
        (peer, local): (&str, &str),
        uri: &str,
        host: Option<&str>,
        passes: bool,
    ) {
        let allowed: Vec<String> = allowed.iter().map(|&one| one.to_owned()).collect();
        let mut request = Request::builder().uri(uri);
        if let Some(host) = host {
            request = request.header("host", host);
        }
        let mut request = request.body(Body::empty()).unwrap();
        request.extensions_mut().insert(Peer(peer.parse().unwrap()));
        request.extensions_mut().insert(Local(local.parse().unwrap()));
        let judged = judge(&allowed, &request);
        assert_eq!(judged.is_ok(), passes, "{allowed:?} {peer} {local} {uri} {host:?}");
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
        let allowed = ["revaer.example", "192.0.2.9", "[2001:db8::1]"];
        for host in [
            "revaer.example",
            "REVAER.example:7070",
            "revaer.example.",
            "192.0.2.9:80",
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
        let own = ("192.0.2.7:4000", SERVER);
        check_between(&allowed, own, "/", Some("192.0.2.7:7070"), true);
        check_between(&allowed, ("[::ffff:192.0.2.7]:4000", SERVER), "/", Some("192.0.2.7:7070"), true);
        check_between(&allowed, own, "/", Some("192.0.2.8:7070"), false);
    }

    #[test]
    fn nobody_else_gets_in_by_an_address() {
        let allowed = ["revaer.example"];
        // Neither by their own, nor by the server's.
        for host in ["192.0.2.1", "192.0.2.1:7070", "192.0.2.7:7070", "[::ffff:192.0.2.1]"] {
            check(&allowed, AFAR, "/", Some(host), false);
        }
    }

    #[test]
    fn nobody_gets_in_by_the_address_of_a_proxy_on_this_host() {
        for header in ["x-forwarded-for", "forwarded"] {
            let request = Request::builder().header("host", "127.0.0.1").header(header, "192.0.2.1");
            let mut request = request.body(Body::empty()).unwrap();
            request.extensions_mut().insert(Peer(HERE.parse().unwrap()));
            request.extensions_mut().insert(Local(HERE.parse().unwrap()));
            assert!(judge(&["revaer.example".to_owned()], &request).is_err(), "{header}");
        }
    }
}
