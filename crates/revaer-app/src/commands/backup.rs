//! `revaer-app backup`: the database, the resume data and the secret key in one file.
//!
//! The order is the one in which a later part may be newer than an earlier one and do no harm. The dump is one moment.
//! Resume data that is newer never claims a piece that is not on disk, and what it says of a torrent's wishes is not
//! believed; of a torrent that the dump does not know it is set aside by the server, and where it is missing the
//! content is checked. The key has to be the one that the dump was sealed with, so it is looked at before and after.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use sqlx::{Connection, PgConnection};
use time::{OffsetDateTime, macros::format_description};
use tokio_util::sync::CancellationToken;

use super::{
    Desk,
    archive::{ArchiveWriter, MOST_RESUME_BYTES, Target},
    host::Host,
    manifest::{DATABASE, FORMAT, KEY, Manifest, is_resume_file},
    pipe::{Blocking, broken_off},
    sql::{self, Before},
};
use crate::child::{Child, Output};

/// Writes a backup to a file, or to stdout.
pub(super) async fn backup(desk: &Desk, to: Option<PathBuf>, replace: bool) -> anyhow::Result<()> {
    let at = OffsetDateTime::now_utc();
    let to = to.map_or_else(|| default_name(at), Ok)?;
    let host = Host::open(desk).await?;
    let written = write(desk, &host, (&to, replace), at).await;
    host.close().await;
    let (path, manifest) = written?;
    if let Some(path) = path {
        let files = manifest.parts.iter().find_map(|part| part.files).unwrap_or_default();
        println!(
            "{}: schema {}, settings revision {}, resume data of {files} files",
            path.display(),
            manifest.database.schema_version,
            manifest.database.settings_revision
        );
    }
    Ok(())
}

fn default_name(at: OffsetDateTime) -> anyhow::Result<PathBuf> {
    let stamp = format_description!("[year][month][day]T[hour][minute][second]Z");
    Ok(PathBuf::from(format!("revaer-backup-{}.tar", at.format(stamp)?)))
}

async fn write(
    desk: &Desk,
    host: &Host,
    (to, replace): (&Path, bool),
    at: OffsetDateTime,
) -> anyhow::Result<(Option<PathBuf>, Manifest)> {
    let key_file = desk.key_file(host.data_dir());
    let key = read_key(&key_file)?;
    let mut connection = host.connect(desk).await?;
    let (before, child) = dump(desk, host, &mut connection).await?;
    let resume_dir = before.resume_dir.map_or_else(|| host.data_dir().join("resume"), PathBuf::from);
    let text = |path: &Path| path.display().to_string();
    let manifest = Manifest {
        format: FORMAT,
        product_version: env!("CARGO_PKG_VERSION").to_owned(),
        product_sha: env!("REVAER_BUILD_SHA").to_owned(),
        taken_at: at,
        data_dir: text(host.data_dir()),
        resume_dir: text(&resume_dir),
        database: before.facts,
        parts: Vec::new(),
    };
    let stopping = desk.tasks.token();
    let (dir, to) = (host.data_dir().to_owned(), to.to_owned());
    let written = desk
        .blocking("backup", move || {
            let is_stdout = to == Path::new("-");
            let target = if is_stdout { Target::stdout(&dir)? } else { Target::file(&to, replace)? };
            let failed = || format!("can not write the backup to {}", to.display());
            let writer = ArchiveWriter::new(target.writer()?, at).with_context(failed)?;
            let mut writer = copy_dump(writer, child, &stopping, failed)?;
            copy_resume(&mut writer, &resume_dir, &stopping)?;
            anyhow::ensure!(
                read_key(&key_file)? == key,
                "the secret key was changed during the backup: start it again"
            );
            writer.part(KEY, &key).with_context(failed)?;
            let (_, manifest) = writer.finish(manifest).with_context(failed)?;
            Ok((target.commit()?, manifest))
        })
        .await;
    // Until here the transaction lent its snapshot to the dump.
    drop(connection.close().await);
    written
}

