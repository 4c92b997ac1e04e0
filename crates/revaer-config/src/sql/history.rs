//! `settings_history`: what changed, when, by whom. The settings' own rows are written by triggers.

use serde_json::Value;
use sqlx::{PgConnection, PgExecutor};

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
