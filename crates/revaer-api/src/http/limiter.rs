//! The rate of each key: a bucket that holds `burst` requests and refills over `per_seconds`.
//!
//! The map is bounded by the keys that there are: only a key that was recognized gets a bucket, and a key's bucket
//! is as small as a number and a time.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use revaer_api_models::ProblemKind;
use revaer_config::{ApiKeyInfo, RateLimit};
use revaer_telemetry::{Component, Guard};

use crate::{
    http::{problem::Reject, recent::Recent},
    ports::Ports,
};

/// Full buckets are forgotten when there are more than so many: keys come and go over a process's life.
const SWEEP: usize = 1024;

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
    buckets: Mutex<HashMap<String, Bucket>>,
    throttled: Arc<Recent>,
}

impl Default for Limiter {
    fn default() -> Self {
        let recovered = || tracing::info!(event = "rate_limit.recovered", "no key is over its rate");
        Self { buckets: Mutex::default(), throttled: Recent::new(Component::ApiRateLimitGuard, recovered) }
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
    pub(crate) fn take(&self, key: &ApiKeyInfo) -> Option<Allowance> {
        Some(self.take_at(key.key_id.as_str(), key.rate_limit?, Instant::now()))
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

    fn take_at(&self, key_id: &str, limit: RateLimit, now: Instant) -> Allowance {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() > SWEEP {
            buckets.retain(|_, bucket| bucket.filled(now).level < f64::from(bucket.limit.burst));
        }
        let fresh = Bucket { limit, level: f64::from(limit.burst), at: now };
        let bucket = buckets.entry(key_id.to_owned()).or_insert(fresh);
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
        let (limiter, start) = (Limiter::default(), Instant::now());
        let limit = RateLimit { burst: 2, per_seconds: 4 };
        let take = |after: u64| limiter.take_at("k", limit, start + Duration::from_secs(after));
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
        let (limiter, now) = (Limiter::default(), Instant::now());
        let one = RateLimit { burst: 1, per_seconds: 3600 };
        assert!(limiter.take_at("a", one, now).granted);
        assert!(!limiter.take_at("a", one, now).granted);
        assert!(limiter.take_at("b", one, now).granted);
        let two = RateLimit { burst: 2, per_seconds: 3600 };
        assert!(limiter.take_at("a", two, now).granted);
    }
}