fn read_key(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut next = path.as_os_str().to_owned();
    next.push(".next");
    anyhow::ensure!(
        !Path::new(&next).exists(),
        "a rotation of the secret key was cut off, so that the key file may not be the right one: start the server \
         once, and back up then"
    );
    fs::read(path).with_context(|| {
        format!("can not read the secret key file {}, without which a backup is not whole", path.display())
    })
}

/// Starts `pg_dump` in the snapshot of a transaction that is left open.
async fn dump(desk: &Desk, host: &Host, connection: &mut PgConnection) -> anyhow::Result<(Before, Child)> {
    let unread = "the database cannot be read";
    let major = sql::major_version(connection).await.context(unread)?;
    let clients = host.clients(desk, major).await?;
    let schema = sql::schema(connection).await.context(unread)?;
    let schema = schema.context("the database holds nothing of revaer-app: there is nothing to back up")?;
    let before = sql::begin_snapshot(connection, schema).await.context(unread)?;
    let spec = clients
        .program("pg_dump")
        .args(["--format=custom", "--no-password", "--lock-wait-timeout=30s"])
        .arg(format!("--snapshot={}", before.snapshot))
        .arg(format!("--schema={}", pattern(&before.facts.schema)))
        .stdout(Output::Pipe)
        .stderr(Output::Pipe);
    Ok((before, desk.children.spawn(spec).await?))
}

/// A name as a pattern of `pg_dump` that matches it alone.
fn pattern(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Adds what `pg_dump` writes; blocks.
fn copy_dump(
    mut writer: ArchiveWriter,
    mut child: Child,
    stopping: &CancellationToken,
    failed: impl FnOnce() -> String,
) -> anyhow::Result<ArchiveWriter> {
    let stdout = child.stdout().context("pg_dump has no output")?;
    writer.stream(DATABASE, Blocking::new(stdout, stopping.clone())).with_context(failed)?;
    let ended = tokio::runtime::Handle::current().block_on(child.finish()).context("pg_dump was lost")?;
    let said = String::from_utf8_lossy(&ended.stderr);
    anyhow::ensure!(ended.status.success(), "pg_dump failed ({}): {}", ended.status, said.trim());
    Ok(writer)
}

/// Adds the resume data as it is now; blocks.
fn copy_resume(writer: &mut ArchiveWriter, dir: &Path, stopping: &CancellationToken) -> anyhow::Result<()> {
    let unread = |path: &Path| format!("can not read the resume data {}", path.display());
    let mut names = Vec::new();
    match fs::read_dir(dir) {
        Ok(entries) => {
            for entry in entries {
                let entry = entry.with_context(|| unread(dir))?;
                names.extend(entry.file_name().into_string().ok().filter(|name| is_resume_file(name)));
            }
        }
        // A server that was never set up has made none.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| unread(dir)),
    }
    names.sort_unstable();
    for name in names {
        if stopping.is_cancelled() {
            return Err(broken_off().into());
        }
        let path = dir.join(&name);
        if let Some(content) = read_plain(&path).with_context(|| unread(&path))? {
            writer
                .resume_file(&name, &content)
                .with_context(|| format!("can not write {name} into the backup"))?;
        }
    }
    Ok(())
}

/// The content of a plain file; nothing where it is gone by now, is something else, or is too long to be resume data.
fn read_plain(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let opened =
        fs::OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path);
    let file: File = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.raw_os_error() == Some(libc::ELOOP) => return Ok(None),
        Err(error) => return Err(error),
    };
    if !file.metadata()?.is_file() {
        return Ok(None);
    }
    let mut content = Vec::new();
    (&file).take(MOST_RESUME_BYTES + 1).read_to_end(&mut content)?;
    let fits = u64::try_from(content.len()).is_ok_and(|length| length <= MOST_RESUME_BYTES);
    Ok(fits.then_some(content))
}
