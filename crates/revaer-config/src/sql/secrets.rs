//! `settings_secret`: sealed values; the database never sees a key or a plain value.

use sqlx::{PgConnection, PgExecutor};

pub(crate) async fn secret_read(executor: impl PgExecutor<'_>, name: &str) -> sqlx::Result<Option<Vec<u8>>> {
    sqlx::query_scalar!("SELECT sealed FROM settings_secret WHERE name = $1", name)
        .fetch_optional(executor)
        .await
}

pub(crate) async fn secret_set(
    connection: &mut PgConnection,
    name: &str,
    sealing_key: &str,
    sealed: &[u8],
) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO settings_secret (name, sealing_key, sealed) VALUES ($1, $2, $3)
        ON CONFLICT (name) DO UPDATE
            SET sealing_key = excluded.sealing_key, sealed = excluded.sealed, updated_at = now()",
        name,
        sealing_key,
        sealed
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub(crate) async fn secret_delete(connection: &mut PgConnection, name: &str) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM settings_secret WHERE name = $1", name).execute(connection).await?;
    Ok(())
}

/// How many secrets are sealed under another key.
pub(crate) async fn secrets_of_others(executor: impl PgExecutor<'_>, sealing_key: &str) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM settings_secret WHERE sealing_key <> $1"#,
        sealing_key
    )
    .fetch_one(executor)
    .await
}

/// A sealed value with its name.
pub(crate) struct SealedRow {
    pub(crate) name: String,
    pub(crate) sealed: Vec<u8>,
}

/// Every sealed value, the server's own too.
pub(crate) async fn secrets_all(executor: impl PgExecutor<'_>) -> sqlx::Result<Vec<SealedRow>> {
    sqlx::query_as!(SealedRow, "SELECT name, sealed FROM settings_secret ORDER BY name")
        .fetch_all(executor)
        .await
}
