//! The one place that starts processes.
//!
//! Every child gets: no descriptor above 2 but those named, its own process group, a signal when this process
//! dies, an explicit environment, umask and limits. The death signal follows the *thread* that forked, so one
//! thread that lives as long as the process starts them all. Children are reaped by the runtime, also those
//! whose [`Child`] was dropped.

mod running;
mod spec;
mod start;

use std::{io, path::PathBuf};

use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
};

pub use running::{Child, Finished};
pub use rustix::process::{Resource, Signal};
pub use spec::{Account, ChildSpec, Input, Limit, Output, WorkDir};

/// Starts that may wait for the thread; a start takes about a millisecond, so more means that it hangs.
const WAITING_STARTS: usize = 64;

/// A process did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// The system refused to start it.
    #[error("can not start {}", program.display())]
    Refused {
        /// The program.
        program: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The thread that starts processes is gone, as happens only at exit.
    #[error("can not start {}: this process is about to exit", program.display())]
    Exiting {
        /// The program.
        program: PathBuf,
    },
}

struct Request {
    spec: ChildSpec,
    answer: oneshot::Sender<Result<Child, SpawnError>>,
}

/// The door to the thread that starts processes. Clones share it.
#[derive(Debug, Clone)]
pub struct Children {
    requests: mpsc::Sender<Request>,
}

impl Children {
    /// Starts the thread. It belongs to the runtime of the caller and ends with the last clone; children whose
    /// death signal is set get it then, so one clone is kept until the very end.
    pub fn start() -> io::Result<Self> {
        let runtime = Handle::try_current().map_err(io::Error::other)?;
        let (requests, mut waiting) = mpsc::channel::<Request>(WAITING_STARTS);
        std::thread::Builder::new().name("children".to_owned()).spawn(move || {
            let _runtime = runtime.enter();
            while let Some(Request { spec, answer }) = waiting.blocking_recv() {
                let program = spec.program.clone();
                let started = start::start(spec).map_err(|source| SpawnError::Refused { program, source });
                // Whoever asked may have given up: dropping the child ends it.
                drop(answer.send(started));
            }
        })?;
        Ok(Self { requests })
    }

    /// Starts a process. When the returned future is dropped before it is ready, the process is ended.
    pub async fn spawn(&self, spec: ChildSpec) -> Result<Child, SpawnError> {
        let program = spec.program.clone();
        let (answer, started) = oneshot::channel();
        match self.requests.send(Request { spec, answer }).await {
            Ok(()) => started.await.unwrap_or(Err(SpawnError::Exiting { program })),
            Err(_) => Err(SpawnError::Exiting { program }),
        }
    }

    /// Starts a process and waits for its end, with what it wrote (see [`Child::finish`]).
    pub async fn run(&self, spec: ChildSpec) -> Result<Finished, SpawnError> {
        let program = spec.program.clone();
        let child = self.spawn(spec.stdout(Output::Pipe).stderr(Output::Pipe)).await?;
        child.finish().await.map_err(|source| SpawnError::Refused { program, source })
    }
}

#[cfg(test)]
mod tests;
