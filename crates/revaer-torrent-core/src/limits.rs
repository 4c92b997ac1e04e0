//! Rate limits of one torrent, or of the whole session.

use crate::BytesPerSecond;

/// Caps on payload in each direction. `None`: no cap. `Some(0)`: no payload at all in that direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct RateLimits {
    /// Cap on what is received.
    pub download: Option<BytesPerSecond>,
    /// Cap on what is sent.
    pub upload: Option<BytesPerSecond>,
}
