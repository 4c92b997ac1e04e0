//! Rates as differences of payload totals over our own clock: libtorrent's are a slow low-pass that shows
//! 27 KB/s half a minute after the last byte. Pure: time arrives as an argument.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use revaer_torrent_core::BytesPerSecond;

/// Samples older than this are forgotten, so a rate is zero that long after the last byte.
const WINDOW: Duration = Duration::from_secs(3);
/// A rate over less than this is noise.
const SHORTEST: Duration = Duration::from_millis(400);

/// The rate of one torrent in both directions.
#[derive(Debug, Default)]
pub(crate) struct RateMeter {
    samples: VecDeque<(Instant, u64, u64)>,
}

impl RateMeter {
    /// Notes the payload totals at `now`.
    pub(crate) fn sample(&mut self, now: Instant, received: u64, sent: u64) {
        // The one sample at or before the window's start stays: the rate is measured from it.
        while self.samples.get(1).is_some_and(|(at, ..)| now.duration_since(*at) >= WINDOW) {
            self.samples.pop_front();
        }
        self.samples.push_back((now, received, sent));
    }

    /// Notes at `now` that nothing has changed.
    pub(crate) fn idle(&mut self, now: Instant) {
        if let Some((_, received, sent)) = self.samples.back().copied() {
            self.sample(now, received, sent);
        }
    }

    /// Whether the last sample is so old that a status should have come if anything had moved.
    pub(crate) fn is_stale(&self, now: Instant) -> bool {
        self.samples.back().is_none_or(|(at, ..)| now.duration_since(*at) >= SHORTEST)
    }

    /// Download and upload rate.
    pub(crate) fn rates(&self) -> (BytesPerSecond, BytesPerSecond) {
        let (Some((start, received, sent)), Some((end, received_now, sent_now))) =
            (self.samples.front(), self.samples.back())
        else {
            return (BytesPerSecond(0), BytesPerSecond(0));
        };
        let span = end.duration_since(*start);
        if span < SHORTEST {
            return (BytesPerSecond(0), BytesPerSecond(0));
        }
        let per_second = |from: u64, to: u64| {
            let rate = u128::from(to.saturating_sub(from)) * 1000 / span.as_millis().max(1);
            BytesPerSecond(u64::try_from(rate).unwrap_or(u64::MAX))
        };
        (per_second(*received, *received_now), per_second(*sent, *sent_now))
    }

    /// Whether both rates are zero and stay so until the next byte.
    pub(crate) fn is_still(&self) -> bool {
        match (self.samples.front(), self.samples.back()) {
            (Some(first), Some(last)) => first.1 == last.1 && first.2 == last.2,
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_transfer_has_its_rate_and_a_stopped_one_none() {
        let start = Instant::now();
        let mut meter = RateMeter::default();
        for half_seconds in 0..20u64 {
            meter.sample(start + Duration::from_millis(half_seconds * 500), half_seconds * 500_000, 0);
        }
        assert_eq!(meter.rates().0, BytesPerSecond(1_000_000));
        for half_seconds in 20..28u64 {
            meter.idle(start + Duration::from_millis(half_seconds * 500));
        }
        assert_eq!(meter.rates(), (BytesPerSecond(0), BytesPerSecond(0)));
        assert!(meter.is_still());
    }

    #[test]
    fn one_sample_is_no_rate() {
        let mut meter = RateMeter::default();
        meter.sample(Instant::now(), 1 << 40, 5);
        assert_eq!(meter.rates().0, BytesPerSecond(0));
    }
}
