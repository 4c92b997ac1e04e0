//! Which port is listened on: the one that is wanted, or the first free one. Pure.

use std::time::{Duration, Instant};

use crate::settings::{FIRST_PORT, LAST_PORT};

/// `errno` of a port that somebody else has.
const EADDRINUSE: i32 = 98;
/// How long until a port that was taken is tried again.
const RETRY: Duration = Duration::from_secs(30);

/// The state of listening.
#[derive(Debug)]
pub(crate) struct Listen {
    wanted: Option<u16>,
    current: u16,
    bound: Option<u16>,
    failure: Option<String>,
    retry_at: Option<Instant>,
}

impl Listen {
    pub(crate) fn new(wanted: Option<u16>) -> Self {
        let current = wanted.unwrap_or(FIRST_PORT);
        Self { wanted, current, bound: None, failure: None, retry_at: None }
    }

    /// The port that is or should be listened on.
    pub(crate) fn port(&self) -> u16 {
        self.current
    }

    /// The wish the current state follows.
    pub(crate) fn wanted(&self) -> Option<u16> {
        self.wanted
    }

    /// The port that peers reach.
    pub(crate) fn bound(&self) -> Option<u16> {
        self.bound
    }

    /// Why it is not listened, if it should be.
    pub(crate) fn failure(&self) -> Option<&str> {
        if self.bound.is_some() { None } else { self.failure.as_deref() }
    }

    /// A socket listens on `port`.
    pub(crate) fn on_success(&mut self, port: u16) {
        if port == self.current || self.current == 0 {
            self.bound = Some(port);
            self.failure = None;
            self.retry_at = None;
        }
    }

    /// A socket could not; whether another port is to be tried, which is then [`Self::port`].
    pub(crate) fn on_failure(&mut self, port: u16, code: i32, text: &str, now: Instant) -> bool {
        if port != self.current {
            return false;
        }
        if code == EADDRINUSE {
            self.bound = None;
            if self.wanted.is_none() && self.current < LAST_PORT {
                self.current += 1;
                return true;
            }
        }
        self.failure =
            Some(format!("can not listen for peers on port {port}: {text}; free the port or set another"));
        self.retry_at = Some(now + RETRY);
        false
    }

    /// When to try again.
    pub(crate) fn retry_at(&self) -> Option<Instant> {
        self.retry_at.filter(|_| self.bound.is_none())
    }

    /// Whether to try again now.
    pub(crate) fn take_retry(&mut self, now: Instant) -> bool {
        let due = self.retry_at().is_some_and(|at| at <= now);
        if due {
            self.retry_at = Some(now + RETRY);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_wish_the_next_free_port_is_taken() {
        let mut listen = Listen::new(None);
        assert!(listen.on_failure(6881, EADDRINUSE, "taken", Instant::now()));
        // The other address family failed on the same port: nothing new.
        assert!(!listen.on_failure(6881, EADDRINUSE, "taken", Instant::now()));
        listen.on_success(6882);
        assert_eq!(listen.bound(), Some(6882));
    }

    #[test]
    fn a_wanted_port_that_is_taken_is_a_failure_and_is_tried_again() {
        let now = Instant::now();
        let mut listen = Listen::new(Some(7000));
        assert!(!listen.on_failure(7000, EADDRINUSE, "taken", now));
        assert!(listen.failure().unwrap().contains("7000"));
        assert!(!listen.take_retry(now) && listen.take_retry(now + RETRY));
        listen.on_success(7000);
        assert_eq!((listen.failure(), listen.retry_at()), (None, None));
    }

    #[test]
    fn a_missing_address_family_does_not_matter_while_the_other_listens() {
        let mut listen = Listen::new(None);
        listen.on_success(6881);
        assert!(!listen.on_failure(6881, 97, "no IPv6", Instant::now()));
        assert_eq!((listen.bound(), listen.failure()), (Some(6881), None));
    }
}
