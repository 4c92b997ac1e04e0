//! A process that was started.

use std::{fmt, io, path::PathBuf, process::ExitStatus};

use rustix::process::{Pid, Signal};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{ChildStderr, ChildStdin, ChildStdout},
};

/// The most that [`Child::finish`] keeps of each stream; the rest is read and dropped.
const KEPT_OUTPUT_BYTES: usize = 64 * 1024;

/// A running process, alone in its process group. Dropping it sends the death signal to the group; it is
/// reaped all the same.
pub struct Child {
    inner: tokio::process::Child,
    program: PathBuf,
    death_signal: Signal,
}

/// How a process ended, and the first 64 KiB of what it wrote.
#[derive(Debug)]
pub struct Finished {
    /// Its exit status.
    pub status: ExitStatus,
    /// Its output.
    pub stdout: Vec<u8>,
    /// Its errors.
    pub stderr: Vec<u8>,
}

impl Child {
    pub(super) fn new(inner: tokio::process::Child, program: PathBuf, death_signal: Signal) -> Self {
        Self { inner, program, death_signal }
    }

    /// The process id, which is also the group's; `None` once it was reaped.
    pub fn id(&self) -> Option<u32> {
        self.inner.id()
    }

    /// Waits for its end and reaps it. Cancel-safe; after the end it answers the same status again.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.inner.wait().await
    }

    /// The status if it has ended.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.inner.try_wait()
    }

    /// Sends a signal to the process. `Ok(false)`: it had ended already.
    pub fn kill(&self, signal: Signal) -> io::Result<bool> {
        self.signal(|pid| rustix::process::kill_process(pid, signal))
    }

    /// Sends a signal to the process and to all that it started and left in its group. `Ok(false)`: the
    /// process had ended already.
    pub fn kill_group(&self, signal: Signal) -> io::Result<bool> {
        self.signal(|pid| rustix::process::kill_process_group(pid, signal))
    }

    /// Its standard input, once, when it was asked for as a pipe.
    pub fn stdin(&mut self) -> Option<ChildStdin> {
        self.inner.stdin.take()
    }

    /// Its standard output, once, when it was asked for as a pipe.
    pub fn stdout(&mut self) -> Option<ChildStdout> {
        self.inner.stdout.take()
    }

    /// Its standard error, once, when it was asked for as a pipe.
    pub fn stderr(&mut self) -> Option<ChildStderr> {
        self.inner.stderr.take()
    }

    /// Closes its input and waits for its end, reading what it writes.
    pub async fn finish(mut self) -> io::Result<Finished> {
        drop(self.stdin());
        let (stdout, stderr) = (self.stdout(), self.stderr());
        let (status, stdout, stderr) = tokio::join!(self.wait(), keep_some(stdout), keep_some(stderr));
        Ok(Finished { status: status?, stdout: stdout?, stderr: stderr? })
    }

    /// The id is only known while the process is not reaped, so it cannot be another's by now.
    fn signal(&self, send: impl FnOnce(Pid) -> rustix::io::Result<()>) -> io::Result<bool> {
        let id = self.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        match id.map(send) {
            None | Some(Err(rustix::io::Errno::SRCH)) => Ok(false),
            Some(Ok(())) => Ok(true),
            Some(Err(error)) => Err(error.into()),
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if let Err(error) = self.kill_group(self.death_signal) {
            tracing::warn!(program = %self.program.display(), %error, "can not end a child process");
        }
    }
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child")
            .field("program", &self.program)
            .field("id", &self.id())
            .finish_non_exhaustive()
    }
}

async fn keep_some(stream: Option<impl AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    let mut kept = Vec::new();
    let Some(mut stream) = stream else { return Ok(kept) };
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            return Ok(kept);
        }
        let room = KEPT_OUTPUT_BYTES - kept.len();
        kept.extend_from_slice(&buffer[..read.min(room)]);
    }
}
