//! One eventfd that wakes the session's owner: for alerts, for commands and for answers of the resume store.

use std::{
    io,
    os::fd::{AsRawFd, OwnedFd, RawFd},
    time::Duration,
};

use rustix::{
    event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll},
    io::{Errno, read, write},
};

/// The counter. Writing wakes the waiter, waiting takes the count.
#[derive(Debug)]
pub(crate) struct Wake {
    counter: OwnedFd,
}

impl Wake {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { counter: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)? })
    }

    /// What libtorrent's notify callback writes to. Valid as long as this is.
    pub(crate) fn raw(&self) -> RawFd {
        self.counter.as_raw_fd()
    }

    /// Wakes the waiter, now or at its next wait.
    pub(crate) fn signal(&self) {
        match write(&self.counter, &1u64.to_ne_bytes()) {
            // A counter that is full wakes as well.
            Ok(_) | Err(Errno::AGAIN) => {}
            Err(error) => tracing::error!(%error, "the engine's owner could not be woken"),
        }
    }

    /// Waits until woken, or until `most` has passed.
    pub(crate) fn wait(&self, most: Duration) {
        let timeout = Timespec {
            tv_sec: i64::try_from(most.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: most.subsec_nanos().into(),
        };
        match poll(&mut [PollFd::new(&self.counter, PollFlags::IN)], Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => tracing::error!(%error, "the engine's owner could not wait"),
        }
        match read(&self.counter, &mut [0; 8]) {
            Ok(_) | Err(Errno::AGAIN | Errno::INTR) => {}
            Err(error) => tracing::error!(%error, "the engine's wake-ups could not be taken"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_signal_before_the_wait_is_not_lost_and_is_taken_once() {
        let wake = Wake::new().unwrap();
        wake.signal();
        wake.signal();
        let start = Instant::now();
        wake.wait(Duration::from_secs(30));
        assert!(start.elapsed() < Duration::from_secs(10));
        wake.wait(Duration::from_millis(1));
    }
}
