//! SIGTERM and SIGINT: the first drains the server, the second ends it at once.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::info;

/// Exit code after a second signal: nothing acknowledged is lost, but the session was not saved.
const AT_ONCE: i32 = 130;

/// The two signals.
#[derive(Debug)]
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Receives from now on.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for the next one.
    pub(crate) async fn stop(&mut self) {
        let name = tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        };
        info!(signal = name, "told to stop; a second signal ends the server at once");
    }

    /// From here on a further signal ends the process.
    #[expect(
        clippy::disallowed_methods,
        reason = "it outlives every stage of the shutdown, so no set of tasks owns it"
    )]
    pub(crate) fn exit_on_second(mut self) {
        tokio::spawn(async move {
            self.stop().await;
            std::process::exit(AT_ONCE);
        });
    }
}
