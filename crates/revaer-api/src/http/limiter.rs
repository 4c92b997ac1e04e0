//! The rate of each key: a bucket that holds `burst` requests and refills over `per_seconds`.
//!
//! The map is bounded by the keys that there are: only a key that was recognized gets a bucket, and the first request
//! under new settings drops the buckets of the keys that are no more, or that are not limited any more.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use revaer_api_models::ProblemKind;
use revaer_config::{ApiKeyInfo, ConfigSnapshot, RateLimit, Revision};
use revaer_telemetry::{Component, Guard};

use crate::{
    http::{problem::Reject, recent::Recent},
    ports::Ports,
};

#[derive(Debug, Clone, Copy)]
struct Bucket {
    limit: RateLimit,
    /// What is in it, in requests.
    level: f64,
    at: Instant,
}

/// The buckets of all limited keys.
#[derive(Debug)]
pub(crate) struct Limiter {
    state: Mutex<State>,
    throttled: Arc<Recent>,
}

#[derive(Debug, Default)]
struct State {
    buckets: HashMap<String, Bucket>,
    /// The settings whose keys the buckets were compared with.
    swept: Option<Revision>,
}

impl Default for Limiter {
    fn default() -> Self {
        let recovered = || tracing::info!(event = "rate_limit.recovered", "no key is over its rate");
        Self { state: Mutex::default(), throttled: Recent::new(Component::ApiRateLimitGuard, recovered) }
    }
}

/// What a key has left after this request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allowance {
    /// Whether the request is within the rate.
    pub(crate) granted: bool,
    limit: u32,
    remaining: u32,
    /// Until the bucket is full.
    reset: Duration,
    /// Until there is one request again.
    retry: Duration,
}

impl Limiter {
    /// Takes one request from the key's bucket; `None` where the key is not limited.
    pub(crate) fn take(&self, key: &ApiKeyInfo, settings: &ConfigSnapshot) -> Option<Allowance> {
        let limit = key.rate_limit?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.sweep(settings.revision, |key_id| {
            settings.key(key_id).is_some_and(|key| key.rate_limit.is_some())
        });
        Some(state.take_at(key.key_id.as_str(), limit, Instant::now()))
    }

    /// Reports a request over its key's rate. The guard rail and the log are told once of each key until all is well
    /// again: a client that does not stop must not fill the log.
    pub(crate) fn report(&self, key_id: &str, ports: &Ports) {
        ports.metrics.rate_limit_throttled();
        let reason =
            format!("the key {key_id} is over its rate; slow its client down, or raise the key's rate_limit");
        if self.throttled.note(key_id, reason.clone(), &ports.health, &ports.tasks) {
            tracing::warn!(event = "rate_limit.throttled", key_id, "a key is over its rate");
            ports.guardrails.violated(Guard::ApiRateLimit, &reason);
        }
    }
}

impl State {
    /// Once for each revision. A request that was admitted under an older one may leave a bucket behind until the
    /// next.
    fn sweep(&mut self, revision: Revision, is_limited: impl Fn(&str) -> bool) {
        if self.swept.is_none_or(|swept| swept < revision) {
            self.swept = Some(revision);
            self.buckets.retain(|key_id, _| is_limited(key_id));
        }
    }

    fn take_at(&mut self, key_id: &str, limit: RateLimit, now: Instant) -> Allowance {
        let fresh = Bucket { limit, level: f64::from(limit.burst), at: now };
        let bucket = self.buckets.entry(key_id.to_owned()).or_insert(fresh);
        // A changed limit begins with a full bucket.
        *bucket = if bucket.limit == limit { bucket.filled(now) } else { fresh };
        let granted = bucket.level >= 1.0;
        if granted {
            bucket.level -= 1.0;
        }
        bucket.allowance(granted)
    }
}

impl Bucket {
    /// Requests that come back per second.
    fn rate(&self) -> f64 {
        f64::from(self.limit.burst) / f64::from(self.limit.per_seconds.max(1))
    }

