//! The database of a restore: emptied, filled in one transaction, and adapted to where and when it is now.

use std::{
    io::{self, Read},
    path::PathBuf,
    sync::Arc,
};

use anyhow::Context as _;
use sha2::{Digest as _, Sha256};
use sqlx::PgConnection;
use time::OffsetDateTime;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::{Job, Mark, files};
use crate::{
    child::{Child, Input, Output},
    commands::{
        archive::{Backup, Entry},
        host::Host,
        manifest::{DATABASE, Manifest, hex},
        pipe::Blocking,
        sql::{self, Finish},
    },
};

/// The table of the log takes numbers below 2^53; this leaves room for as many restores as anybody can make.
const MOST_LEASE: i64 = (1 << 53) - (1 << 40);
/// More numbers than are ever leased ahead.
const GAP: i64 = 1 << 32;
/// More numbers than are given out in a second.
const PER_SECOND: i64 = 1 << 20;

/// What there is to say about a database that was filled.
#[derive(Debug, Default)]
pub(super) struct Filled {
    /// Whether a database was there, and is kept as a schema of another name.
    pub(super) kept_schema: bool,
    /// Roots that lie beneath the data directory that the backup was taken from, when it is another one now.
    pub(super) elsewhere: Vec<PathBuf>,
}

/// Fills the database of `host`, and puts the files in place before it can be used.
pub(super) async fn fill(
    job: &Job<'_>,
    host: &Host,
    connection: &mut PgConnection,
    mark: &Mark,
) -> anyhow::Result<Filled> {
    let manifest = job.backup.manifest();
    let schema = &manifest.database.schema;
    let mut kept_schema = false;
    if sql::restored_as(connection).await? != Some(mark.holder()) {
        let floor = sql::event_lease(connection).await?.unwrap_or_default();
        kept_schema = sql::make_room(connection, schema, &mark.aside_schema())
            .await
            .context("room can not be made in the database")?;
        pg_restore(job, host, connection).await?;
        check(connection, manifest).await?;
        put_files(job).await?;
        let resume_dir = job.places.resume_dir.display().to_string();
        let finish = Finish {
            event_lease: event_lease(manifest, floor, OffsetDateTime::now_utc()),
            resume_dir: job.places.resume_moved.then_some(resume_dir.as_str()),
            holder: &mark.holder(),
            schema,
        };
        sql::finish(connection, &finish).await.context("the restored database can not be adapted")?;
    }
    let here = &job.places.data_dir;
    let moved = here.as_os_str() != manifest.data_dir.as_str();
    let mut elsewhere = sql::content_roots(connection).await?;
    elsewhere.retain(|root| moved && root.starts_with(&manifest.data_dir));
    Ok(Filled { kept_schema, elsewhere })
}

async fn put_files(job: &Job<'_>) -> anyhow::Result<()> {
    let (places, backup) = (job.places.clone(), Arc::clone(&job.backup));
    job.desk.blocking("restore", move || files::put(&places, &backup)).await
}

/// Event numbers go on above every one that may have been given out, after the backup and after any other restore of
/// it, by the time that has gone by; a client then sees a gap, and never a number twice.
fn event_lease(manifest: &Manifest, floor: i64, now: OffsetDateTime) -> i64 {
    let before = manifest.database.event_lease.max(floor);
    let seconds = (now - manifest.taken_at).whole_seconds().max(0);
    let raised = before.saturating_add(GAP).saturating_add(seconds.saturating_mul(PER_SECOND));
    raised.min(MOST_LEASE).max(before)
}

