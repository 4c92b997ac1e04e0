//! How long to wait before a stream is opened again. Pure: chance is handed in.

use std::time::Duration;

/// No wait grows beyond this.
const LONGEST: Duration = Duration::from_mins(1);
/// No wait starts below this, whatever the server says, so that a broken server is not hammered.
const SHORTEST: Duration = Duration::from_millis(10);

/// The waits of one stream: the base, doubled with every failure in a row, up to a minute, ± 20 %.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    base: Duration,
    failures: u32,
}

impl Backoff {
    /// Waits that start at `base`.
    pub(crate) fn new(base: Duration) -> Self {
        Self { base: base.clamp(SHORTEST, LONGEST), failures: 0 }
    }

    /// The server said where to start from; its word wins.
    pub(crate) fn set_base(&mut self, base: Duration) {
        self.base = base.clamp(SHORTEST, LONGEST);
    }

    /// The stream delivered: the next wait starts from the base again.
    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// The next wait; `chance` in 0..=255 picks a point between −20 % and +20 %.
    pub(crate) fn next(&mut self, chance: u8) -> Duration {
        let grown = self.base.saturating_mul(1_u32 << self.failures.min(16)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        grown.mul_f64(0.8 + 0.4 * f64::from(chance) / 255.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_minute() {
        let mut backoff = Backoff::new(Duration::from_secs(5));
        let waits: Vec<_> = (0..6).map(|_| backoff.next(0).as_secs()).collect();
        assert_eq!(waits, [4, 8, 16, 32, 48, 48]);
        backoff.succeeded();
        assert_eq!(backoff.next(255).as_secs(), 6);
        for _ in 0..100 {
            assert!(backoff.next(255) <= Duration::from_secs(72));
        }
    }

    #[test]
    fn the_servers_word_wins_within_reason() {
        let mut backoff = Backoff::new(Duration::from_secs(5));
        backoff.set_base(Duration::ZERO);
        assert_eq!(backoff.next(0), Duration::from_millis(8));
        backoff.set_base(Duration::MAX);
        assert_eq!(backoff.next(0), Duration::from_secs(48));
    }
}
