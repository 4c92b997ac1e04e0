//! Whether the database answers, and how fast.

use std::time::{Duration, Instant};

use sqlx::{Connection as _, PgPool};

/// A database that takes longer cannot be said to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// The time of one round trip; `None` where there is no answer in time.
pub(crate) async fn latency(pool: &PgPool) -> Option<Duration> {
    let started = Instant::now();
    let asked = async {
        let mut connection = pool.acquire().await?;
        connection.ping().await
    };
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok(())) => Some(started.elapsed()),
        Ok(Err(error)) => {
            tracing::debug!(%error, "the database does not answer");
            None
        }
        Err(_elapsed) => None,
    }
}
