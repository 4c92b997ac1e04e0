//! Latencies and their percentiles.

use std::time::Duration;

/// Latencies, in order of size.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    sorted: Vec<Duration>,
}

impl Figures {
    /// The smallest latency that so many per mille of all do not exceed; zero where there are none.
    pub fn per_mille(&self, share: usize) -> Duration {
        let rank = (self.sorted.len() * share).div_ceil(1000).max(1);
        self.sorted.get(rank - 1).copied().unwrap_or_default()
    }

    /// The largest.
    pub fn max(&self) -> Duration {
        self.sorted.last().copied().unwrap_or_default()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.sorted.len()
    }
}

impl FromIterator<Duration> for Figures {
    fn from_iter<I: IntoIterator<Item = Duration>>(latencies: I) -> Self {
        let mut sorted: Vec<Duration> = latencies.into_iter().collect();
        sorted.sort_unstable();
        Self { sorted }
    }
}

/// Milliseconds as a table shows them.
pub fn milliseconds(duration: Duration) -> String {
    format!("{:.2}", duration.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_latency_that_was_seen() {
        let figures: Figures = (1..=1000).rev().map(Duration::from_millis).collect();
        let seen = [500, 990, 999, 1000].map(|share| figures.per_mille(share).as_millis());
        assert_eq!(seen, [500, 990, 999, 1000]);
        let few: Figures = (1..=3).map(Duration::from_millis).collect();
        assert_eq!([500, 990].map(|share| few.per_mille(share).as_millis()), [2, 3]);
        assert_eq!(Figures::default().per_mille(990), Duration::ZERO);
    }
}
