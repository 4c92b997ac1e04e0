//! Waiting for a condition with a deadline: the one place of the tests that holds a timer.

use std::fmt::Display;
use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Between two looks at a condition.
const INTERVAL: Duration = Duration::from_millis(25);

/// Looks at `condition` until it yields a value, at most `limit` long.
///
/// `what` completes the sentence "waited … for". An error of the condition ends the wait at once: a condition that may
/// fail for a while answers `Ok(None)` instead.
pub async fn until<T, F, Fut>(what: impl Display, limit: Duration, mut condition: F) -> Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<Option<T>>>,
{
    let start = Instant::now();
    loop {
        if let Some(value) = condition().await? {
            return Ok(value);
        }
        if start.elapsed() > limit {
            bail!("waited {} s for {what}, in vain", limit.as_secs());
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Gives `work` at most `limit`, else says what did not come.
pub async fn within<T>(
    what: impl Display,
    limit: Duration,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    match tokio::time::timeout(limit, work).await {
        Ok(result) => result,
        Err(_) => bail!("waited {} s for {what}, in vain", limit.as_secs()),
    }
}

/// Lets a time pass: for what is about a time and not about a condition, such as the random moment of a crash.
pub async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}
