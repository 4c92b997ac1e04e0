//! What a process is to be started with.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use rustix::process::{Resource, Signal};

/// The user and group that a process runs as; changing them takes root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// User id.
    pub uid: u32,
    /// Group id; it is the only group.
    pub gid: u32,
}

/// Where a process starts.
#[derive(Debug)]
pub enum WorkDir {
    /// A path, resolved as the user that the process runs as.
    Path(PathBuf),
    /// An opened directory: stays the same whatever is renamed meanwhile.
    Opened(OwnedFd),
}

/// What a process reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// Nothing.
    Null,
    /// What is written to [`super::Child::stdin`]: secrets go this way, never through arguments.
    Pipe,
}

/// Where a process writes.
#[derive(Debug)]
pub enum Output {
    /// Nowhere.
    Null,
    /// A pipe: somebody has to read it, or the process stops when it is full.
    Pipe,
    /// A file, opened for appending by the caller.
    File(File),
}

/// A resource limit, soft and hard alike.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    /// What is limited.
    pub resource: Resource,
    /// The most, in the resource's own unit (bytes, seconds, number; see `setrlimit(2)`).
    pub most: u64,
}

/// A process to start. Its environment is empty but for what is set here.
#[derive(Debug)]
pub struct ChildSpec {
    pub(super) program: PathBuf,
    pub(super) args: Vec<OsString>,
    pub(super) env: Vec<(OsString, OsString)>,
    pub(super) work_dir: WorkDir,
    pub(super) death_signal: Signal,
    pub(super) umask: u32,
    pub(super) account: Option<Account>,
    pub(super) limits: Vec<Limit>,
    pub(super) inherited: Vec<OwnedFd>,
    pub(super) stdin: Input,
    pub(super) stdout: Output,
    pub(super) stderr: Output,
}

impl ChildSpec {
    /// A process with no arguments, in `/`, umask 077, that is killed when this process dies.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            work_dir: WorkDir::Path(Path::new("/").to_owned()),
            death_signal: Signal::KILL,
            umask: 0o077,
            account: None,
            limits: Vec::new(),
            inherited: Vec::new(),
            stdin: Input::Null,
            stdout: Output::Null,
            stderr: Output::Null,
        }
    }

    /// Adds an argument. Everyone on this machine can read it.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Where it starts.
    #[must_use]
    pub fn work_dir(mut self, work_dir: WorkDir) -> Self {
        self.work_dir = work_dir;
        self
    }

    /// The signal it gets when this process dies, however it dies, and when its [`super::Child`] is dropped.
    #[must_use]
    pub fn death_signal(mut self, signal: Signal) -> Self {
        self.death_signal = signal;
        self
    }

    /// Permission bits that its new files do not get.
    #[must_use]
    pub fn umask(mut self, mask: u32) -> Self {
        self.umask = mask;
        self
    }

    /// Runs it as another user; `None` keeps the own.
    #[must_use]
    pub fn account(mut self, account: Option<Account>) -> Self {
        self.account = account;
        self
    }

    /// Adds a resource limit.
    #[must_use]
    pub fn limit(mut self, limit: Limit) -> Self {
        self.limits.push(limit);
        self
    }

    /// Lets it keep a descriptor, under the same number, as do its own children: a `flock` on it is held
    /// until the last of them ends.
    #[must_use]
    pub fn inherit(mut self, descriptor: OwnedFd) -> Self {
        self.inherited.push(descriptor);
        self
    }

    /// What it reads.
    #[must_use]
    pub fn stdin(mut self, input: Input) -> Self {
        self.stdin = input;
        self
    }

    /// Where it writes its output.
    #[must_use]
    pub fn stdout(mut self, output: Output) -> Self {
        self.stdout = output;
        self
    }

    /// Where it writes its errors.
    #[must_use]
    pub fn stderr(mut self, output: Output) -> Self {
        self.stderr = output;
        self
    }
}
