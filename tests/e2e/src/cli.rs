//! The command line `revaer` as a person would run it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail};

use crate::binaries;

/// A command line bound to a server and to a home of its own.
#[derive(Debug, Clone)]
pub struct Cli {
    program: PathBuf,
    url: String,
    home: PathBuf,
}

/// What a run left.
#[derive(Debug)]
pub struct Run {
    /// The exit code; −1 if a signal ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Cli {
    /// Talks to `url`; keeps its files beneath `home`.
    pub fn new(url: &str, home: &Path) -> Result<Self> {
        Ok(Self { program: binaries::find("revaer")?, url: url.to_owned(), home: home.to_owned() })
    }

    /// The program that is run.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// The command with its surroundings set, for whoever wants the output elsewhere.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(args)
            .env("REVAER_API_URL", &self.url)
            .env("XDG_CONFIG_HOME", &self.home)
            .env("HOME", &self.home)
            .env_remove("REVAER_API_KEY")
            .env_remove("REVAER_TELEMETRY_ENDPOINT")
            .stdin(Stdio::null());
        command
    }

    /// Runs it to its end. The caller's thread waits: only for tests that have nothing else to do.
    pub fn run(&self, args: &[&str]) -> Result<Run> {
        let Output { status, stdout, stderr } = self.command(args).output().context("cannot run revaer")?;
        Ok(Run {
            code: status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&stdout).into_owned(),
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
        })
    }

    /// Runs it and expects success; answers standard output.
    pub fn ok(&self, args: &[&str]) -> Result<String> {
        let run = self.run(args)?;
        if run.code != 0 {
            bail!("revaer {} ended with {}: {}{}", args.join(" "), run.code, run.stdout, run.stderr);
        }
        Ok(run.stdout)
    }
}
