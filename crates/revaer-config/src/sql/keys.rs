//! `auth_api_keys`, and the MACs beside it, which are no setting and bump nothing.

use sqlx::PgConnection;
use time::OffsetDateTime;

use crate::snapshot::RateLimit;

/// A whole row as it shall be; without a hash, a row that exists keeps its own.
#[derive(Clone, Copy)]
pub(crate) struct KeyRow<'a> {
    pub(crate) key_id: &'a str,
    pub(crate) label: &'a str,
    pub(crate) enabled: bool,
    pub(crate) secret_hash: Option<&'a str>,
    pub(crate) rate_limit: Option<RateLimit>,
    pub(crate) expires_at: Option<OffsetDateTime>,
}

impl KeyRow<'_> {
    fn limit(&self) -> (Option<i64>, Option<i64>) {
        let limit = self.rate_limit;
        (limit.map(|limit| limit.burst.into()), limit.map(|limit| limit.per_seconds.into()))
    }
}

pub(crate) async fn key_insert(connection: &mut PgConnection, row: &KeyRow<'_>) -> sqlx::Result<()> {
    let (burst, per_seconds) = row.limit();
    sqlx::query!(
        "INSERT INTO auth_api_keys
            (key_id, label, enabled, secret_hash, rate_limit_burst, rate_limit_per_seconds, expires_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7)",
        row.key_id,
        row.label as _,
        row.enabled,
        row.secret_hash,
        burst,
        per_seconds,
        row.expires_at
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub(crate) async fn key_update(connection: &mut PgConnection, row: &KeyRow<'_>) -> sqlx::Result<()> {
    let (burst, per_seconds) = row.limit();
    sqlx::query!(
        "UPDATE auth_api_keys SET label = $2, enabled = $3,
            secret_hash = coalesce($4, secret_hash),
            rate_limit_burst = $5, rate_limit_per_seconds = $6, expires_at = $7
        WHERE key_id = $1",
        row.key_id,
        row.label as _,
        row.enabled,
        row.secret_hash,
        burst,
        per_seconds,
        row.expires_at
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub(crate) async fn key_delete(connection: &mut PgConnection, key_id: &str) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM auth_api_keys WHERE key_id = $1", key_id).execute(connection).await?;
    Ok(())
}

/// Keeps the present secret of a key for so long beside the next one.
pub(crate) async fn previous_add(
    connection: &mut PgConnection,
    key_id: &str,
    grace_seconds: f64,
) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO auth_api_key_previous (key_id, secret_hash, until)
        SELECT key_id, secret_hash, now() + make_interval(secs => $2) FROM auth_api_keys WHERE key_id = $1
        ON CONFLICT (key_id, secret_hash) DO UPDATE SET until = excluded.until",
        key_id,
        grace_seconds
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Ends the secrets of before no later than so long from now; returns whether one ends earlier by that.
pub(crate) async fn previous_end_within(
    connection: &mut PgConnection,
    key_id: &str,
    grace_seconds: f64,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "UPDATE auth_api_key_previous SET until = now() + make_interval(secs => $2)
        WHERE key_id = $1 AND until > now() + make_interval(secs => $2)",
        key_id,
        grace_seconds
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Forgets the secrets of before whose end has come.
pub(crate) async fn previous_prune(connection: &mut PgConnection, key_id: &str) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM auth_api_key_previous WHERE key_id = $1 AND until <= now()", key_id)
        .execute(connection)
        .await?;
    Ok(())
}

/// Stores the MAC of a key's secret; it holds as long as the key has a secret of that hash. A key that is gone is left
/// alone, and marks of secrets that it had before are dropped.
pub(crate) async fn mac_set(
    connection: &mut PgConnection,
    key_id: &str,
    secret_hash: &str,
    sealing_key: &str,
    mac: &[u8],
) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO auth_api_key_macs (key_id, secret_hash, sealing_key, mac)
        SELECT k.key_id, $2, $3, $4 FROM auth_api_keys k WHERE k.key_id = $1
        ON CONFLICT (key_id, secret_hash) DO UPDATE
            SET sealing_key = excluded.sealing_key, mac = excluded.mac",
        key_id,
        secret_hash,
        sealing_key,
        mac
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "DELETE FROM auth_api_key_macs m USING auth_api_keys k
        WHERE m.key_id = $1 AND k.key_id = $1
            AND m.secret_hash <> k.secret_hash
            AND NOT EXISTS (SELECT FROM auth_api_key_previous p
                WHERE p.key_id = m.key_id AND p.secret_hash = m.secret_hash)",
        key_id
    )
    .execute(connection)
    .await?;
    Ok(())
}
