//! A listener that is not where the settings want it, and when it tries again.

use std::time::Duration;

/// How long until an address that could not be listened on is tried again.
pub(super) const AGAIN: Duration = Duration::from_secs(5);
/// The longest pause where each try closes the socket for a moment.
const LONGEST: Duration = Duration::from_mins(1);
/// The first pause while nobody can connect.
const SOON: Duration = Duration::from_millis(100);

/// Where the server listens instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whereabouts {
    /// Where it did, without a break.
    Stayed,
    /// Where it did; the socket was closed for the try.
    WentBack,
    /// The socket was closed for the try, and could not be opened again.
    Nowhere,
}

impl Whereabouts {
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Stayed => "the server stays where it listens",
            Self::WentBack => "the server goes back to where it listened",
            Self::Nowhere => "the server listens nowhere, and tries again",
        }
    }
}

/// The listener could not be moved.
#[derive(Debug)]
pub(super) struct Stuck {
    pub(super) reason: String,
    pub(super) whereabouts: Whereabouts,
}

impl Stuck {
    /// How long until the next try, after so many that failed in a row.
    pub(super) fn pause(&self, failures: u32) -> Duration {
        let doubled = 1 << failures.saturating_sub(1).min(16);
        match self.whereabouts {
            Whereabouts::Stayed => AGAIN,
            Whereabouts::WentBack => (AGAIN * doubled).min(LONGEST),
            Whereabouts::Nowhere => (SOON * doubled).min(AGAIN),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_that_close_the_socket_become_rare_and_those_without_one_begin_soon() {
        let pauses = |whereabouts| {
            let stuck = Stuck { reason: String::new(), whereabouts };
            [1, 2, 3, 9, u32::MAX].map(|failures| stuck.pause(failures).as_millis())
        };
        assert_eq!(pauses(Whereabouts::Stayed), [5000; 5]);
        assert_eq!(pauses(Whereabouts::WentBack), [5000, 10_000, 20_000, 60_000, 60_000]);
        assert_eq!(pauses(Whereabouts::Nowhere), [100, 200, 400, 5000, 5000]);
    }
}
