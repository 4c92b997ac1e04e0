//! `setup_tokens`; a trigger writes their history.

use sqlx::{PgConnection, PgExecutor};
use time::OffsetDateTime;
use uuid::Uuid;

/// A token's row, and whether setup is still open, as one statement sees them.
pub(crate) struct TokenRow {
    pub(crate) token_hash: Option<String>,
    /// `live`, `consumed`, `superseded` or `expired`.
    pub(crate) state: String,
    pub(crate) in_setup: bool,
}

pub(crate) async fn token_read(executor: impl PgExecutor<'_>, id: Option<Uuid>) -> sqlx::Result<TokenRow> {
    sqlx::query_as!(
        TokenRow,
        r#"SELECT
            t.token_hash AS "token_hash?",
            CASE WHEN t.consumed_at IS NOT NULL THEN 'consumed'
                 WHEN t.superseded_at IS NOT NULL THEN 'superseded'
                 WHEN t.expired_at IS NOT NULL OR t.expires_at <= now() THEN 'expired'
                 ELSE 'live' END AS "state!",
            a.mode = 'setup' AS "in_setup!"
        FROM settings_app_profile a LEFT JOIN setup_tokens t ON t.id = $1"#,
        id
    )
    .fetch_one(executor)
    .await
}

/// Marks the live token, if there is one, as expired or superseded, and forgets the old ones.
pub(crate) async fn token_end_live(connection: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE setup_tokens SET
            expired_at = CASE WHEN expires_at <= now() THEN now() END,
            superseded_at = CASE WHEN expires_at > now() THEN now() END
        WHERE consumed_at IS NULL AND superseded_at IS NULL AND expired_at IS NULL"
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!("DELETE FROM setup_tokens WHERE issued_at < now() - interval '30 days'")
        .execute(connection)
        .await?;
    Ok(())
}

pub(crate) async fn token_insert(
    connection: &mut PgConnection,
    id: Uuid,
    token_hash: &str,
    issued_by: &str,
    ttl_seconds: f64,
) -> sqlx::Result<OffsetDateTime> {
    sqlx::query_scalar!(
        "INSERT INTO setup_tokens (id, token_hash, issued_by, issued_at, expires_at)
        VALUES ($1, $2, $3, now(), now() + make_interval(secs => $4)) RETURNING expires_at",
        id,
        token_hash,
        issued_by,
        ttl_seconds
    )
    .fetch_one(connection)
    .await
}

/// Uses the token up; `false` where it is not live any more.
pub(crate) async fn token_consume(connection: &mut PgConnection, id: Uuid) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "UPDATE setup_tokens SET consumed_at = now() WHERE id = $1
            AND consumed_at IS NULL AND superseded_at IS NULL AND expired_at IS NULL AND expires_at > now()",
        id
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Marks every live token as expired whose time is over.
pub(crate) async fn token_expire_due(executor: impl PgExecutor<'_>) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE setup_tokens SET expired_at = now() WHERE expires_at <= now()
            AND consumed_at IS NULL AND superseded_at IS NULL AND expired_at IS NULL"
    )
    .execute(executor)
    .await?;
    Ok(())
}

/// Marks a live token as expired, once its time is over.
pub(crate) async fn token_expire(executor: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE setup_tokens SET expired_at = now() WHERE id = $1 AND expires_at <= now()
            AND consumed_at IS NULL AND superseded_at IS NULL AND expired_at IS NULL",
        id
    )
    .execute(executor)
    .await?;
    Ok(())
}
