//! Says in the health registry that a key was over its rate, until that is a minute ago.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use revaer_telemetry::{Component, Health, OnFailure, Tasks};
use tokio::time::Instant;

/// After the last request over its rate.
const DEGRADED_FOR: Duration = Duration::from_mins(1);

/// The guard of all keys' rates. One task at most watches it.
#[derive(Debug, Default)]
pub(crate) struct Guard {
    /// When it is well again; `None` while it is.
    until: Mutex<Option<Instant>>,
}

impl Guard {
    /// Notes a request over its rate.
    pub(crate) fn raise(self: &Arc<Self>, key_id: &str, health: &Health, tasks: &Tasks) {
        let reason =
            format!("the key {key_id} is over its rate; slow its client down, or raise the key's rate_limit");
        let watched = {
            // The registry is told under the lock, so that it cannot be told two things in the wrong order.
            let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
            health.degrade(Component::ApiRateLimitGuard, reason);
            until.replace(Instant::now() + DEGRADED_FOR).is_some()
        };
        if !watched {
            let (guard, health, token) = (Arc::clone(self), health.clone(), tasks.child_token());
            tasks.spawn("rate limit guard", OnFailure::Log, async move {
                tokio::select! {
                    () = token.cancelled() => {}
                    () = guard.recover(&health) => {}
                }
                Ok::<(), Infallible>(())
            });
        }
    }

    async fn recover(&self, health: &Health) {
        while let Some(until) = self.look_again_at(health) {
            tokio::time::sleep_until(until).await;
        }
        tracing::info!(event = "rate_limit.recovered", "no key is over its rate");
    }

    /// When to look again; clears the registry where the minute is over.
    fn look_again_at(&self, health: &Health) -> Option<Instant> {
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        *until = until.filter(|until| *until > Instant::now());
        if until.is_none() {
            health.clear(Component::ApiRateLimitGuard);
        }
        *until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_degraded_until_a_minute_after_the_last_one() {
        let (guard, health, tasks) = (Arc::new(Guard::default()), Health::new(), Tasks::new());
        let mut degraded = health.subscribe();
        let start = Instant::now();
        guard.raise("a", &health, &tasks);
        tokio::time::sleep(Duration::from_secs(40)).await;
        guard.raise("b", &health, &tasks);
        degraded.wait_for(Vec::is_empty).await.unwrap();
        assert!(start.elapsed() >= Duration::from_secs(100));
        guard.raise("c", &health, &tasks);
        assert_eq!(health.degraded(), ["api_rate_limit_guard"]);
    }
}
