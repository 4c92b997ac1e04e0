//! The statements of the host commands. They meet schemas of other versions, and none at all, so none of them is
//! checked against the schema of this one.

use std::path::PathBuf;

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};

use super::manifest::DatabaseFacts;

/// A table that stands in a database while a restore fills it.
const UNFINISHED: &str = "revaer_restore";

/// A migration that the database has seen.
#[derive(Debug)]
pub(super) struct Applied {
    pub(super) version: i64,
    pub(super) success: bool,
    pub(super) checksum: Vec<u8>,
}

/// A restore into this database was cut off.
#[derive(Debug, thiserror::Error)]
#[error("a restore into this database did not come to its end: run revaer-app restore again")]
pub(crate) struct Unfinished;

/// What was read before a dump, in the same snapshot.
#[derive(Debug)]
pub(super) struct Before {
    pub(super) facts: DatabaseFacts,
    pub(super) resume_dir: Option<String>,
    /// For `pg_dump --snapshot`; good while the transaction is open.
    pub(super) snapshot: String,
}

/// What a database holds, as far as a restore has to know.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// No table in the schema.
    Empty,
    /// What an unfinished restore has left.
    Unfinished,
    /// Something else.
    Occupied,
}

/// What changes in a restored database.
#[derive(Debug)]
pub(super) struct Finish<'a> {
    /// Event numbers go on above this one.
    pub(super) event_lease: i64,
    /// Where the server's resume data is now, when it has moved.
    pub(super) resume_dir: Option<&'a str>,
    /// What [`restored_as`] answers from now on, until a server starts.
    pub(super) holder: &'a str,
    /// Where the tables are.
    pub(super) schema: &'a str,
}

/// Refuses a database that a restore has left half filled.
pub(crate) async fn refuse_unfinished(connection: &mut PgConnection) -> anyhow::Result<()> {
    let unfinished: bool = sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL")
        .bind(UNFINISHED)
        .fetch_one(connection)
        .await?;
    if unfinished { Err(Unfinished.into()) } else { Ok(()) }
}

/// What has been applied, oldest first; nothing where there is no schema.
pub(super) async fn migrations(connection: &mut PgConnection) -> sqlx::Result<Vec<Applied>> {
    if schema(connection).await?.is_none() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query("SELECT version, success, checksum FROM _sqlx_migrations ORDER BY version")
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Applied { version: row.try_get(0)?, success: row.try_get(1)?, checksum: row.try_get(2)? })
        })
        .collect()
}

/// The schema that holds our tables.
pub(super) async fn schema(connection: &mut PgConnection) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar(
        "SELECT n.nspname::text FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace \
         WHERE c.oid = to_regclass('_sqlx_migrations')",
    )
    .fetch_optional(connection)
    .await
}

/// The major version of the server.
pub(super) async fn major_version(connection: &mut PgConnection) -> sqlx::Result<u32> {
    let number: i32 =
        sqlx::query_scalar("SELECT current_setting('server_version_num')::int").fetch_one(connection).await?;
    Ok(u32::try_from(number / 10_000).unwrap_or_default())
}

/// Opens a transaction that sees one moment, lends its snapshot, and reads what the manifest says about it.
pub(super) async fn begin_snapshot(connection: &mut PgConnection, schema: String) -> sqlx::Result<Before> {
    sqlx::raw_sql("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").execute(&mut *connection).await?;
    let row = sqlx::query(
        "SELECT pg_export_snapshot(), current_setting('server_version'), \
             (SELECT max(version) FROM _sqlx_migrations WHERE success), \
             (SELECT revision FROM settings_revision), \
             (SELECT leased_through FROM event_log_state), \
             (SELECT resume_dir::text FROM settings_engine_profile)",
    )
    .fetch_one(connection)
    .await?;
    let facts = DatabaseFacts {
        server_version: row.try_get(1)?,
        schema,
        schema_version: row.try_get(2)?,
        settings_revision: row.try_get(3)?,
        event_lease: row.try_get(4)?,
    };
    Ok(Before { facts, resume_dir: row.try_get(5)?, snapshot: row.try_get(0)? })
}

/// What is in `schema`.
pub(super) async fn content(connection: &mut PgConnection, schema: &str) -> sqlx::Result<Content> {
    let tables: Vec<String> =
        sqlx::query_scalar("SELECT tablename::text FROM pg_tables WHERE schemaname = $1")
            .bind(schema)
            .fetch_all(connection)
            .await?;
    Ok(match tables.as_slice() {
        [] => Content::Empty,
        some if some.iter().any(|table| table == UNFINISHED) => Content::Unfinished,
        _ => Content::Occupied,
    })
}

