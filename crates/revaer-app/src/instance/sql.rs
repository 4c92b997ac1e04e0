//! The statements of the instance lock and the table `instance_epoch`.

use sqlx::PgConnection;

/// The key of the advisory lock: `revaer` in ASCII, then a number for this use of it.
const LOCK_KEY: i64 = 0x7265_7661_6572_0001;

/// Takes the lock for this connection, if it is free.
pub(super) async fn lock_try(conn: &mut PgConnection) -> sqlx::Result<bool> {
    sqlx::query_scalar!(r#"SELECT pg_try_advisory_lock($1) AS "taken!""#, LOCK_KEY).fetch_one(conn).await
}

/// Who holds the lock in this database: the name of the connection, else its process id on the server.
pub(super) async fn lock_holder(conn: &mut PgConnection) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar!(
        r#"SELECT COALESCE(NULLIF(a.application_name, ''), 'database connection ' || l.pid) AS "holder!"
           FROM pg_locks AS l
           LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid
           WHERE l.locktype = 'advisory' AND l.granted
             AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
             AND l.classid::bigint = ($1::bigint >> 32) AND l.objid::bigint = ($1::bigint & 4294967295)
             AND l.objsubid = 1
           LIMIT 1"#,
        LOCK_KEY
    )
    .fetch_optional(conn)
    .await
}

/// Starts a new epoch for `holder`; waits for transactions that have checked the old one.
pub(super) async fn epoch_raise(conn: &mut PgConnection, holder: &str) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        "UPDATE instance_epoch SET epoch = epoch + 1, holder = $1, taken_at = now() RETURNING epoch",
        holder
    )
    .fetch_one(conn)
    .await
}

/// The epoch and its holder as they are now.
pub(super) async fn epoch_get(conn: &mut PgConnection) -> sqlx::Result<(i64, String)> {
    let row = sqlx::query!("SELECT epoch, holder FROM instance_epoch").fetch_one(conn).await?;
    Ok((row.epoch, row.holder))
}

/// The epoch and its holder, which cannot change before the transaction ends.
pub(super) async fn epoch_share(conn: &mut PgConnection) -> sqlx::Result<(i64, String)> {
    let row = sqlx::query!("SELECT epoch, holder FROM instance_epoch FOR SHARE").fetch_one(conn).await?;
    Ok((row.epoch, row.holder))
}
