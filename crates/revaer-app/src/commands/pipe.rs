//! The pipes of a child process, for code that blocks: reading and writing end when the command is to end.

use std::io::{self, Read, Write};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{ChildStdin, ChildStdout},
    runtime::Handle,
};
use tokio_util::sync::CancellationToken;

/// One end of a pipe. Use it on a thread that may block.
#[derive(Debug)]
pub(super) struct Blocking<T> {
    pipe: T,
    runtime: Handle,
    stopping: CancellationToken,
}

impl<T> Blocking<T> {
    /// Takes the runtime of the caller.
    pub(super) fn new(pipe: T, stopping: CancellationToken) -> Self {
        Self { pipe, runtime: Handle::current(), stopping }
    }
}

impl Read for Blocking<ChildStdout> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.stopping.run_until_cancelled(self.pipe.read(buffer));
        self.runtime.block_on(read).unwrap_or_else(|| Err(broken_off()))
    }
}

impl Write for Blocking<ChildStdin> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.stopping.run_until_cancelled(self.pipe.write(buffer));
        self.runtime.block_on(written).unwrap_or_else(|| Err(broken_off()))
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.stopping.run_until_cancelled(self.pipe.flush());
        self.runtime.block_on(flushed).unwrap_or_else(|| Err(broken_off()))
    }
}

/// The command is to end.
pub(super) fn broken_off() -> io::Error {
    io::Error::other("told to stop")
}
