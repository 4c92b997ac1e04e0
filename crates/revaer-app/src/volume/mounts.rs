//! Tells when a mount comes or goes: the kernel marks `/proc/self/mountinfo` as exceptional then.
//!
//! A thread of its own waits for that in `poll`, since the runtime's safe doors know sockets and pipes only.

use std::{fs::File, io, sync::Arc, thread, time::Duration};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How long the thread may outlive its server.
const STOP_CHECK: Duration = Duration::from_millis(500);

/// Wakes `changed` after every change of the mount table, until `stopping`.
/// Where that cannot be had, the caller's clock has to do, and the log says so.
pub(super) fn watch(changed: Arc<Notify>, stopping: CancellationToken) {
    let started = File::open("/proc/self/mountinfo").and_then(|table| {
        thread::Builder::new().name("mounts".to_owned()).spawn(move || wait(&table, &changed, &stopping))
    });
    if let Err(error) = started {
        unavailable(&error);
    }
}

fn wait(table: &File, changed: &Notify, stopping: &CancellationToken) {
    let longest = Timespec { tv_sec: 0, tv_nsec: STOP_CHECK.subsec_nanos().into() };
    while !stopping.is_cancelled() {
        match poll(&mut [PollFd::new(table, PollFlags::PRI)], Some(&longest)) {
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => changed.notify_one(),
            Err(error) => return unavailable(&error.into()),
        }
    }
}

fn unavailable(error: &io::Error) {
    tracing::warn!(%error, "mounts can not be watched: volumes are looked at by the clock alone");
}
