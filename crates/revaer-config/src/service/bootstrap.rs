//! The start: secret key, missing rows, first snapshot.

use std::{
    path::{Component, Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, RwLock, atomic::AtomicBool},
};

use revaer_telemetry::{Component as HealthComponent, Health, Telemetry};
use sqlx::PgPool;
use tokio::sync::{Notify, Semaphore, broadcast, mpsc, watch};

use super::{
    BootstrapOptions, ConfigService, Hashing, MOST_MARKS, MOST_UNCHANGED, MOST_WRITERS, OWN, Shared, guards,
    load, repair, reseal, run_blocking, subscribers::Subscribers,
};
use crate::{
    error::{ConfigError, Fault},
    keyring::{KeyFile, SecretKey},
    profile::Mode,
    snapshot::ConfigSnapshot,
    sql::{
        secrets,
        settings::{self, Rows},
    },
};

/// The sealed secret that proves the secret key.
pub(crate) const PROBE: &str = "revaer.probe";

impl ConfigService {
    /// Opens the settings of a migrated database: reads or makes the secret key, makes the documents that do not
    /// exist yet, and reads the first snapshot. Where the stored rows break a rule, the last good ones of the
    /// history are in force and `config_watcher` is degraded.
    pub async fn bootstrap(
        pool: PgPool,
        options: BootstrapOptions,
        telemetry: Telemetry,
    ) -> Result<Self, ConfigError> {
        let health = &telemetry.health;
        let key_file = KeyFile::new(options.key_file);
        let (reader, data_dir) = (key_file.clone(), options.data_dir);
        let loaded = run_blocking(move || Ok((reader.load_or_create()?, normal(&data_dir)?))).await;
        let ((secret_key, made), data_dir) =
            loaded.unwrap_or(Err(ConfigError::Crypto { operation: "reading the secret key file" }))?;
        let secret_key = Arc::new(reseal::settle(&pool, &key_file, secret_key, options.alone).await?);

        create_missing(&pool, &data_dir).await?;
        let rows = settings::read_all(&pool, secret_key.id()).await?;
        let snapshot = first_snapshot(&pool, rows, &secret_key, health).await?;
        report_key(&pool, &snapshot, &secret_key, &key_file, made, health).await?;
        guards::begin(&snapshot, &telemetry);
        let shared = Shared {
            pool,
            subscribers: Arc::new(Subscribers::new(telemetry.clone())),
            telemetry,
            key_file,
            secret_key: RwLock::new(secret_key),
            published: watch::Sender::new(Arc::new(snapshot)),
            publishing: Mutex::default(),
            unchanged: broadcast::Sender::new(MOST_UNCHANGED),
            address_keeper: OnceLock::new(),
            fence: OnceLock::new(),
            overrides: options.overrides,
            writers: Semaphore::new(1),
            writers_waiting: Semaphore::new(MOST_WRITERS),
            marks: {
                let (sender, receiver) = mpsc::channel(MOST_MARKS);
                (sender, tokio::sync::Mutex::new(receiver))
            },
            hashing: Hashing::new(),
            rejection_noted: Mutex::new(None),
            wake: Notify::new(),
            deaf: AtomicBool::new(false),
        };
        Ok(Self { shared: Arc::new(shared) })
    }
}

async fn create_missing(pool: &PgPool, data_dir: &str) -> Result<(), ConfigError> {
    let below = |name: &str| format!("{}/{name}", data_dir.trim_end_matches('/'));
    let mut transaction = pool.begin().await?;
    settings::begin_change(&mut transaction, OWN).await?;
    settings::create_missing(&mut transaction, &below("resume"), &below("downloads"), &below("library"))
        .await?;
    transaction.commit().await?;
    Ok(())
}

/// The data directory as the rules for paths want it. Blocks.
fn normal(data_dir: &Path) -> Result<String, ConfigError> {
    let unusable = || ConfigError::DataDir { path: data_dir.to_owned() };
    let climbs = data_dir.components().any(|part| part == Component::ParentDir);
    let absolute = if climbs { std::fs::canonicalize(data_dir) } else { std::path::absolute(data_dir) };
    // Gathered from its parts, without a slash at the end.
    let gathered: PathBuf = absolute.map_err(|_| unusable())?.components().collect();
    let text = gathered.to_str().ok_or_else(unusable)?;
    crate::shape::path(text).map_err(|_| unusable())?;
    Ok(text.to_owned())
}

/// The snapshot of the rows; where one breaks a rule, of the last good one before it.
async fn first_snapshot(
    pool: &PgPool,
    rows: Rows,
    secret_key: &Arc<SecretKey>,
    health: &Health,
) -> Result<ConfigSnapshot, ConfigError> {
    let mut connection = pool.acquire().await?;
    let (rows, broken) = repair::last_good(&mut connection, rows).await?;
    if let Some(Fault { pointer, message }) = broken.first() {
        let reason = format!(
            "the stored settings break a rule at {pointer} ({message}); the last good ones are in force"
        );
        health.degrade(HealthComponent::ConfigWatcher, reason);
    }
    load::snapshot_of(rows, Arc::clone(secret_key))
}

/// Says so where the secret key is not the one that the secrets were sealed with.
async fn report_key(
    pool: &PgPool,
    snapshot: &ConfigSnapshot,
    secret_key: &SecretKey,
    key_file: &KeyFile,
    made: bool,
    health: &Health,
) -> Result<(), ConfigError> {
    if snapshot.app.mode == Mode::Setup {
        return Ok(());
    }
    let probe = secrets::secret_read(pool, PROBE).await?;
    if probe.is_some_and(|sealed| secret_key.open(PROBE, &sealed).is_some()) {
        let others = secrets::secrets_of_others(pool, secret_key.id()).await?;
        if others > 0 {
            let reason = format!(
                "{others} secrets were sealed under another key than that of {}, and can not be opened; set them again, or delete them",
                key_file.path().display()
            );
            health.degrade(HealthComponent::ApiKeys, reason);
        }
        return Ok(());
    }
    let what = if made { "was missing and made anew" } else { "is not the one the secrets were sealed with" };
    let reason = format!(
        "the secret key file {} {what}: sealed secrets can not be opened, and API keys are slow the first time; restore it from a backup",
        key_file.path().display()
    );
    health.degrade(HealthComponent::ApiKeys, reason);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_directory_is_stored_in_its_normal_form() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("a")).unwrap();
        let text = root.to_str().unwrap();
        assert_eq!(normal(&root.join("a/..")).unwrap(), text);
        assert_eq!(normal(Path::new(&format!("{text}//./"))).unwrap(), text);
        assert!(Path::new(&normal(Path::new("here")).unwrap()).is_absolute());
        assert!(normal(Path::new("/a\u{1}")).is_err());
    }
}
