//! Carries out what was decided: rows and events of one batch, inside the ledger's transaction.

use revaer_catalog::sql as catalog;
use revaer_events::{Envelope, sql as events};
use revaer_fsops::sql as jobs;
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::stage::{JobEnd, Write};

/// When a job that waits is tried again.
const RETRY_AFTER: time::Duration = time::Duration::seconds(30);

/// Writes the rows of one decision, in order.
pub(crate) async fn write_all(
    connection: &mut PgConnection,
    writes: &[Write],
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    for write in writes {
        match write {
            Write::Put(record) => catalog::torrent_put(connection, record).await?,
            Write::Metainfo(id, bytes) => catalog::metainfo_put(connection, *id, bytes).await?,
            Write::Pieces(id, pieces) => catalog::pieces_put(connection, *id, pieces.as_deref()).await?,
            Write::Delete(id) => catalog::torrent_delete(connection, *id).await?,
            Write::JobInsert { torrent, generation } => {
                jobs::job_insert(connection, *torrent, *generation, now).await?;
            }
            Write::JobClaim { torrent, generation, policy } => {
                jobs::job_claim(connection, *torrent, *generation, policy, now).await?;
            }
            Write::JobFinish { torrent, generation, end } => {
                let end = match end {
                    JobEnd::Completed { library_path } => jobs::JobEnd::Completed { library_path },
                    JobEnd::Failed { step, message } => jobs::JobEnd::Failed { step, message },
                    JobEnd::Waiting { step, message } => {
                        jobs::JobEnd::Waiting { step, message, not_before: now + RETRY_AFTER }
                    }
                };
                jobs::job_finish(connection, *torrent, *generation, end, now).await?;
            }
            Write::SettingsRevision(revision) => {
                events::settings_revision_put(connection, *revision).await?;
            }
        }
    }
    Ok(())
}

/// Stores the lifecycle events of a batch.
pub(crate) async fn store_events(
    connection: &mut PgConnection,
    batch: &[Envelope],
) -> Result<(), sqlx::Error> {
    events::events_insert(connection, batch).await
}
