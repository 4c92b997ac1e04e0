//! `query_presets`: filters of lists under a name.

use serde_json::Value;
use sqlx::PgConnection;

pub(crate) async fn preset_set(
    connection: &mut PgConnection,
    name: &str,
    filter: &Value,
    sort: Option<&str>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO query_presets (name, filter, sort) VALUES ($1, $2, $3)
        ON CONFLICT (name) DO UPDATE SET filter = excluded.filter, sort = excluded.sort, updated_at = now()",
        name,
        filter,
        sort
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub(crate) async fn preset_delete(connection: &mut PgConnection, name: &str) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM query_presets WHERE name = $1", name).execute(connection).await?;
    Ok(())
}
