//! Holds the lock's connection, notices when it is lost, and takes the lock again.

use std::time::Duration;

use revaer_telemetry::{Backoff, Component, Health};
use sqlx::{ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{Standing, sql};

/// How often the connection is tried, and how long it may take to answer.
const EVERY: Duration = Duration::from_secs(2);
const ANSWER: Duration = Duration::from_secs(5);
/// Another connection with our lock may be our own old one, which the database has not given up yet; for a lost
/// network that takes as long as its TCP keep-alives. Only the epoch proves another instance.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

pub(super) struct Keeper {
    pub(super) options: PgConnectOptions,
    pub(super) epoch: i64,
    pub(super) standing: watch::Sender<Standing>,
    pub(super) health: Health,
}

impl Keeper {
    /// Runs until `stopping`, or until another instance has taken over.
    pub(super) async fn run(self, conn: PgConnection, stopping: CancellationToken) {
        let mut held = Some(conn);
        while let Some(mut conn) = held.take() {
            let Some(lost) = stopping.run_until_cancelled(watch(&mut conn)).await else {
                // Closed in order, so that the next instance need not wait for the lock.
                drop(timeout(ANSWER, conn.close()).await);
                return;
            };
            drop(conn);
            self.standing.send_replace(Standing::Lost);
            self.health.degrade(Component::Database, format!("the database does not answer: {lost}"));
            tracing::warn!(reason = lost, "the instance lock is lost with its connection");
            held = stopping.run_until_cancelled(self.retake()).await.flatten();
            if held.is_some() {
                self.standing.send_replace(Standing::Held);
                self.health.clear(Component::Database);
                tracing::info!("the instance lock is held again");
            }
        }
    }

    /// Takes the lock again; `None`: another instance has it, or had it meanwhile.
    async fn retake(&self) -> Option<PgConnection> {
        let mut backoff = Backoff::new(Duration::from_millis(50), LONGEST_PAUSE);
        loop {
            match timeout(ANSWER, self.retake_once()).await {
                Ok(Ok(Retaken::Held(conn))) => return Some(conn),
                Ok(Ok(Retaken::Superseded(by))) => {
                    tracing::error!(by, "another instance has taken over the database");
                    self.standing.send_replace(Standing::Superseded { by });
                    return None;
                }
                Ok(Ok(Retaken::NotYet)) | Err(_) => {}
                Ok(Err(error)) => tracing::debug!(%error, "the database is still away"),
            }
            sleep(backoff.advance()).await;
        }
    }

    async fn retake_once(&self) -> sqlx::Result<Retaken> {
        let mut conn = self.options.connect().await?;
        let taken = sql::lock_try(&mut conn).await?;
        let (epoch, holder) = sql::epoch_get(&mut conn).await?;
        Ok(match (epoch == self.epoch, taken) {
            // The epoch still stands, so nobody else wrote: it stays, and what was checked stays valid.
            (true, true) => Retaken::Held(conn),
            (true, false) => Retaken::NotYet,
            (false, _) => Retaken::Superseded(holder),
        })
    }
}

enum Retaken {
    Held(PgConnection),
    NotYet,
    Superseded(String),
}

/// Returns the reason when the connection is lost.
async fn watch(conn: &mut PgConnection) -> String {
    loop {
        sleep(EVERY).await;
        match timeout(ANSWER, conn.ping()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return error.to_string(),
            Err(_) => return format!("no answer within {ANSWER:?}"),
        }
    }
}