/// Makes `schema` empty but for the mark of a restore. What an unfinished one left is dropped; what else is there is
/// kept under the name `aside`. Answers whether something was set aside. One transaction.
pub(super) async fn make_room(
    connection: &mut PgConnection,
    schema: &str,
    aside: &str,
) -> sqlx::Result<bool> {
    let content = content(connection, schema).await?;
    let (quoted, aside) = (identifier(schema), identifier(aside));
    let mut transaction = connection.begin().await?;
    let first = match content {
        Content::Empty => None,
        Content::Unfinished => Some(format!("DROP SCHEMA {quoted} CASCADE")),
        Content::Occupied => Some(format!("ALTER SCHEMA {quoted} RENAME TO {aside}")),
    };
    let statements = first.into_iter().chain([
        format!("CREATE SCHEMA IF NOT EXISTS {quoted}"),
        format!("CREATE TABLE {quoted}.{UNFINISHED} (begun_at timestamptz NOT NULL DEFAULT now())"),
    ]);
    for statement in statements {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok(content == Content::Occupied)
}

/// The event lease of the database that is about to be replaced, where there is one.
pub(super) async fn event_lease(connection: &mut PgConnection) -> sqlx::Result<Option<i64>> {
    let there: bool = sqlx::query_scalar("SELECT to_regclass('event_log_state') IS NOT NULL")
        .fetch_one(&mut *connection)
        .await?;
    if !there {
        return Ok(None);
    }
    sqlx::query_scalar("SELECT leased_through FROM event_log_state").fetch_optional(connection).await
}

/// The version of the schema, the settings revision and the event lease of what was restored.
pub(super) async fn figures(connection: &mut PgConnection) -> sqlx::Result<(i64, i64, i64)> {
    let row = sqlx::query(
        "SELECT (SELECT max(version) FROM _sqlx_migrations WHERE success), \
             (SELECT revision FROM settings_revision), (SELECT leased_through FROM event_log_state)",
    )
    .fetch_one(connection)
    .await?;
    Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))
}

/// Which restore has filled this database to its end, if that was the last thing that happened to it.
pub(super) async fn restored_as(connection: &mut PgConnection) -> sqlx::Result<Option<String>> {
    let there: bool =
        sqlx::query_scalar("SELECT to_regclass('instance_epoch') IS NOT NULL AND to_regclass($1) IS NULL")
            .bind(UNFINISHED)
            .fetch_one(&mut *connection)
            .await?;
    if !there {
        return Ok(None);
    }
    sqlx::query_scalar("SELECT holder FROM instance_epoch").fetch_optional(connection).await
}

/// Adapts what was restored to where and when it is now, and takes the mark away: it can be used. One transaction.
pub(super) async fn finish(connection: &mut PgConnection, finish: &Finish<'_>) -> sqlx::Result<()> {
    let mut transaction = connection.begin().await?;
    sqlx::query("UPDATE event_log_state SET leased_through = greatest(leased_through, $1)")
        .bind(finish.event_lease)
        .execute(&mut *transaction)
        .await?;
    // An instance that was fenced off before must not find its own number again.
    sqlx::query("UPDATE instance_epoch SET epoch = epoch + 1000000, holder = $1")
        .bind(finish.holder)
        .execute(&mut *transaction)
        .await?;
    if let Some(resume_dir) = finish.resume_dir {
        sqlx::query("SELECT set_config('revaer.actor', 'revaer-app restore', true)")
            .execute(&mut *transaction)
            .await?;
        sqlx::query("UPDATE settings_engine_profile SET resume_dir = $1")
            .bind(resume_dir)
            .execute(&mut *transaction)
            .await?;
    }
    let unmark = format!("DROP TABLE {}.{UNFINISHED}", identifier(finish.schema));
    sqlx::raw_sql(AssertSqlSafe(unmark)).execute(&mut *transaction).await?;
    transaction.commit().await
}

/// Where the restored settings expect content.
pub(super) async fn content_roots(connection: &mut PgConnection) -> sqlx::Result<Vec<PathBuf>> {
    let roots: Vec<String> = sqlx::query_scalar(
        "SELECT download_root::text FROM settings_engine_profile \
         UNION SELECT library_root::text FROM settings_fs_policy ORDER BY 1",
    )
    .fetch_all(connection)
    .await?;
    Ok(roots.into_iter().map(PathBuf::from).collect())
}

fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
