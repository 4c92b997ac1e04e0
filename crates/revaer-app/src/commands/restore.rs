//! `revaer-app restore`: puts back what `backup` has written, into a data directory whose server is stopped.
//!
//! Nothing is touched before the whole file was read and every sum was right. Then, each step repeatable after a kill:
//! a mark in the data directory, beside which no server starts; what is there is set aside under other names, and never
//! deleted; the database is filled in one transaction, beside a mark of its own; the key and the resume data; then the
//! marks go, that of the database first.

mod database;
mod files;
mod mark;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context as _;
use sqlx::{ConnectOptions as _, Connection as _};
use time::{OffsetDateTime, macros::format_description};

use super::{
    Desk,
    archive::Backup,
    host::Host,
    manifest::Manifest,
    sql::{self, Content},
};
use crate::{
    database::MIGRATOR,
    datadir::DataDir,
    instance::{InstanceLock, external},
};
use database::Filled;
use mark::{Mark, Phase};

/// Where everything goes.
#[derive(Debug, Clone)]
struct Places {
    data_dir: PathBuf,
    key_file: PathBuf,
    resume_dir: PathBuf,
    /// Whether the settings in the backup name another one.
    resume_moved: bool,
}

impl Places {
    /// Resume data that lay beneath the old data directory will lie beneath the new one.
    fn new(desk: &Desk, data_dir: &Path, manifest: &Manifest) -> Self {
        let was = Path::new(&manifest.resume_dir);
        let beneath = was.strip_prefix(&manifest.data_dir).ok();
        let resume_dir = beneath.map_or_else(|| was.to_owned(), |rest| data_dir.join(rest));
        Self {
            data_dir: data_dir.to_owned(),
            key_file: desk.key_file(data_dir),
            resume_moved: resume_dir != was,
            resume_dir,
        }
    }
}

/// What a restore works with.
struct Job<'a> {
    desk: &'a Desk,
    backup: Arc<Backup>,
    places: Places,
    replace: bool,
    /// Of a restore that was cut off.
    old: Option<Mark>,
}

/// Puts a backup back.
pub(super) async fn restore(desk: &Desk, from: PathBuf, replace: bool) -> anyhow::Result<()> {
    let (file, stopping) = (from.clone(), desk.tasks.token());
    let backup = desk.blocking("backup", move || Ok(Backup::open(&file, stopping)?)).await?;
    check_version(backup.manifest())?;
    let held = DataDir::open_for_restore(&desk.data_dir)?;
    let places = Places::new(desk, held.path(), backup.manifest());
    let old = Mark::read(held.path())?;
    let job = Job { desk, backup: Arc::new(backup), places, replace, old };
    let (host, mark, lock) = match &desk.environment.database_url {
        None => {
            let occupied = job.old.is_none() && job.places.data_dir.join("pg").exists();
            let mark = job.prepare(occupied, true).await?;
            (Host::embedded(desk, held).await?, mark, None)
        }
        Some(url) => {
            let host = Host::external(url, held.path().to_owned(), Some(held))?;
            let (mark, lock) = job.prepare_external(&host).await?;
            (host, mark, Some(lock))
        }
    };
    let filled = job.fill(&host, &mark, lock).await;
    host.close().await;
    let filled = filled?;
    Mark::remove(&job.places.data_dir)?;
    job.report(&from, &mark, &filled);
    Ok(())
}

impl Job<'_> {
    /// Looks whether there is room, leaves the mark, and sets aside the files that are there.
    async fn prepare(&self, occupied: bool, embedded: bool) -> anyhow::Result<Mark> {
        anyhow::ensure!(
            self.replace || !occupied,
            "there is a database already: with --replace it is set aside (renamed, not deleted)"
        );
        files::check_key(&self.places.key_file, self.backup.key())?;
        // What a restore that was cut off has set aside is what was there before; what is there now is its own.
        let manifest = self.backup.manifest();
        let mut mark = match &self.old {
            Some(old) => old.clone().of(manifest),
            None => Mark::new(stamp()?, manifest),
        };
        mark.write(&self.places.data_dir)?;
        if mark.phase == Phase::SettingAside {
            let (places, aside, key) = (self.places.clone(), mark.aside(), self.backup.key().to_vec());
            let set_aside = move || files::set_aside(&places, &aside, embedded, &key);
            self.desk.blocking("set aside", set_aside).await?;
            mark.phase = Phase::Filling;
            mark.write(&self.places.data_dir)?;
        }
        Ok(mark)
    }

    /// [`Job::prepare`] for a database that runs already, and that another server may use: it is kept out.
    async fn prepare_external(&self, host: &Host) -> anyhow::Result<(Mark, InstanceLock)> {
        let mut lock = InstanceLock::take(&host.connect_options()).await?;
        let content = sql::content(lock.connection(), &self.backup.manifest().database.schema).await?;
        let own = match &self.old {
            Some(old) => sql::restored_as(lock.connection()).await? == Some(old.holder()),
            None => false,
        };
        let mark = self.prepare(content == Content::Occupied && !own, false).await?;
        Ok((mark, lock))
    }

    async fn fill(&self, host: &Host, mark: &Mark, lock: Option<InstanceLock>) -> anyhow::Result<Filled> {
        let connect = host.connect_options();
        let lock = match lock {
            Some(lock) => lock,
            None => InstanceLock::take(&connect).await?,
        };
        let stopping = self.desk.tasks.token();
        let connecting = stopping.run_until_cancelled(connect.connect());
        let connected = connecting.await.context("told to stop")?;
        let mut connection = connected.map_err(|error| external::unreachable(&connect, &error))?;
        let filled = database::fill(self, host, &mut connection, mark).await;
        drop(connection.close().await);
        drop(lock);
        filled
    }

    fn report(&self, from: &Path, mark: &Mark, filled: &Filled) {
        let manifest = self.backup.manifest();
        println!(
            "restored {} (taken {}, settings revision {}) into {}",
            from.display(),
            manifest.taken_at,
            manifest.database.settings_revision,
            self.places.data_dir.display()
        );
        let kept_cluster = files::beside(&self.places.data_dir.join("pg"), &mark.aside());
        let kept_schema = filled.kept_schema.then(|| format!("the schema {}", mark.aside_schema()));
        let kept = kept_cluster.exists().then(|| kept_cluster.display().to_string()).or(kept_schema);
        if let Some(kept) = kept {
            println!("the database that was there before is kept: {kept}");
        }
        for root in &filled.elsewhere {
            println!(
                "the settings expect content in {}: put it there, or change them after the next start",
                root.display()
            );
        }
    }
}

fn check_version(manifest: &Manifest) -> anyhow::Result<()> {
    let ours = MIGRATOR.iter().map(|one| one.version).max().unwrap_or_default();
    let theirs = manifest.database.schema_version;
    anyhow::ensure!(
        theirs <= ours,
        "the backup is of a newer revaer-app ({}, schema {theirs}; this one knows {ours}): restore it with that",
        manifest.product_version
    );
    Ok(())
}

/// Of this attempt alone: two within a second are easily made.
fn stamp() -> anyhow::Result<String> {
    let format = format_description!("[year][month][day]T[hour][minute][second][subsecond digits:3]Z");
    Ok(OffsetDateTime::now_utc().format(format)?)
}
