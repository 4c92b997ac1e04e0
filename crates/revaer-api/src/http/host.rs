//! The header `host`, as RFC 9112 §3.2 asks for it: exactly one in HTTP/1.1, never two, and a host where it is not
//! empty. A request that two parties on its way could understand as one to different hosts goes no further.

use axum::http::{HeaderMap, Version, header, uri::Authority};

use crate::http::{problem::Reject, sole};

/// Judges a request's host before anything else of it is looked at.
pub(crate) fn judge(version: Version, headers: &HeaderMap) -> Result<(), Reject> {
    let name = header::HOST.as_str();
    let refused = |detail: &str, message: &str| {
        Err(Reject::bad_request(detail).param(format!("/header/{name}"), message))
    };
    let Some(value) = sole::header(headers, name)? else {
        // HTTP/1.0 knows none, and HTTP/2 says it elsewhere.
        return if version == Version::HTTP_11 {
            refused("send the header host, which HTTP/1.1 requires", "is missing")
        } else {
            Ok(())
        };
    };
    let named = value.to_str().ok().filter(|text| !text.contains('@'));
    if named.is_some_and(|text| text.is_empty() || text.parse::<Authority>().is_ok()) {
        Ok(())
    } else {
        refused("correct the header host", "must be a host name or address, and perhaps a port")
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn check(version: Version, hosts: &[&'static str], taken: bool) {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(header::HOST, HeaderValue::from_static(host));
        }
        let judged = judge(version, &headers);
        assert_eq!(judged.is_ok(), taken, "{version:?} {hosts:?}");
        if let Err(refused) = judged {
            assert_eq!(refused.problem().status, 400);
            assert_eq!(refused.problem().invalid_params[0].pointer, "/header/host");
        }
    }

    #[test]
    fn http_1_1_names_one_host() {
        for host in ["localhost", "revaer.example:7070", "127.0.0.1", "[::1]:7070", ""] {
            check(Version::HTTP_11, &[host], true);
        }
        check(Version::HTTP_11, &[], false);
        check(Version::HTTP_11, &["a", "a"], false);
        for host in ["a b", "a/b", "user@a", "[::1", "a:b:c"] {
            check(Version::HTTP_11, &[host], false);
        }
    }

    #[test]
    fn other_versions_may_name_none() {
        for version in [Version::HTTP_10, Version::HTTP_2] {
            check(version, &[], true);
            check(version, &["a"], true);
            check(version, &["a", "b"], false);
        }
    }
}