    fn filled(self, now: Instant) -> Self {
        let back = now.saturating_duration_since(self.at).as_secs_f64() * self.rate();
        Self { level: (self.level + back).min(f64::from(self.limit.burst)), at: now, ..self }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the level lies between 0 and the burst, which is a u32"
    )]
    fn allowance(&self, granted: bool) -> Allowance {
        let until =
            |level: f64| Duration::from_secs_f64((level - self.level).max(0.0) / self.rate().max(1e-9));
        Allowance {
            granted,
            limit: self.limit.burst,
            remaining: self.level as u32,
            reset: until(f64::from(self.limit.burst)),
            retry: until(1.0),
        }
    }
}

impl Allowance {
    /// Sets the headers that every answer to a limited key has.
    pub(crate) fn write(self, headers: &mut HeaderMap) {
        let values = [
            ("x-ratelimit-limit", u64::from(self.limit)),
            ("x-ratelimit-remaining", u64::from(self.remaining)),
            ("x-ratelimit-reset", whole_seconds(self.reset)),
        ];
        for (name, value) in values {
            headers.insert(HeaderName::from_static(name), HeaderValue::from(value));
        }
    }

    /// The answer to a request over the rate.
    pub(crate) fn reject(self) -> Reject {
        let seconds = whole_seconds(self.retry).max(1);
        let detail = format!("the key may make {} requests at once; wait {seconds} s", self.limit);
        Reject::new(ProblemKind::RateLimited, detail).with(|problem| {
            problem.retry_after_seconds = Some(seconds);
            problem.limit = Some(u64::from(self.limit));
            problem.remaining = Some(u64::from(self.remaining));
        })
    }
}

/// Rounded up: nobody comes back too early.
fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_and_refills_over_time() {
        let (mut state, start) = (State::default(), Instant::now());
        let limit = RateLimit { burst: 2, per_seconds: 4 };
        let mut take = |after: u64| state.take_at("k", limit, start + Duration::from_secs(after));
        assert_eq!((take(0).granted, take(0).remaining), (true, 0));
        let refused = take(0);
        assert!(!refused.granted);
        assert_eq!((whole_seconds(refused.retry), whole_seconds(refused.reset)), (2, 4));
        assert!(take(2).granted);
        assert!(!take(3).granted);
        assert_eq!(take(60).remaining, 1);
    }

    #[test]
    fn a_changed_limit_begins_full_and_keys_do_not_share() {
        let (mut state, now) = (State::default(), Instant::now());
        let one = RateLimit { burst: 1, per_seconds: 3600 };
        assert!(state.take_at("a", one, now).granted);
        assert!(!state.take_at("a", one, now).granted);
        assert!(state.take_at("b", one, now).granted);
        let two = RateLimit { burst: 2, per_seconds: 3600 };
        assert!(state.take_at("a", two, now).granted);
    }
    #[test]
    fn a_key_that_is_no_more_loses_its_bucket_with_the_next_settings() {
        let (mut state, now) = (State::default(), Instant::now());
        // It would be full again in a century.
        let limit = RateLimit { burst: 1, per_seconds: u32::MAX };
        for key_id in ["gone", "kept"] {
            assert!(state.take_at(key_id, limit, now).granted);
        }
        let left = |state: &State| {
            let mut left: Vec<_> = state.buckets.keys().cloned().collect();
            left.sort();
            left
        };
        state.sweep(Revision(7), |_| true);
        state.sweep(Revision(7), |_| unreachable!("the settings are the same"));
        state.sweep(Revision(6), |_| unreachable!("these settings were in force before"));
        assert_eq!(left(&state), ["gone", "kept"]);
        state.sweep(Revision(8), |key_id| key_id == "kept");
        assert_eq!(left(&state), ["kept"]);
        assert!(!state.take_at("kept", limit, now).granted, "what is kept goes on");
    }
}
