//! Work that a dropped connection must not cut in half: it runs as a task of its own and is only awaited here.

use std::convert::Infallible;

use revaer_api_models::ProblemKind;
use revaer_telemetry::{OnFailure, Tasks};
use tokio::sync::oneshot;
use tracing::Instrument as _;

use crate::http::problem::Reject;

/// Runs `work` to its end, whether or not the caller waits for it.
pub(crate) async fn run<T, F>(tasks: &Tasks, name: &'static str, work: F) -> Result<T, Reject>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let (sender, receiver) = oneshot::channel();
    let task = async move {
        if sender.send(work.await).is_err() {
            tracing::debug!(task = name, "nobody waits for the answer any more");
        }
        Ok::<(), Infallible>(())
    };
    tasks.spawn(name, OnFailure::Log, task.instrument(tracing::Span::current()));
    receiver.await.map_err(|_closed| {
        Reject::new(
            ProblemKind::Internal,
            "the server failed to answer; the log has the reason under this request's x-request-id",
        )
    })
}
