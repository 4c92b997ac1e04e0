//! The table of problems: every error answer has one of these types, and each type one status and title.

macro_rules! uri {
    ($slug:literal) => {
        concat!("https://revaer.dev/problems/", $slug)
    };
}

/// What kind of problem an answer reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProblemKind {
    /// 400: it cannot be parsed.
    BadRequest,
    /// 401: no key or token, or not a valid one.
    Unauthorized,
    /// 403: setup from elsewhere than this host, or a `Host` that is not allowed.
    Forbidden,
    /// 404: there is no such thing.
    NotFound,
    /// 405: the path does not take this method.
    MethodNotAllowed,
    /// 408: the request took too long.
    RequestTimeout,
    /// 409: it contradicts what is.
    Conflict,
    /// 409: the server is not set up yet.
    SetupRequired,
    /// 409: `existing_id` names the torrent with this content.
    DuplicateTorrent,
    /// 413: the body or a part of it has too many bytes.
    PayloadTooLarge,
    /// 414: the URI is too long.
    UriTooLong,
    /// 431: the header block is too large.
    HeadersTooLarge,
    /// 415: the body is of a type that is not taken.
    UnsupportedMediaType,
    /// 422: well-formed and wrong.
    ValidationFailed,
    /// 422: the settings would not be valid.
    ConfigInvalid,
    /// 422: the magnet link or `.torrent` is not understood.
    InvalidTorrent,
    /// 429: too many requests with this key.
    RateLimited,
    /// 500: a fault of the server.
    Internal,
    /// 503: it cannot be done for now.
    ServiceUnavailable,
    /// 507: there is not enough space.
    InsufficientStorage,
}

impl ProblemKind {
    /// Every kind.
    pub const ALL: [Self; 20] = [
        Self::BadRequest,
        Self::Unauthorized,
        Self::Forbidden,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::RequestTimeout,
        Self::Conflict,
        Self::SetupRequired,
        Self::DuplicateTorrent,
        Self::PayloadTooLarge,
        Self::UriTooLong,
        Self::HeadersTooLarge,
        Self::UnsupportedMediaType,
        Self::ValidationFailed,
        Self::ConfigInvalid,
        Self::InvalidTorrent,
        Self::RateLimited,
        Self::Internal,
        Self::ServiceUnavailable,
        Self::InsufficientStorage,
    ];

    const fn row(self) -> (&'static str, u16, &'static str) {
        match self {
            Self::BadRequest => (uri!("bad-request"), 400, "bad request"),
            Self::Unauthorized => (uri!("unauthorized"), 401, "authentication required"),
            Self::Forbidden => (uri!("forbidden"), 403, "forbidden"),
            Self::NotFound => (uri!("not-found"), 404, "resource not found"),
            Self::MethodNotAllowed => (uri!("method-not-allowed"), 405, "method not allowed"),
            Self::RequestTimeout => (uri!("request-timeout"), 408, "request timed out"),
            Self::Conflict => (uri!("conflict"), 409, "conflict"),
            Self::SetupRequired => (uri!("setup-required"), 409, "setup required"),
            Self::DuplicateTorrent => (uri!("duplicate-torrent"), 409, "torrent already present"),
            Self::PayloadTooLarge => (uri!("payload-too-large"), 413, "payload too large"),
            Self::UriTooLong => (uri!("uri-too-long"), 414, "URI too large"),
            Self::HeadersTooLarge => (uri!("headers-too-large"), 431, "headers too large"),
            Self::UnsupportedMediaType => (uri!("unsupported-media-type"), 415, "unsupported media type"),
            Self::ValidationFailed => (uri!("validation-failed"), 422, "request not valid"),
            Self::ConfigInvalid => (uri!("config-invalid"), 422, "configuration invalid"),
            Self::InvalidTorrent => (uri!("invalid-torrent"), 422, "torrent not understood"),
            Self::RateLimited => (uri!("rate-limited"), 429, "rate limit exceeded"),
            Self::Internal => (uri!("internal"), 500, "internal server error"),
            Self::ServiceUnavailable => (uri!("service-unavailable"), 503, "service unavailable"),
            Self::InsufficientStorage => (uri!("insufficient-storage"), 507, "not enough space"),
        }
    }

    /// The `type` member.
    pub const fn uri(self) -> &'static str {
        self.row().0
    }

    /// The HTTP status.
    pub const fn status(self) -> u16 {
        self.row().1
    }

    /// The `title` member.
    pub const fn title(self) -> &'static str {
        self.row().2
    }

    /// The kind of a `type` member, where it is one of ours.
    pub fn from_uri(uri: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.uri() == uri)
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;

    #[test]
    fn a_type_has_one_status_and_title() {
        let mut table = String::new();
        for kind in ProblemKind::ALL {
            assert_eq!(ProblemKind::from_uri(kind.uri()), Some(kind));
            writeln!(table, "{} {} {}", kind.status(), kind.uri(), kind.title()).unwrap();
        }
        insta::assert_snapshot!(table);
    }

    #[test]
    fn a_foreign_type_has_no_kind() {
        assert_eq!(ProblemKind::from_uri("about:blank"), None);
    }
}
