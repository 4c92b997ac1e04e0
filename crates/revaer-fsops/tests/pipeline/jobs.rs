//! The table of jobs, on a real database.

use std::{path::Path, str::FromStr};

use revaer_fsops::{JobEnd, JobStatus, sql};
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, PgConnection, postgres::PgConnectOptions};
use time::OffsetDateTime;

use crate::support::torrent;

/// A migrated database of its own, dropped with [`Database::drop_it`].
struct Database {
    connection: PgConnection,
    admin: PgConnectOptions,
    name: String,
}

impl Database {
    async fn new() -> Self {
        let url = std::env::var("REVAER_TEST_DATABASE_URL").unwrap_or_else(|_| {
            panic!("REVAER_TEST_DATABASE_URL must name a PostgreSQL server on which databases can be made")
        });
        let admin = PgConnectOptions::from_str(&url).unwrap();
        let name = format!("revaer_fsops_{}_{}", std::process::id(), OffsetDateTime::now_utc().nanosecond());
        execute(&admin, format!("CREATE DATABASE {name}")).await;
        let mut connection = PgConnection::connect_with(&admin.clone().database(&name)).await.unwrap();
        let migrations = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations"));
        sqlx::migrate::Migrator::new(migrations).await.unwrap().run(&mut connection).await.unwrap();
        for number in [1, 2] {
            let row = format!(
                "INSERT INTO torrents SELECT * FROM jsonb_populate_record(NULL::torrents, '{}')",
                json!({
                    "id": torrent(number).to_string(), "name": "t", "trackers": [], "peers": [], "tags": [],
                    "info_hash_v1": format!("\\x{number:040x}"),
                    "download_dir": "/d", "wanted": "running", "sequential": false, "seed_mode": false,
                    "include": [], "exclude": [], "skip_fluff": false, "priorities": [], "selection_version": 0,
                    "has_metainfo": false, "extensions": [], "added_at": "2026-01-01T00:00:00Z",
                    "last_state": "queued", "last_updated": "2026-01-01T00:00:00Z",
                    "content_in_library": false, "delete_data": false, "private": false, "is_directory": false,
                    "generation": 0, "complete": false, "bytes_done": 0, "bytes_downloaded": 0,
                    "bytes_uploaded": 0,
                })
            );
            sqlx::raw_sql(AssertSqlSafe(row)).execute(&mut connection).await.unwrap();
        }
        Self { connection, admin, name }
    }

    async fn drop_it(self) {
        self.connection.close().await.unwrap();
        execute(&self.admin, format!("DROP DATABASE {}", self.name)).await;
    }
}

async fn execute(admin: &PgConnectOptions, statement: String) {
    let mut connection = PgConnection::connect_with(admin).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
}

#[tokio::test]
async fn a_job_goes_from_queued_to_completed_once() {
    let mut database = Database::new().await;
    let connection = &mut database.connection;
    let now = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
    let one = torrent(1);

    assert!(sql::job_insert(connection, one, 1, now).await.unwrap());
    assert!(!sql::job_insert(connection, one, 1, now).await.unwrap());
    assert!(sql::job_claim(connection, one, 1, &json!({"revision": 7}), now).await.unwrap());
    let job = sql::job_latest(connection, one).await.unwrap().unwrap();
    assert_eq!((job.status, job.attempts, job.step), (JobStatus::Running, 1, None));
    assert_eq!(job.policy, Some(json!({"revision": 7})));

    let waiting = JobEnd::Waiting { step: "transfer", message: "no space", not_before: now };
    sql::job_finish(connection, one, 1, waiting, now).await.unwrap();
    let job = sql::job_latest(connection, one).await.unwrap().unwrap();
    assert_eq!((job.status, job.not_before), (JobStatus::Waiting, Some(now)));
    assert_eq!((job.step.as_deref(), job.message.as_deref()), (Some("transfer"), Some("no space")));

    assert!(sql::job_claim(connection, one, 1, &json!({"revision": 7}), now).await.unwrap());
    let end = JobEnd::Completed { library_path: Path::new("/library/Show") };
    sql::job_finish(connection, one, 1, end, now).await.unwrap();
    let job = sql::job_latest(connection, one).await.unwrap().unwrap();
    assert_eq!((job.status, job.attempts, job.message), (JobStatus::Completed, 2, None));
    assert_eq!(job.library_path.as_deref(), Some("/library/Show"));
    assert!(!sql::job_claim(connection, one, 1, &json!({}), now).await.unwrap());
    database.drop_it().await;
}

#[tokio::test]
async fn the_latest_generation_counts_and_goes_with_its_torrent() {
    let mut database = Database::new().await;
    let connection = &mut database.connection;
    let now = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
    for (number, generation) in [(1, 1), (1, 2), (2, 1)] {
        sql::job_insert(connection, torrent(number), generation, now).await.unwrap();
    }
    sql::job_finish(connection, torrent(1), 1, JobEnd::Failed { step: "validate", message: "no" }, now)
        .await
        .unwrap();
    sql::job_finish(connection, torrent(2), 1, JobEnd::Failed { step: "transfer", message: "no" }, now)
        .await
        .unwrap();
    let latest = sql::jobs_latest(connection).await.unwrap();
    let shown: Vec<_> = latest.iter().map(|job| (job.torrent, job.generation, job.status)).collect();
    assert_eq!(shown, [(torrent(1), 2, JobStatus::Queued), (torrent(2), 1, JobStatus::Failed)]);
    sqlx::query("DELETE FROM torrents WHERE id = $1")
        .bind(torrent(1).as_uuid())
        .execute(&mut *connection)
        .await
        .unwrap();
    assert_eq!(sql::job_latest(connection, torrent(1)).await.unwrap(), None);
    assert!(sql::job_insert(connection, torrent(1), 3, now).await.is_err());
    database.drop_it().await;
}
