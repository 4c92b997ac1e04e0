//! The settings documents, their revision, and who holds them.

use serde_json::{Map, Value};
use sqlx::{PgConnection, PgExecutor, Postgres, QueryBuilder};

use crate::{document::Change, field::Section};

/// All settings as one statement sees them.
pub(crate) struct Rows {
    pub(crate) revision: i64,
    /// Seconds since the commit, by the database's own clock.
    pub(crate) age_seconds: f64,
    pub(crate) app: Option<Value>,
    pub(crate) engine: Option<Value>,
    pub(crate) fs: Option<Value>,
    pub(crate) keys: Value,
    pub(crate) secrets: Vec<String>,
    pub(crate) presets: Value,
}

/// Reads everything in one statement, so that it is one state. `sealing_key` says which MACs are valid.
pub(crate) async fn read_all(executor: impl PgExecutor<'_>, sealing_key: &str) -> sqlx::Result<Rows> {
    sqlx::query_as!(
        Rows,
        r#"SELECT
            r.revision,
            CASE WHEN isfinite(r.changed_at) THEN extract(epoch FROM clock_timestamp() - r.changed_at)::float8
                ELSE 0 END AS "age_seconds!",
            CASE WHEN (SELECT count(*) = 1 FROM settings_app_profile)
                THEN (SELECT to_jsonb(a) FROM settings_app_profile a LIMIT 1) END AS app,
            CASE WHEN (SELECT count(*) = 1 FROM settings_engine_profile)
                THEN (SELECT to_jsonb(e) FROM settings_engine_profile e LIMIT 1) END AS engine,
            CASE WHEN (SELECT count(*) = 1 FROM settings_fs_policy)
                THEN (SELECT to_jsonb(f) FROM settings_fs_policy f LIMIT 1) END AS fs,
            (SELECT coalesce(
                jsonb_agg(to_jsonb(k) || jsonb_build_object('mac', encode(m.mac, 'hex'), 'previous', (
                    SELECT coalesce(jsonb_agg(jsonb_build_object(
                        'secret_hash', p.secret_hash, 'until', p.until, 'mac', encode(pm.mac, 'hex'))), '[]')
                    FROM auth_api_key_previous p
                    LEFT JOIN auth_api_key_macs pm
                        ON pm.key_id = p.key_id AND pm.secret_hash = p.secret_hash AND pm.sealing_key = $1
                    WHERE p.key_id = k.key_id AND p.until > now()
                )) ORDER BY k.key_id), '[]')
             FROM auth_api_keys k
             LEFT JOIN auth_api_key_macs m
                ON m.key_id = k.key_id AND m.secret_hash = k.secret_hash AND m.sealing_key = $1
            ) AS "keys!",
            (SELECT coalesce(array_agg(s.name ORDER BY s.name), '{}') FROM settings_secret s
             WHERE NOT starts_with(s.name, 'revaer.')) AS "secrets!",
            (SELECT coalesce(jsonb_agg(to_jsonb(q) ORDER BY q.name), '[]') FROM query_presets q) AS "presets!"
        FROM settings_revision r"#,
        sealing_key
    )
    .fetch_one(executor)
    .await
}

/// The revision alone.
pub(crate) async fn read_revision(executor: impl PgExecutor<'_>) -> sqlx::Result<i64> {
    sqlx::query_scalar!("SELECT revision FROM settings_revision").fetch_one(executor).await
}

/// Who writes, for the history.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Writer<'a> {
    pub(crate) actor: &'a str,
    pub(crate) request_id: Option<&'a str>,
    pub(crate) reason: Option<&'a str>,
}

/// Sends a notification; it arrives after the statement.
pub(crate) async fn notify(executor: impl PgExecutor<'_>, channel: &str, payload: &str) -> sqlx::Result<()> {
    sqlx::query!(r#"SELECT pg_notify($1, $2) AS "sent: ()""#, channel, payload).fetch_one(executor).await?;
    Ok(())
}

/// Names the writer for the history, and bounds the wait for others.
pub(crate) async fn name_writer(connection: &mut PgConnection, writer: Writer<'_>) -> sqlx::Result<()> {
    sqlx::query!(
        "SELECT set_config('revaer.actor', $1, true) AS actor,
                set_config('revaer.request_id', $2, true) AS request_id,
                set_config('revaer.reason', $3, true) AS reason,
                set_config('lock_timeout', '5s', true) AS lock_timeout",
        writer.actor,
        writer.request_id.unwrap_or_default(),
        writer.reason.unwrap_or_default()
    )
    .fetch_one(connection)
    .await?;
    Ok(())
}

/// Names the writer, and queues behind the others.
pub(crate) async fn begin_change(connection: &mut PgConnection, writer: Writer<'_>) -> sqlx::Result<()> {
    name_writer(connection, writer).await?;
    sqlx::query_scalar!("SELECT revision FROM settings_revision FOR UPDATE").fetch_one(connection).await?;
    Ok(())
}

/// The process that has kept a transaction with the settings open for longest; not one that only reads, as a backup
/// does, nor one that waits itself.
pub(crate) async fn find_blocker(executor: impl PgExecutor<'_>) -> sqlx::Result<Option<i32>> {
    sqlx::query_scalar!(
        r#"SELECT a.pid AS "pid!" FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
        WHERE l.relation = 'settings_revision'::regclass AND l.granted AND a.pid <> pg_backend_pid()
            AND l.mode <> 'AccessShareLock' AND a.wait_event_type IS DISTINCT FROM 'Lock'
        ORDER BY a.xact_start LIMIT 1"#
    )
    .fetch_optional(executor)
    .await
}

/// Makes the three documents where they do not exist yet; everything else is the columns' defaults.
pub(crate) async fn create_missing(
    connection: &mut PgConnection,
    resume_dir: &str,
    download_root: &str,
    library_root: &str,
) -> sqlx::Result<()> {
    sqlx::query!("INSERT INTO settings_app_profile DEFAULT VALUES ON CONFLICT DO NOTHING")
        .execute(&mut *connection)
        .await?;
    sqlx::query!(
        "INSERT INTO settings_engine_profile (resume_dir, download_root) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        resume_dir as _,
        download_root as _
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "INSERT INTO settings_fs_policy (library_root) VALUES ($1) ON CONFLICT DO NOTHING",
        library_root as _
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Writes the changed columns of one document. Column names come from the table of fields only.
pub(crate) async fn update_section(
    connection: &mut PgConnection,
    section: Section,
    changes: &[&Change],
) -> sqlx::Result<()> {
    let mut values = Map::new();
    let mut statement: QueryBuilder<Postgres> = QueryBuilder::new("UPDATE ");
    statement.push(section.table()).push(" AS t SET (");
    for (index, change) in changes.iter().enumerate() {
        statement.push(if index == 0 { "" } else { ", " }).push(change.field.column);
        values.insert(change.field.column.to_owned(), change.value.clone());
    }
    statement.push(") = (SELECT ");
    for (index, change) in changes.iter().enumerate() {
        statement.push(if index == 0 { "r." } else { ", r." }).push(change.field.column);
    }
    // The row itself is the base, so that what is absent from the object keeps its value.
    statement
        .push(" FROM jsonb_populate_record(t, ")
        .push_bind(Value::Object(values))
        .push(") AS r) WHERE t.singleton");
    statement.build().execute(connection).await?;
    Ok(())
}

/// Ends setup.
pub(crate) async fn activate(connection: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query!("UPDATE settings_app_profile SET mode = 'active'").execute(connection).await?;
    Ok(())
}
