//! Sends a server away: asked first, then told, then killed.

use std::{process::ExitStatus, time::Duration};

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::child::{Child, Signal};

/// What each way of asking to stop is given; see `pg_ctl(1)`: fast, immediate.
const FAST: Duration = Duration::from_secs(10);
const IMMEDIATE: Duration = Duration::from_secs(5);
/// What a harsher way is given once there is no time left.
const HURRIED: Duration = Duration::from_secs(1);

/// Ends the server and waits until it is gone. When `hurry` is cancelled, what was asked politely is told at once.
pub(super) async fn end(child: &mut Child, hurry: &CancellationToken) {
    let steps = [
        (Signal::INT, FAST, Duration::ZERO),
        (Signal::QUIT, IMMEDIATE, HURRIED),
        (Signal::KILL, IMMEDIATE, HURRIED),
    ];
    for (signal, patience, hurried) in steps {
        if let Err(error) = child.kill_group(signal) {
            tracing::warn!(%error, "can not signal embedded postgresql");
        }
        let in_time = timeout(patience, child.wait());
        let hurry = async {
            hurry.cancelled().await;
            sleep(hurried).await;
        };
        let ended = tokio::select! {
            biased;
            ended = in_time => ended.ok(),
            () = hurry => None,
        };
        if let Some(ended) = ended {
            tracing::info!(status = describe(ended), "embedded postgresql stopped");
            return;
        }
        tracing::warn!(?signal, "embedded postgresql did not stop in time");
    }
}

/// How it ended, in words.
pub(super) fn describe(ended: std::io::Result<ExitStatus>) -> String {
    ended.map_or_else(|error| error.to_string(), |status| status.to_string())
}
