//! What is left of an earlier run: ended before anything starts, never adopted.
//!
//! Two signs are looked at: the pid file, which names a postmaster, and the lock on `pg.lock`, which every process
//! of the old server inherited and which is free only when the last of them is gone, in whatever pid namespace.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::fd::OwnedFd,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
    process::{Pid, Signal, kill_process},
};
use tokio_util::sync::CancellationToken;

use super::{EmbeddedError, places::Places};

const POLITE: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);

/// Ends what is left, and returns the lock for the new server to inherit. Blocks until then, or until `stopping`.
pub(super) fn clear(places: &Places, stopping: &CancellationToken) -> Result<OwnedFd, EmbeddedError> {
    let lock = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&places.lock)
        .map_err(EmbeddedError::at("open", &places.lock))?;
    let begin = Instant::now();
    let mut sent = None;
    loop {
        let postmaster = live_postmaster(&places.pg);
        let free = try_lock(&lock, &places.lock)?;
        if postmaster.is_none() && free {
            break;
        }
        if stopping.is_cancelled() {
            return Err(EmbeddedError::Stopped);
        }
        let waited = begin.elapsed();
        if let Some(pid) = postmaster {
            let signal = if waited < POLITE { Signal::INT } else { Signal::QUIT };
            if sent != Some(signal) {
                tracing::warn!(pid = pid.as_raw_nonzero().get(), "ending an earlier embedded postgresql");
                send(pid, signal);
                sent = Some(signal);
            }
        }
        if waited > LONGEST {
            let holders = describe(&processes_in(&places.pg));
            return Err(EmbeddedError::StillRunning { pg: places.pg.clone(), waited, holders });
        }
        thread::sleep(POLL);
    }
    discard_misleading(&places.pg.join("postmaster.pid"), &places.pg)?;
    discard_misleading(&places.socket_dir.join(".s.PGSQL.5432.lock"), &places.pg)?;
    Ok(lock.into())
}

fn try_lock(lock: &File, path: &Path) -> Result<bool, EmbeddedError> {
    match flock(lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(EmbeddedError::at("lock", path)(error.into())),
    }
}

fn send(pid: Pid, signal: Signal) {
    match kill_process(pid, signal) {
        Ok(()) | Err(Errno::SRCH) => {}
        Err(error) => tracing::warn!(%error, "can not signal the earlier embedded postgresql"),
    }
}

/// The postmaster of this cluster, if it runs.
pub(super) fn live_postmaster(pg: &Path) -> Option<Pid> {
    pid_in(&pg.join("postmaster.pid")).filter(|pid| is_postgres_of(*pid, pg))
}

/// `PostgreSQL` takes a pid file for valid when any process has that id: a stranger (ids are small and soon used
/// again in a container) or a zombie that nobody reaps blocks it for ever. With the lock held we know better.
/// A file whose process is gone is left to `PostgreSQL`, which looks at the shared memory as well.
fn discard_misleading(file: &Path, pg: &Path) -> Result<(), EmbeddedError> {
    let Some(pid) = pid_in(file) else { return Ok(()) };
    let exists = fs::exists(proc(pid)).unwrap_or(false);
    if !exists || is_postgres_of(pid, pg) {
        return Ok(());
    }
    tracing::info!(file = %file.display(), "removing a pid file that names a foreign process");
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(EmbeddedError::at("remove", file)(error))
        }
        _ => Ok(()),
    }
}

/// The first line of a pid file; a single-user backend writes its id negative.
fn pid_in(file: &Path) -> Option<Pid> {
    let text = fs::read_to_string(file).ok()?;
    let id: i32 = text.lines().next()?.trim().parse().ok()?;
    Pid::from_raw(id.checked_abs()?)
}

fn proc(pid: Pid) -> PathBuf {
    PathBuf::from(format!("/proc/{}", pid.as_raw_nonzero()))
}

/// By its program and working directory; where these are hidden from us (another user's process, without the
/// capability to trace), by its command line.
fn is_postgres_of(pid: Pid, pg: &Path) -> bool {
    let proc = proc(pid);
    match (fs::read_link(proc.join("exe")), fs::read_link(proc.join("cwd"))) {
        (Ok(exe), Ok(cwd)) => is_postgres(&exe) && cwd == pg,
        (Err(error), _) | (_, Err(error)) if error.kind() == io::ErrorKind::PermissionDenied => {
            let line = fs::read(proc.join("cmdline")).unwrap_or_default();
            let mut words = line.split(|byte| *byte == 0);
            words.next().is_some_and(|program| program.ends_with(b"postgres"))
                && words.any(|word| word == pg.as_os_str().as_encoded_bytes())
        }
        // Gone, or a zombie, which has neither.
        _ => false,
    }
}

/// An upgrade of the package leaves a running program as `postgres (deleted)`.
fn is_postgres(exe: &Path) -> bool {
    exe.file_name().is_some_and(|name| name == "postgres" || name == "postgres (deleted)")
}

fn processes_in(pg: &Path) -> Vec<Pid> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?))
        .filter(|pid| is_postgres_of(*pid, pg))
        .collect()
}

fn describe(pids: &[Pid]) -> String {
    if pids.is_empty() {
        return "its processes are not visible from here".to_owned();
    }
    let ids: Vec<String> = pids.iter().map(|pid| pid.as_raw_nonzero().to_string()).collect();
    format!("process {}", ids.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_file_of_a_stranger_is_removed_and_one_of_nobody_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("postmaster.pid");
        fs::write(&file, format!("{}\n/var/lib/x\n", std::process::id())).unwrap();
        discard_misleading(&file, dir.path()).unwrap();
        assert!(!file.exists());
        // Above the largest id that Linux hands out (2^22).
        fs::write(&file, "4194305\n").unwrap();
        discard_misleading(&file, dir.path()).unwrap();
        assert!(file.exists());
        fs::write(&file, "no number").unwrap();
        assert_eq!(pid_in(&file), None);
    }
}
