//! A child process with its output in files; ends with its owner, and with the test even if the test is killed.
//!
//! `setpriv --pdeathsig KILL` carries the second promise: the signal follows the thread that spawned, so a process is
//! spawned from the test's own thread, never from a pool.

use std::fs::File;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::wait;

/// How many lines of each log are shown when the owner goes away.
const SHOWN_LINES: usize = 120;

/// How long the process may live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// Killed with its group on drop, and by the kernel when the test dies. Its log is shown on drop.
    Owned,
    /// In a session of its own; stays when the owner goes away.
    Detached,
}

/// What to start.
#[derive(Debug)]
pub struct Spec {
    /// Name of the log files.
    pub name: String,
    /// The program, found on `PATH` if it has no slash.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Environment on top of the inherited one; `None` takes a variable away.
    pub env: Vec<(String, Option<String>)>,
    /// Options of `setpriv`, such as another user.
    pub setpriv: Vec<String>,
    /// Signal by which the kernel ends it when the test dies.
    pub death_signal: &'static str,
    /// Directory of `<name>.out` and `<name>.err`.
    pub logs: PathBuf,
    /// How long it may live.
    pub lifetime: Lifetime,
}

impl Spec {
    /// A process that ends with the test, logging to `logs`.
    pub fn new(name: &str, program: impl Into<PathBuf>, logs: &Path) -> Self {
        Self {
            name: name.to_owned(),
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            setpriv: Vec::new(),
            death_signal: "KILL",
            logs: logs.to_owned(),
            lifetime: Lifetime::Owned,
        }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((name.to_owned(), Some(value.into())));
        self
    }

    /// Takes a variable away.
    #[must_use]
    pub fn env_remove(mut self, name: &str) -> Self {
        self.env.push((name.to_owned(), None));
        self
    }

    fn command(&self) -> Command {
        let mut command = match self.lifetime {
            Lifetime::Owned => {
                let mut command = Command::new("setpriv");
                command
                    .args(&self.setpriv)
                    .arg("--pdeathsig")
                    .arg(self.death_signal)
                    .arg("--")
                    .arg(&self.program);
                command.process_group(0);
                command
            }
            Lifetime::Detached => {
                let mut command = Command::new("setsid");
                command.arg(&self.program);
                command
            }
        };
        command.args(&self.args).stdin(Stdio::null());
        for (name, value) in &self.env {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }
}

/// A running child.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    exited: Option<ExitStatus>,
    stdout: PathBuf,
    stderr: PathBuf,
    lifetime: Lifetime,
}

impl Process {
    /// Starts it.
    pub fn start(spec: &Spec) -> Result<Self> {
        let stdout = spec.logs.join(format!("{}.out", spec.name));
        let stderr = spec.logs.join(format!("{}.err", spec.name));
        let create =
            |path: &Path| File::create(path).with_context(|| format!("cannot write {}", path.display()));
        let child = spec
            .command()
            .stdout(create(&stdout)?)
            .stderr(create(&stderr)?)
            .spawn()
            .with_context(|| format!("cannot start {} (util-linux missing?)", spec.program.display()))?;
        Ok(Self { name: spec.name.clone(), child, exited: None, stdout, stderr, lifetime: spec.lifetime })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote to standard output so far.
    pub fn stdout(&self) -> Result<String> {
        read(&self.stdout)
    }

    /// What it wrote to standard error so far.
    pub fn stderr(&self) -> Result<String> {
        read(&self.stderr)
    }

    /// Its exit status, if it has ended.
    pub fn status(&mut self) -> Result<Option<ExitStatus>> {
        if self.exited.is_none() {
            self.exited = self.child.try_wait().with_context(|| format!("cannot wait for {}", self.name))?;
        }
        Ok(self.exited)
    }

    /// Fails, with its last words, if it has ended.
    pub fn expect_running(&mut self) -> Result<()> {
        match self.status()? {
            None => Ok(()),
            Some(status) => bail!("{} ended early: {status}\n{}", self.name, tail(&self.stderr)),
        }
    }

    /// Sends a signal to the process alone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(self.pid()?, signal).with_context(|| format!("cannot signal {}", self.name))
    }

    /// Waits for its end; the code of a process ended by a signal is 128 plus the signal, as in a shell.
    pub async fn wait(&mut self, limit: Duration) -> Result<i32> {
        let name = self.name.clone();
        let mut status = None;
        wait::until(format!("{name} to end"), limit, || {
            let now = self.status();
            if let Ok(Some(ended)) = &now {
                status = Some(*ended);
            }
            async move { Ok(now?.map(|_| ())) }
        })
        .await?;
        let status = status.context("no exit status")?;
        Ok(status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(-1))
    }

    /// Asks it to end and waits as long as that takes: for programs that end within seconds of such a signal.
    pub(crate) fn end_by(&mut self, signal: Signal) -> Result<()> {
        if self.status()?.is_none() {
            self.signal(signal)?;
            self.exited = Some(self.child.wait()?);
        }
        Ok(())
    }

    fn pid(&self) -> Result<Pid> {
        Pid::from_raw(i32::try_from(self.child.id())?).context("no process id")
    }

    fn end(&mut self) -> Result<()> {
        if self.status()?.is_none() {
            let pid = self.pid()?;
            if kill_process_group(pid, Signal::KILL).is_err() {
                self.child.kill()?;
            }
            self.exited = Some(self.child.wait()?);
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.lifetime == Lifetime::Detached {
            return;
        }
        if let Err(error) = self.end() {
            eprintln!("cannot end {}: {error:#}", self.name);
        }
        for path in [&self.stdout, &self.stderr] {
            let text = tail(path);
            if !text.is_empty() {
                eprintln!("--- {}\n{text}", path.display());
            }
        }
    }
}

fn read(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The last lines of a log; empty if it cannot be read.
fn tail(path: &Path) -> String {
    let text = read(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
}
