//! The statements that the embedded database needs before the migrations run.

use sqlx::PgConnection;

use super::places::NAME;

/// Makes the database `revaer` unless it is there. Its encoding and locale are the cluster's.
pub(super) async fn database_ensure(conn: &mut PgConnection) -> sqlx::Result<()> {
    let exists: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1)")
        .bind(NAME)
        .fetch_one(&mut *conn)
        .await?;
    if !exists {
        sqlx::raw_sql("CREATE DATABASE revaer").execute(&mut *conn).await?;
    }
    Ok(())
}
