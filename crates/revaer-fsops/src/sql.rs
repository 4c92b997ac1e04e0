//! The table `fsops_jobs`. Every function works on the caller's connection, inside its transaction.

use revaer_torrent_core::TorrentId;
use serde_json::Value;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

pub use crate::job::{JobEnd, JobRow, JobStatus};

/// A row does not fit the vocabulary: somebody wrote it by hand.
#[derive(Debug, thiserror::Error)]
#[error("row {id} of fsops_jobs has the {column} {value:?}, which is not known; correct or delete the row")]
struct BadRow {
    id: i64,
    column: &'static str,
    value: String,
}

/// A row as the database has it.
struct Stored {
    id: i64,
    torrent_id: Uuid,
    generation: i32,
    status: String,
    attempts: i32,
    policy: Option<Value>,
    step: Option<String>,
    message: Option<String>,
    library_path: Option<String>,
    not_before: Option<OffsetDateTime>,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
}

impl TryFrom<Stored> for JobRow {
    type Error = sqlx::Error;

    fn try_from(row: Stored) -> Result<Self, sqlx::Error> {
        let bad = |column, value: String| sqlx::Error::Decode(Box::new(BadRow { id: row.id, column, value }));
        let status = JobStatus::from_name(&row.status).ok_or_else(|| bad("status", row.status.clone()))?;
        let number =
            |column, value: i32| u32::try_from(value).map_err(|_error| bad(column, value.to_string()));
        Ok(Self {
            generation: number("generation", row.generation)?,
            attempts: number("attempts", row.attempts)?,
            status,
            id: row.id,
            torrent: TorrentId::from_trusted(row.torrent_id),
            policy: row.policy,
            step: row.step,
            message: row.message,
            library_path: row.library_path,
            not_before: row.not_before,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// Queues a job, unless the generation has one already. Returns whether it had none.
pub async fn job_insert(
    connection: &mut PgConnection,
    torrent: TorrentId,
    generation: u32,
    now: OffsetDateTime,
) -> Result<bool, sqlx::Error> {
    let inserted = sqlx::query!(
        "INSERT INTO fsops_jobs (torrent_id, generation, status, created_at, updated_at)
         VALUES ($1, $2, 'queued', $3, $3)
         ON CONFLICT (torrent_id, generation) DO NOTHING",
        torrent.as_uuid(),
        stored(generation),
        now
    )
    .execute(connection)
    .await?;
    Ok(inserted.rows_affected() > 0)
}

/// Marks a job as running under `policy`. Returns whether there was one to run: a job that ended stays as it is.
pub async fn job_claim(
    connection: &mut PgConnection,
    torrent: TorrentId,
    generation: u32,
    policy: &Value,
    now: OffsetDateTime,
) -> Result<bool, sqlx::Error> {
    let claimed = sqlx::query!(
        "UPDATE fsops_jobs
         SET status = 'running', attempts = attempts + 1, policy = $3, not_before = NULL, updated_at = $4
         WHERE torrent_id = $1 AND generation = $2 AND status IN ('queued', 'waiting', 'running')",
        torrent.as_uuid(),
        stored(generation),
        policy,
        now
    )
    .execute(connection)
    .await?;
    Ok(claimed.rows_affected() > 0)
}

/// Writes how an attempt ended.
pub async fn job_finish(
    connection: &mut PgConnection,
    torrent: TorrentId,
    generation: u32,
    end: JobEnd<'_>,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    let (status, step, message, not_before) = match end {
        JobEnd::Completed { .. } => (JobStatus::Completed, None, None, None),
        JobEnd::Failed { step, message } => (JobStatus::Failed, Some(step), Some(message), None),
        JobEnd::Waiting { step, message, not_before } => {
            (JobStatus::Waiting, Some(step), Some(message), Some(not_before))
        }
    };
    let library_path = match end {
        JobEnd::Completed { library_path } => Some(library_path.to_string_lossy().into_owned()),
        JobEnd::Failed { .. } | JobEnd::Waiting { .. } => None,
    };
    sqlx::query!(
        "UPDATE fsops_jobs
         SET status = $3, step = $4, message = $5, not_before = $6, library_path = $7, updated_at = $8
         WHERE torrent_id = $1 AND generation = $2",
        torrent.as_uuid(),
        stored(generation),
        status.name(),
        step,
        message,
        not_before,
        library_path,
        now
    )
    .execute(connection)
    .await
    .map(drop)
}

/// The job of a torrent's latest generation.
pub async fn job_latest(
    connection: &mut PgConnection,
    torrent: TorrentId,
) -> Result<Option<JobRow>, sqlx::Error> {
    sqlx::query_as!(
        Stored,
        "SELECT id, torrent_id, generation, status, attempts, policy, step, message, library_path, not_before,
                created_at, updated_at
         FROM fsops_jobs WHERE torrent_id = $1 ORDER BY generation DESC LIMIT 1",
        torrent.as_uuid()
    )
    .fetch_optional(connection)
    .await?
    .map(JobRow::try_from)
    .transpose()
}

/// The job of every torrent's latest generation, as a start needs them.
pub async fn jobs_latest(connection: &mut PgConnection) -> Result<Vec<JobRow>, sqlx::Error> {
    sqlx::query_as!(
        Stored,
        "SELECT DISTINCT ON (torrent_id)
                id, torrent_id, generation, status, attempts, policy, step, message, library_path, not_before,
                created_at, updated_at
         FROM fsops_jobs ORDER BY torrent_id, generation DESC"
    )
    .fetch_all(connection)
    .await?
    .into_iter()
    .map(JobRow::try_from)
    .collect()
}

fn stored(generation: u32) -> i32 {
    i32::try_from(generation).unwrap_or(i32::MAX)
}
