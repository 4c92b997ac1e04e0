//! What `revaer-app` does besides serving: the commands of the host.
//!
//! They work on the database that the server of the same data directory and environment uses, whether that server runs
//! or not. A signal breaks them off in order; what they write is whole or not there, or says that it is not whole.

mod archive;
mod backup;
mod host;
mod keys;
mod manifest;
mod migrate;
mod pipe;
mod restore;
mod sql;

use std::{
    path::{Path, PathBuf},
    pin::pin,
};

use anyhow::Context as _;
use revaer_telemetry::Tasks;

use crate::{
    child::Children,
    healthcheck,
    options::{Command, Environment},
    signals::Signals,
};

pub(crate) use sql::refuse_unfinished;

/// Exit code after a signal.
const BROKEN_OFF: u8 = 130;

/// What every command works with.
#[derive(Debug)]
pub(crate) struct Desk {
    /// As the operator means it; it may not exist.
    data_dir: PathBuf,
    environment: Environment,
    children: Children,
    /// Its token is cancelled when the command is to end.
    tasks: Tasks,
}

impl Desk {
    /// Runs a closure that blocks. It has to look at the token of `tasks` itself.
    async fn blocking<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
    ) -> anyhow::Result<T> {
        self.tasks.spawn_blocking(name, work).await?
    }

    /// The file of the secret key.
    fn key_file(&self, data_dir: &Path) -> PathBuf {
        self.environment.secret_key_file.clone().unwrap_or_else(|| data_dir.join("secret.key"))
    }
}

/// Runs a command; answers the exit code where it has come to its end.
pub async fn run(command: Command, data_dir: &Path, environment: Environment) -> anyhow::Result<u8> {
    let mut signals = Signals::listen().context("signals cannot be received")?;
    let children = Children::start().context("the thread that starts processes cannot be started")?;
    let data_dir = std::path::absolute(data_dir).unwrap_or_else(|_| data_dir.to_owned());
    let desk = Desk { data_dir, environment, children, tasks: Tasks::new() };
    let mut work = pin!(dispatch(&desk, command));
    tokio::select! {
        outcome = &mut work => outcome,
        () = signals.stop() => {
            signals.exit_on_second();
            desk.tasks.token().cancel();
            // What it has started ends before it does.
            match work.await {
                Ok(code) => Ok(code),
                Err(reason) => {
                    eprintln!("broken off: {reason:#}");
                    Ok(BROKEN_OFF)
                }
            }
        }
    }
}

async fn dispatch(desk: &Desk, command: Command) -> anyhow::Result<u8> {
    match command {
        Command::Healthcheck => {
            let data_dir = desk.data_dir.clone();
            desk.blocking("healthcheck", move || Ok(healthcheck::check(&data_dir)?)).await?;
            Ok(0)
        }
        Command::Migrate { check: _ } => migrate::check(desk).await,
        Command::Backup { to, replace } => backup::backup(desk, to, replace).await.map(|()| 0),
        Command::IssueKey { key_id, label, expires_at, replace } => {
            keys::issue(desk, keys::Wanted { key_id, label, expires_at, replace }).await.map(|()| 0)
        }
        Command::RotateSecretKey => keys::rotate_secret_key(desk).await.map(|()| 0),
        Command::Restore { from, replace } => restore::restore(desk, from, replace).await.map(|()| 0),
    }
}
