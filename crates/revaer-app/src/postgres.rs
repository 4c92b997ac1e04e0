//! A private `PostgreSQL` under the data directory, for whoever has none: started with the server, stopped with it,
//! reachable through a Unix socket only, and never left behind.
//!
//! - `pg/` is the cluster, `pg.tmp/` one that is being made, `pg.sock/` the socket, `pg.log` what it says.
//! - `pg.lock` is locked by the postmaster and every process it starts, so that a new start knows when the last
//!   process of an old one is gone. One that still runs is asked to stop, never adopted: a backend of the dead
//!   server could still commit.
//! - It ends by itself when this process dies (death signal `SIGINT`, a fast shutdown).
//! - `PostgreSQL` refuses root, so as root it runs as somebody else.

mod account;
mod binaries;
mod clients;
mod cluster;
mod ending;
mod error;
mod leftover;
mod logfile;
mod passwd;
mod places;
mod reach;
mod run;
mod running;
mod sql;
mod supervisor;

use std::{ffi::OsString, path::PathBuf, time::Duration};

use revaer_telemetry::{Component, Health, OnFailure, Tasks};
use sqlx::postgres::PgConnectOptions;
use tokio_util::sync::CancellationToken;

use crate::child::Children;

pub use clients::Clients;
pub use error::EmbeddedError;
pub use running::reach_running;

/// What the embedded database needs to know.
#[derive(Debug, Clone)]
pub struct EmbeddedOptions {
    /// The data directory: absolute, existing, locked by this process.
    pub data_dir: PathBuf,
    /// `XDG_RUNTIME_DIR`: where the socket goes when the path of the data directory is too long for one.
    pub runtime_dir: Option<PathBuf>,
    /// `PATH`: the first place to look for the server's programs.
    pub search_path: Option<OsString>,
}

/// A running `PostgreSQL` with an empty or known database `revaer`. Stop it with [`EmbeddedPostgres::stop`];
/// dropped without, it still ends.
#[derive(Debug)]
pub struct EmbeddedPostgres {
    connect: PgConnectOptions,
    version: String,
    // The supervisor has to outlive every other task, so it does not run under the server's own token.
    supervision: Tasks,
    hurry: CancellationToken,
}

/// A fast shutdown, an immediate one and the end by force, one after the other, take no longer.
const LONGEST_STOP: Duration = Duration::from_secs(22);
/// What is kept of the time for a stop to end it by force.
const BY_FORCE: Duration = Duration::from_secs(2);

impl EmbeddedPostgres {
    /// Makes the cluster if there is none, ends what is left of an earlier run, starts the server, waits until it
    /// answers (after a crash: until it has recovered), and keeps it running.
    ///
    /// Not cancel-safe: cancel the token of `tasks` instead, and what was started is gone again when this answers.
    /// While it is down later, [`Component::Database`] is degraded.
    pub async fn start(
        children: &Children,
        options: EmbeddedOptions,
        health: &Health,
        tasks: &Tasks,
    ) -> Result<Self, EmbeddedError> {
        let prepared = run::prepare(children, options, tasks).await?;
        let hurry = CancellationToken::new();
        let child = prepared.launch(tasks.token(), hurry.clone()).await?;
        let connect = prepared.places.connect_options();
        let version = prepared.binaries.version.clone();
        let supervision = Tasks::new();
        let supervisor = supervisor::Supervisor::new(prepared, child, health.clone(), hurry.clone());
        let token = supervision.token();
        supervision.spawn::<std::convert::Infallible, _>("postgres", OnFailure::Log, async move {
            supervisor.run(token).await;
            Ok(())
        });
        health.clear(Component::Database);
        let socket = connect.get_socket().map(|path| path.display().to_string());
        tracing::info!(version, socket, "embedded postgresql is running");
        Ok(Self { connect, version, supervision, hurry })
    }

    /// How to connect to it: user and database `revaer`, without a password, through the socket.
    pub fn connect_options(&self) -> PgConnectOptions {
        self.connect.clone()
    }

    /// Its version, as in `15.18`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// A fast shutdown with a final checkpoint; harsher after 10 s, which costs a recovery at the next start.
    /// Connections that are still open are cut.
    pub async fn stop(self) {
        self.stop_within(LONGEST_STOP).await;
    }

    /// [`EmbeddedPostgres::stop`] in at most `longest`: the polite part is cut short for the end by force.
    pub async fn stop_within(self, longest: Duration) {
        if self.supervision.shutdown(longest.saturating_sub(BY_FORCE)).await {
            return;
        }
        self.hurry.cancel();
        if !self.supervision.shutdown(BY_FORCE).await {
            tracing::error!("embedded postgresql did not stop; it is told again when this process ends");
        }
    }
}

impl Drop for EmbeddedPostgres {
    fn drop(&mut self) {
        self.supervision.token().cancel();
    }
}
