//! Says in the health registry that something happened, until the last time is a minute ago: a key over its rate, a
//! setup call that was refused.

use std::{
    collections::BTreeSet,
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use revaer_telemetry::{Component, Health, OnFailure, Tasks};
use tokio::time::Instant;

/// After the last time.
const DEGRADED_FOR: Duration = Duration::from_mins(1);
/// What speaks for the component here; others may speak for it too.
const CAUSE: &str = "recent calls";
/// Subjects that are told apart; further ones count as known.
const MOST_SUBJECTS: usize = 1024;

/// One component that what happens degrades for a while. One task at most watches it.
#[derive(Debug)]
pub(crate) struct Recent {
    component: Component,
    state: Mutex<State>,
    /// Called when the last time is a minute ago.
    recovered: fn(),
}

#[derive(Debug, Default)]
struct State {
    /// When the component is well again; `None` while it is.
    until: Option<Instant>,
    /// Who or what it happened to since it was well.
    subjects: BTreeSet<String>,
}

impl Recent {
    pub(crate) fn new(component: Component, recovered: fn()) -> Arc<Self> {
        Arc::new(Self { component, state: Mutex::default(), recovered })
    }

    /// Notes that it happened to `subject`; returns whether that is news since the component was well.
    pub(crate) fn note(
        self: &Arc<Self>,
        subject: &str,
        reason: String,
        health: &Health,
        tasks: &Tasks,
    ) -> bool {
        let (watched, is_news) = {
            // The registry is told under the lock, so that it cannot be told two things in the wrong order.
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            health.degrade_by(self.component, CAUSE, reason);
            let has_room = state.subjects.len() < MOST_SUBJECTS;
            let is_news = has_room && !state.subjects.contains(subject);
            if is_news {
                state.subjects.insert(subject.to_owned());
            }
            (state.until.replace(Instant::now() + DEGRADED_FOR).is_some(), is_news)
        };
        if !watched {
            let (recent, health, token) = (Arc::clone(self), health.clone(), tasks.child_token());
            tasks.spawn("guard of recent calls", OnFailure::Log, async move {
                tokio::select! {
                    () = token.cancelled() => {}
                    () = recent.recover(&health) => {}
                }
                Ok::<(), Infallible>(())
            });
        }
        is_news
    }

    async fn recover(&self, health: &Health) {
        while let Some(until) = self.look_again_at(health) {
            tokio::time::sleep_until(until).await;
        }
        (self.recovered)();
    }

    /// When to look again; clears the registry where the minute is over.
    fn look_again_at(&self, health: &Health) -> Option<Instant> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.until = state.until.filter(|until| *until > Instant::now());
        if state.until.is_none() {
            state.subjects.clear();
            health.clear_by(self.component, CAUSE);
        }
        state.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_degraded_until_a_minute_after_the_last_one() {
        let (health, tasks) = (Health::new(), Tasks::new());
        let recent = Recent::new(Component::LoopbackGuard, || {});
        let note = |subject: &str| recent.note(subject, format!("{subject} did it"), &health, &tasks);
        let mut degraded = health.subscribe();
        let start = Instant::now();
        assert!(note("a"));
        tokio::time::sleep(Duration::from_secs(40)).await;
        assert!(note("b") && !note("a"));
        degraded.wait_for(Vec::is_empty).await.unwrap();
        assert!(start.elapsed() >= Duration::from_secs(100));
        assert!(note("a"), "it was well in between");
        assert_eq!(health.degraded(), ["loopback_guard"]);
    }
}
