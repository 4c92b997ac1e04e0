//! One instance per database.
//!
//! An advisory lock on a connection of its own keeps a second server out. It dies with that connection, so it is
//! watched, and taken again after the database was away; meanwhile [`InstanceGuard::check`] refuses every write.
//! The lock alone cannot stop a transaction that began before it was lost: the epoch row can. Taking the lock
//! raises the epoch, and each ledger transaction compares it under a share lock, which a take-over waits for.

mod error;
pub(crate) mod external;
mod keeper;
mod sql;

use std::time::Duration;

use revaer_telemetry::{Health, OnFailure, Tasks};
use sqlx::{ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};
use tokio::{sync::watch, time::Instant};

pub use error::InstanceError;
use keeper::Keeper;

/// A server that was killed a moment ago may still seem to hold the lock until the database has noticed.
const PATIENCE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(50);

/// Whether this instance may write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It holds the lock.
    Held,
    /// The database is away; the lock is taken again when it is back.
    Lost,
    /// Another instance has taken over: this one has to end, with exit code 3.
    Superseded {
        /// The other one.
        by: String,
    },
}

/// The lock, before the migrations have run.
#[derive(Debug)]
pub struct InstanceLock {
    conn: PgConnection,
    options: PgConnectOptions,
    holder: String,
}

impl InstanceLock {
    /// Takes the lock, waiting a few seconds for an instance that is about to end.
    pub async fn take(options: &PgConnectOptions) -> Result<Self, InstanceError> {
        let holder = holder_name();
        // Shown to others: the connection's name says who holds the lock.
        let options = options.clone().application_name(&holder);
        let begin = Instant::now();
        loop {
            let mut conn =
                options.connect().await.map_err(|error| external::unreachable(&options, &error))?;
            if sql::lock_try(&mut conn).await.map_err(|source| InstanceError::Database { source })? {
                return Ok(Self { conn, options, holder });
            }
            let by =
                sql::lock_holder(&mut conn).await.map_err(|source| InstanceError::Database { source })?;
            drop(conn.close().await);
            if begin.elapsed() >= PATIENCE {
                return Err(InstanceError::Held { by: by.unwrap_or_else(|| "another server".to_owned()) });
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// The connection that holds it, for statements that need nobody else to write.
    pub(crate) fn connection(&mut self) -> &mut PgConnection {
        &mut self.conn
    }

    /// Raises the epoch, once the table is there, and keeps the lock from now on.
    /// While the database is away, `Component::Database` is degraded.
    pub async fn claim(mut self, health: &Health) -> Result<InstanceGuard, InstanceError> {
        let epoch = sql::epoch_raise(&mut self.conn, &self.holder)
            .await
            .map_err(|source| InstanceError::Database { source })?;
        let (standing, seen) = watch::channel(Standing::Held);
        let keeper = Keeper { options: self.options, epoch, standing, health: health.clone() };
        // Runs until the very end, after everything that writes; so not under the server's own token.
        let keeping = Tasks::new();
        let token = keeping.token();
        keeping.spawn::<std::convert::Infallible, _>("instance", OnFailure::Log, async move {
            keeper.run(self.conn, token).await;
            Ok(())
        });
        Ok(InstanceGuard { epoch, standing: seen, keeping })
    }
}

/// The right to write to this database. Dropping it gives the lock back.
#[derive(Debug)]
pub struct InstanceGuard {
    epoch: i64,
    standing: watch::Receiver<Standing>,
    keeping: Tasks,
}

impl InstanceGuard {
    /// Checks, as part of a transaction and before its commit, that this instance may write. When it answers
    /// `Ok`, no other instance can take over before that transaction has ended.
    pub async fn check(&self, conn: &mut PgConnection) -> Result<(), InstanceError> {
        match &*self.standing.borrow() {
            Standing::Held => {}
            Standing::Lost => return Err(InstanceError::Lost),
            Standing::Superseded { by } => return Err(InstanceError::Superseded { by: by.clone() }),
        }
        let (epoch, by) =
            sql::epoch_share(conn).await.map_err(|source| InstanceError::Database { source })?;
        if epoch == self.epoch { Ok(()) } else { Err(InstanceError::Superseded { by }) }
    }

    /// Follows whether this instance may write.
    pub fn watch(&self) -> watch::Receiver<Standing> {
        self.standing.clone()
    }

    /// Waits until another instance has taken over, and names it.
    pub async fn superseded(&self) -> String {
        let mut standing = self.standing.clone();
        let found = standing.wait_for(|now| matches!(now, Standing::Superseded { .. })).await;
        if let Ok(now) = found
            && let Standing::Superseded { by } = &*now
        {
            return by.clone();
        }
        // The keeper ended in order: nobody will take over from a server that is ending.
        std::future::pending().await
    }

    /// Gives the lock back, after the last write.
    pub async fn release(self) {
        if !self.keeping.shutdown(PATIENCE).await {
            tracing::warn!("the instance lock was not given back in time; it ends with this process");
        }
    }
}

impl Drop for InstanceGuard {
    fn drop(&mut self) {
        self.keeping.token().cancel();
    }
}

/// `revaer PID on HOST`, within the 63 bytes that a connection's name may have.
fn holder_name() -> String {
    // Of the kernel, so reading it does not wait for a disk.
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let mut name = format!("revaer {} on {}", std::process::id(), host.trim());
    name.truncate(name.floor_char_boundary(63));
    name
}
