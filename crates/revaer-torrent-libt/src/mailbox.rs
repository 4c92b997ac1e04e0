//! What is sent to the session's owner, and how it answers.

use revaer_torrent_core::engine::{EngineCommand, EngineError};
use tokio::sync::oneshot;

/// Where the outcome of a command goes.
pub(crate) type Reply = oneshot::Sender<Result<(), EngineError>>;

/// How many messages wait before senders do.
pub(crate) const CAPACITY: usize = 1024;

/// Something for the owner.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) command: EngineCommand,
    pub(crate) reply: Reply,
}

/// Answers a command. A caller that went away has stopped caring.
pub(crate) fn answer(reply: Reply, outcome: Result<(), EngineError>) {
    if reply.send(outcome).is_err() {
        tracing::debug!("the caller of an engine command went away before its answer");
    }
}
