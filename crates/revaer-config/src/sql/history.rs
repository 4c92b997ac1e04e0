//! `settings_history`: what changed, when, by whom. The settings' own rows are written by triggers.

use serde_json::Value;
use sqlx::{PgConnection, PgExecutor};
use time::OffsetDateTime;

pub(crate) struct ChangeRow {
    pub(crate) revision: i64,
    pub(crate) sections: Vec<String>,
    pub(crate) actor: String,
    pub(crate) request_id: Option<String>,
}

/// The revisions after `revision`, oldest first, at most `limit`.
pub(crate) async fn changes_after(
    executor: impl PgExecutor<'_>,
    revision: i64,
    limit: i64,
) -> sqlx::Result<Vec<ChangeRow>> {
    sqlx::query_as!(
        ChangeRow,
        r#"SELECT
            revision,
            array_agg(DISTINCT section ORDER BY section) AS "sections!",
            (array_agg(actor ORDER BY id DESC))[1] AS "actor!",
            (array_agg(request_id ORDER BY id DESC))[1] AS request_id
        FROM settings_history
        WHERE revision > $1 AND section <> 'setup_tokens'
        GROUP BY revision ORDER BY revision LIMIT $2"#,
        revision,
        limit
    )
    .fetch_all(executor)
    .await
}

/// The last rows that a section had, newest first.
pub(crate) async fn last_rows(
    executor: impl PgExecutor<'_>,
    section: &str,
    limit: i64,
) -> sqlx::Result<Vec<Value>> {
    sqlx::query_scalar!(
        r#"SELECT new AS "new!" FROM settings_history WHERE section = $1 AND new IS NOT NULL
        ORDER BY id DESC LIMIT $2"#,
        section,
        limit
    )
    .fetch_all(executor)
    .await
}

/// The last rows that one member of a section had, newest first.
pub(crate) async fn last_rows_of(
    executor: impl PgExecutor<'_>,
    section: &str,
    row_key: &str,
    limit: i64,
) -> sqlx::Result<Vec<Value>> {
    sqlx::query_scalar!(
        r#"SELECT new AS "new!" FROM settings_history WHERE section = $1 AND row_key = $2 AND new IS NOT NULL
        ORDER BY id DESC LIMIT $3"#,
        section,
        row_key,
        limit
    )
    .fetch_all(executor)
    .await
}

/// A setup token was refused: a history row with a NOTIFY and no bump.
pub(crate) async fn note_rejected_token(
    connection: &mut PgConnection,
    token: &str,
    reason: &str,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"SELECT settings_note((SELECT revision FROM settings_revision), 'setup_tokens', 'setup_tokens',
            'rejected', $1, NULL, jsonb_build_object('reason', $2::text)) AS "noted: ()""#,
        token,
        reason
    )
    .fetch_one(connection)
    .await?;
    Ok(())
}

/// One row of the history.
pub(crate) struct HistoryRow {
    pub(crate) revision: i64,
    pub(crate) at: OffsetDateTime,
    pub(crate) actor: String,
    pub(crate) request_id: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) section: String,
    pub(crate) op: String,
    pub(crate) row_key: String,
    pub(crate) old: Option<Value>,
    pub(crate) new: Option<Value>,
}

/// The revisions above `after` that have rows, lowest first.
pub(crate) async fn revisions_after(
    executor: impl PgExecutor<'_>,
    after: i64,
    limit: i64,
) -> sqlx::Result<Vec<i64>> {
    sqlx::query_scalar!(
        "SELECT DISTINCT revision FROM settings_history WHERE revision > $1 ORDER BY revision LIMIT $2",
        after,
        limit
    )
    .fetch_all(executor)
    .await
}

/// The revisions below `before` that have rows, highest first.
pub(crate) async fn revisions_before(
    executor: impl PgExecutor<'_>,
    before: i64,
    limit: i64,
) -> sqlx::Result<Vec<i64>> {
    sqlx::query_scalar!(
        "SELECT DISTINCT revision FROM settings_history WHERE revision < $1 ORDER BY revision DESC LIMIT $2",
        before,
        limit
    )
    .fetch_all(executor)
    .await
}

/// How many rows the revisions from `least` to `most` have.
pub(crate) async fn count_between(executor: impl PgExecutor<'_>, least: i64, most: i64) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "rows!" FROM settings_history WHERE revision BETWEEN $1 AND $2"#,
        least,
        most
    )
    .fetch_one(executor)
    .await
}

/// The rows of the revisions from `least` to `most`, in the order in which they were written.
pub(crate) async fn rows_between(
    executor: impl PgExecutor<'_>,
    least: i64,
    most: i64,
    limit: i64,
) -> sqlx::Result<Vec<HistoryRow>> {
    sqlx::query_as!(
        HistoryRow,
        "SELECT revision, at, actor, request_id, reason, section, op, row_key, old, new
        FROM settings_history WHERE revision BETWEEN $1 AND $2 ORDER BY revision, id LIMIT $3",
        least,
        most,
        limit
    )
    .fetch_all(executor)
    .await
}

/// The document of a section as of a revision, where the history reaches back that far.
pub(crate) async fn row_at(
    executor: impl PgExecutor<'_>,
    section: &str,
    revision: i64,
) -> sqlx::Result<Option<Value>> {
    sqlx::query_scalar!(
        r#"SELECT new AS "new!" FROM settings_history
        WHERE section = $1 AND revision <= $2 AND new IS NOT NULL ORDER BY id DESC LIMIT 1"#,
        section,
        revision
    )
    .fetch_optional(executor)
    .await
}
