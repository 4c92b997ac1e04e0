//! Which processes have to do with a directory: by program, working directory or arguments. Finds orphans.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::wait;

/// A process that was found.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its id.
    pub pid: i32,
    /// Its command line.
    pub command: String,
}

impl fmt::Display for Found {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({})", self.pid, self.command)
    }
}

/// Every living process that runs in `directory` or names it, the caller's own excepted. Zombies do not count.
pub fn processes_of(directory: &Path) -> Result<Vec<Found>> {
    let own = std::process::id();
    let wanted = directory.to_string_lossy().into_owned();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let entry = entry?;
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        if pid == own {
            continue;
        }
        // A process may end between two reads: what cannot be read is gone.
        let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ").trim().to_owned();
        let cwd = std::fs::read_link(entry.path().join("cwd")).unwrap_or_default();
        if command.contains(&wanted) || cwd.starts_with(directory) {
            found.push(Found { pid: i32::try_from(pid)?, command });
        }
    }
    Ok(found)
}

/// Waits until no process has to do with `directory` any more, else names those that do.
pub async fn expect_none(directory: &Path, limit: Duration) -> Result<()> {
    let gone = wait::until("processes to end", limit, || {
        let found = processes_of(directory);
        async move { Ok(found?.is_empty().then_some(())) }
    })
    .await;
    if gone.is_err() {
        let left: Vec<String> = processes_of(directory)?.iter().map(Found::to_string).collect();
        if !left.is_empty() {
            bail!("left behind in {}: {}", directory.display(), left.join(", "));
        }
    }
    Ok(())
}
