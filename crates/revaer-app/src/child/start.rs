//! Between fork and exec. The only `unsafe` of this crate.
//!
//! What runs there may only make system calls: no allocation, no lock, no panic. The order matters: the standard
//! library changes the ids first, and the death signal comes after, since changing ids clears it.

use std::{io, os::fd::OwnedFd, process::Stdio};

use rustix::{
    fs::Mode,
    io::{Errno, FdFlags},
    process::{Pid, Resource, Rlimit},
};
use tokio::process::Command;

use super::{Child, ChildSpec, Input, Output, WorkDir};

/// Starts the process; the calling thread's death is what the death signal reports.
pub(super) fn start(spec: ChildSpec) -> io::Result<Child> {
    let mut command = Command::new(&spec.program);
    command.args(&spec.args).env_clear().envs(spec.env.iter().map(|(name, value)| (name, value)));
    command.stdin(match spec.stdin {
        Input::Null => Stdio::null(),
        Input::Pipe => Stdio::piped(),
    });
    command.stdout(stdio(spec.stdout)).stderr(stdio(spec.stderr)).process_group(0);
    if let Some(account) = spec.account {
        command.gid(account.gid).uid(account.uid);
    }
    let opened = match spec.work_dir {
        WorkDir::Path(path) => {
            command.current_dir(path);
            None
        }
        WorkDir::Opened(dir) => Some(dir),
    };
    let prepare = Prepare {
        parent: rustix::process::getpid(),
        death_signal: spec.death_signal,
        umask: Mode::from_raw_mode(spec.umask),
        limits: spec.limits.iter().map(|limit| (limit.resource, limit.most)).collect(),
        most_descriptors: rustix::process::getrlimit(Resource::Nofile).current.unwrap_or(1 << 20),
        opened,
        inherited: spec.inherited,
    };
    before_exec(&mut command, prepare);
    // The command holds the caller's descriptors; they are closed on this side when it is dropped here.
    let spawned = command.spawn();
    drop(command);
    Ok(Child::new(spawned?, spec.program, spec.death_signal))
}

fn stdio(output: Output) -> Stdio {
    match output {
        Output::Null => Stdio::null(),
        Output::Pipe => Stdio::piped(),
        Output::File(file) => file.into(),
    }
}

/// Everything that the child needs between fork and exec, allocated before.
struct Prepare {
    parent: Pid,
    death_signal: rustix::process::Signal,
    umask: Mode,
    limits: Vec<(Resource, u64)>,
    most_descriptors: u64,
    opened: Option<OwnedFd>,
    inherited: Vec<OwnedFd>,
}

#[expect(unsafe_code, reason = "code between fork and exec, kept to system calls")]
fn before_exec(command: &mut Command, prepare: Prepare) {
    // SAFETY: `Prepare::in_child` makes system calls only. It reads memory that was allocated before the fork,
    // neither allocates nor frees, takes no lock and cannot panic.
    unsafe {
        command.pre_exec(move || prepare.in_child());
    }
}

impl Prepare {
    fn in_child(&self) -> io::Result<()> {
        rustix::process::set_parent_process_death_signal(Some(self.death_signal))?;
        // The parent may have died before the line above: then no signal will come.
        if rustix::process::getppid() != Some(self.parent) {
            return Err(Errno::SRCH.into());
        }
        if let Some(dir) = &self.opened {
            rustix::process::fchdir(dir)?;
        }
        rustix::process::umask(self.umask);
        for (resource, most) in &self.limits {
            let limit = Rlimit { current: Some(*most), maximum: Some(*most) };
            rustix::process::setrlimit(*resource, limit)?;
        }
        self.close_on_exec()?;
        for descriptor in &self.inherited {
            rustix::io::fcntl_setfd(descriptor, FdFlags::empty())?;
        }
        Ok(())
    }

    /// Marks every descriptor above 2 to be closed by exec. Libraries open some without the mark (libtorrent
    /// before 2.0.12 its listening sockets), and a child that outlives us would keep the port.
    #[expect(unsafe_code, reason = "close_range and fcntl by number have no safe wrapper")]
    fn close_on_exec(&self) -> io::Result<()> {
        const FIRST: u32 = 3;
        // SAFETY: with CLOSE_RANGE_CLOEXEC the call only sets flags of this process's own descriptors.
        let answer =
            unsafe { libc::syscall(libc::SYS_close_range, FIRST, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
        if answer == 0 {
            return Ok(());
        }
        // Linux before 5.11, or a sandbox that does not know the call: one by one. The highest number in use is
        // below the limit unless the limit was lowered later.
        let most = i32::try_from(self.most_descriptors.min(1 << 20)).unwrap_or(1 << 20);
        for descriptor in 3..most {
            // SAFETY: F_SETFD changes a flag of the descriptor, or fails where there is none (EBADF).
            let answer = unsafe { libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC) };
            if answer == -1 {
                let error = io::Error::last_os_error();
                if error.raw_os_error() != Some(libc::EBADF) {
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}
