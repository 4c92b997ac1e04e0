//! The one place that spawns: every task has a name, a cancellation token and a policy for its failure.
//!
//! A panic counts as a failure. `OnFailure::Shutdown` cancels the root token, which drains the server.

use std::{fmt::Display, future::Future, panic::AssertUnwindSafe, time::Duration};

use tokio::task::JoinHandle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{Instrument, error, info_span, warn};

/// What happens when a task ends with an error or a panic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// The failure is logged; the rest goes on.
    Log,
    /// The server cannot do its work without this task: it drains and exits with a failure.
    Shutdown,
}

/// A blocking closure panicked; its message is in the log.
#[derive(Debug, thiserror::Error)]
#[error("the task {name} panicked; the log holds its message")]
pub struct TaskPanicked {
    name: &'static str,
}

/// Waiting times that double from `first` to `most`.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    next: Duration,
    first: Duration,
    most: Duration,
}

impl Backoff {
    /// Starts at `first` and never exceeds `most`.
    pub fn new(first: Duration, most: Duration) -> Self {
        Self { next: first, first, most }
    }

    /// The time to wait now; the following one is twice as long.
    pub fn advance(&mut self) -> Duration {
        let now = self.next;
        self.next = (now * 2).min(self.most);
        now
    }

    /// Called after a success: the next failure waits the shortest time again.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

/// The set of running tasks. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    root: CancellationToken,
    failed: CancellationToken,
}

impl Tasks {
    /// An empty set with a fresh root token.
    pub fn new() -> Self {
        Self::default()
    }

    /// The root token: cancelled when the server drains.
    pub fn token(&self) -> CancellationToken {
        self.root.clone()
    }

    /// A token that ends with the root token, and can be cancelled on its own for an ordered shutdown.
    pub fn child_token(&self) -> CancellationToken {
        self.root.child_token()
    }

    /// Whether a task with [`OnFailure::Shutdown`] has failed.
    pub fn has_failed(&self) -> bool {
        self.failed.is_cancelled()
    }

    /// Runs `future` as the task `name`.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that spawns")]
    pub fn spawn<E, F>(&self, name: &'static str, on_failure: OnFailure, future: F) -> JoinHandle<()>
    where
        E: Display + Send + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
    {
        let (root, failed) = (self.root.clone(), self.failed.clone());
        let watched = async move {
            let outcome = futures_catch(future).await;
            let failure = match outcome {
                Ok(Ok(())) => return,
                Ok(Err(error)) => error.to_string(),
                Err(panic) => format!("panicked: {panic}"),
            };
            error!(task = name, failure, "a task ended with a failure");
            if on_failure == OnFailure::Shutdown {
                failed.cancel();
                root.cancel();
            }
        };
        tokio::spawn(self.tracker.track_future(watched.instrument(info_span!("task", name))))
    }

    /// Runs `make()` again, with back-off, whenever it fails, until the root token is cancelled.
    pub fn spawn_restarting<E, F, M>(&self, name: &'static str, mut make: M) -> JoinHandle<()>
    where
        E: Display + Send + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
        M: FnMut() -> F + Send + 'static,
    {
        let root = self.root.clone();
        self.spawn::<std::convert::Infallible, _>(name, OnFailure::Shutdown, async move {
            let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(30));
            loop {
                match futures_catch(make()).await {
                    Ok(Ok(())) => return Ok(()),
                    Ok(Err(error)) => warn!(task = name, %error, "a task failed and is started again"),
                    Err(panic) => error!(task = name, panic, "a task panicked and is started again"),
                }
                tokio::select! {
                    () = root.cancelled() => return Ok(()),
                    () = tokio::time::sleep(backoff.advance()) => {}
                }
            }
        })
    }

    /// Runs a closure that blocks (disk, hashing) off the async workers.
    pub fn spawn_blocking<T, F>(
        &self,
        name: &'static str,
        work: F,
    ) -> impl Future<Output = Result<T, TaskPanicked>> + use<T, F>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        // The closure holds the token, so that a shutdown waits for it even when nobody awaits it any more.
        let running = self.tracker.token();
        let joined = tokio::task::spawn_blocking(move || {
            let output = work();
            drop(running);
            output
        });
        async move {
            joined.await.map_err(|error| {
                error!(task = name, %error, "a blocking task did not end");
                TaskPanicked { name }
            })
        }
    }

    /// Cancels the root token and waits until every task has ended, at most `deadline`.
    /// Returns whether all ended.
    pub async fn shutdown(&self, deadline: Duration) -> bool {
        self.root.cancel();
        self.tracker.close();
        tokio::time::timeout(deadline, self.tracker.wait()).await.is_ok()
    }
}

/// Awaits a future and turns a panic inside it into its message.
async fn futures_catch<F: Future>(future: F) -> Result<F::Output, String> {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(move |context| {
        match std::panic::catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(std::task::Poll::Pending) => std::task::Poll::Pending,
            Ok(std::task::Poll::Ready(output)) => std::task::Poll::Ready(Ok(output)),
            Err(panic) => std::task::Poll::Ready(Err(message_of(panic.as_ref()))),
        }
    })
    .await
}

fn message_of(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_in_a_vital_task_cancels_the_root() {
        let tasks = Tasks::new();
        tasks.spawn::<String, _>("doomed", OnFailure::Shutdown, async { panic!("on purpose") });
        tasks.token().cancelled().await;
        assert!(tasks.has_failed());
    }

    #[tokio::test]
    async fn a_logged_failure_leaves_the_rest_alone() {
        let tasks = Tasks::new();
        let handle = tasks.spawn("harmless", OnFailure::Log, async { Err("no".to_owned()) });
        handle.await.unwrap();
        assert!(!tasks.token().is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn a_restarting_task_runs_until_it_succeeds() {
        let tasks = Tasks::new();
        let mut left = 3;
        let handle = tasks.spawn_restarting("flaky", move || {
            left -= 1;
            let done = left == 0;
            async move { if done { Ok(()) } else { Err("again".to_owned()) } }
        });
        handle.await.unwrap();
        assert!(!tasks.has_failed());
    }
}