/// Everything in one transaction: a kill, a full disk or a damaged dump leave the database empty.
async fn pg_restore(job: &Job<'_>, host: &Host, connection: &mut PgConnection) -> anyhow::Result<()> {
    let manifest = job.backup.manifest();
    let major = sql::major_version(connection).await?;
    let clients = host.clients(job.desk, major).await?;
    let database = host.connect_options();
    let database = database.get_database().unwrap_or(database.get_username()).to_owned();
    let spec = clients
        .program("pg_restore")
        .args(["--format=custom", "--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges"])
        .arg("--no-password")
        .arg(format!("--schema={}", manifest.database.schema))
        .arg(format!("--dbname=dbname='{}'", database.replace('\\', "\\\\").replace('\'', "\\'")))
        .stdin(Input::Pipe)
        .stderr(Output::Pipe);
    let child = job.desk.children.spawn(spec).await?;
    let (backup, stopping) = (Arc::clone(&job.backup), job.desk.tasks.token());
    job.desk.blocking("pg_restore", move || feed(child, &backup, &stopping)).await
}

/// Gives the dump to `pg_restore`, and its end only where the sum is still right; blocks.
fn feed(mut child: Child, backup: &Backup, stopping: &CancellationToken) -> anyhow::Result<()> {
    let stdin = child.stdin().context("pg_restore has no input")?;
    let mut pipe = Blocking::new(stdin, stopping.clone());
    let said = backup.manifest().parts.iter().find(|part| part.name == DATABASE);
    let said = said.context("the backup holds no database")?.sha256.clone();
    let mut refused = None;
    backup.for_each(|entry, content| {
        let Entry::Database = entry else { return Ok(()) };
        let mut summed = Summed { content, hash: Sha256::new() };
        match io::copy(&mut summed, &mut pipe) {
            // It has ended early, and will say why.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => refused = Some(error),
            other => {
                other.context("pg_restore can not be given the database")?;
                let found = hex(summed.hash);
                // Dropping the process here rolls its transaction back.
                anyhow::ensure!(found == said, "the backup has changed while it was read");
            }
        }
        Ok(())
    })?;
    drop(pipe);
    let ending = Box::pin(stopping.run_until_cancelled(child.finish()));
    let ended = Handle::current().block_on(ending).context("told to stop")?;
    let ended = ended.context("pg_restore was lost")?;
    let errors = String::from_utf8_lossy(&ended.stderr);
    anyhow::ensure!(
        ended.status.success() && refused.is_none(),
        "pg_restore failed ({}): {}",
        ended.status,
        errors.trim()
    );
    Ok(())
}

/// Reads on and sums up.
struct Summed<'a> {
    content: &'a mut dyn Read,
    hash: Sha256,
}

impl Read for Summed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.content.read(buffer)?;
        self.hash.update(buffer.get(..read).unwrap_or_default());
        Ok(read)
    }
}

async fn check(connection: &mut PgConnection, manifest: &Manifest) -> anyhow::Result<()> {
    let found = sql::figures(connection).await.context("the restored database can not be read")?;
    let facts = &manifest.database;
    let expected = (facts.schema_version, facts.settings_revision, facts.event_lease);
    anyhow::ensure!(
        found == expected,
        "the restored database is not the one of the backup: {found:?} and {expected:?}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;
    use crate::commands::manifest::DatabaseFacts;

    #[test]
    fn event_numbers_rise_with_every_restore_and_stay_in_range() {
        let taken_at = OffsetDateTime::UNIX_EPOCH;
        let manifest = |event_lease| Manifest {
            format: 1,
            product_version: String::new(),
            product_sha: String::new(),
            taken_at,
            data_dir: String::new(),
            resume_dir: String::new(),
            database: DatabaseFacts {
                server_version: String::new(),
                schema: String::new(),
                schema_version: 1,
                settings_revision: 1,
                event_lease,
            },
            parts: Vec::new(),
        };
        let first = event_lease(&manifest(10), 0, taken_at + Duration::minutes(1));
        let second = event_lease(&manifest(10), 0, taken_at + Duration::minutes(2));
        assert!(first > 10 + GAP && second >= first + 60 * PER_SECOND);
        // A clock that was set back, and a database that was further.
        assert!(event_lease(&manifest(10), 500, taken_at - Duration::days(1)) > 500);
        let far = event_lease(&manifest(10), 0, taken_at + Duration::days(100_000));
        assert!(far < 1 << 53);
        assert!(event_lease(&manifest(MOST_LEASE + 5), 0, taken_at) == MOST_LEASE + 5);
    }
}
