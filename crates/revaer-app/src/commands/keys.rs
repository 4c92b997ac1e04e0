//! `revaer-app issue-key` and `rotate-secret-key`: for whoever is on the host, and may have lost every key.

use anyhow::Context as _;
use revaer_config::{BootstrapOptions, ChangeContext, ConfigError, ConfigService, HostKey, KeyId};
use revaer_telemetry::Telemetry;
use sqlx::{Connection as _, PgPool, postgres::PgPoolOptions};
use time::OffsetDateTime;

use super::{Desk, host::Host, migrate};
use crate::{
    datadir::DataDir,
    instance::{InstanceLock, external},
};

/// The key that the operator wants.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) key_id: Option<KeyId>,
    pub(super) label: Option<String>,
    pub(super) expires_at: Option<OffsetDateTime>,
    pub(super) replace: bool,
}

/// Issues a key, whether the server runs or not, and prints it once.
pub(super) async fn issue(desk: &Desk, wanted: Wanted) -> anyhow::Result<()> {
    let host = Host::open(desk).await?;
    let issued = issue_in(desk, &host, wanted).await;
    host.close().await;
    println!("{}", issued?);
    Ok(())
}

async fn issue_in(desk: &Desk, host: &Host, wanted: Wanted) -> anyhow::Result<String> {
    let (pool, config) = settings(desk, host, false).await?;
    let key = HostKey {
        key_id: wanted.key_id,
        label: wanted.label,
        expires_at: wanted.expires_at,
        replace: wanted.replace,
    };
    let issued = config.issue_key_on_host(key, context("issue-key")).await;
    pool.close().await;
    match issued {
        Ok(issued) => Ok(format!("{}:{}", issued.info.key_id, issued.secret)),
        Err(ConfigError::SetupRequired) => anyhow::bail!(
            "the server is not set up yet: complete its setup, which issues the first key (revaer setup)"
        ),
        Err(ConfigError::Exists { name, .. }) => anyhow::bail!(
            "there is a key {name} already: with --replace it gets a new secret and is enabled; its old one stops \
             being taken"
        ),
        Err(other) => Err(other.into()),
    }
}

/// Seals every secret under a new key. No server may run on this database meanwhile.
pub(super) async fn rotate_secret_key(desk: &Desk) -> anyhow::Result<()> {
    let held = DataDir::open_existing(&desk.data_dir)?;
    let host = match &desk.environment.database_url {
        Some(url) => Host::external(url, held.path().to_owned(), Some(held))?,
        None => {
            let there = held.path().join("pg/PG_VERSION").exists();
            anyhow::ensure!(there, "there is no database in {}", desk.data_dir.display());
            Host::embedded(desk, held).await?
        }
    };
    let rotated = rotate_in(desk, &host).await;
    host.close().await;
    let (resealed, key_file) = rotated?;
    println!("{resealed} secrets are sealed under a new key in {key_file}: back it up, with the database");
    Ok(())
}

async fn rotate_in(desk: &Desk, host: &Host) -> anyhow::Result<(usize, String)> {
    let lock = InstanceLock::take(&host.connect_options()).await?;
    let (pool, config) = settings(desk, host, true).await?;
    let resealed = config.rotate_secret_key(context("rotate-secret-key")).await;
    pool.close().await;
    drop(lock);
    Ok((resealed?, desk.key_file(host.data_dir()).display().to_string()))
}

/// The settings of a database that a server of this version has opened before, under the key that it has.
async fn settings(desk: &Desk, host: &Host, alone: bool) -> anyhow::Result<(PgPool, ConfigService)> {
    let mut connection = host.connect(desk).await?;
    migrate::expect_same(&mut connection).await?;
    drop(connection.close().await);
    let key_file = desk.key_file(host.data_dir());
    // It would be made anew, beside a server that has another.
    anyhow::ensure!(
        key_file.exists(),
        "there is no secret key file {}: restore it from a backup",
        key_file.display()
    );
    let pool = PgPoolOptions::new()
        .max_connections(2)
        .connect_with(host.connect_options())
        .await
        .map_err(|error| external::unreachable(&host.connect_options(), &error))?;
    let options =
        BootstrapOptions { data_dir: host.data_dir().to_owned(), key_file, overrides: Vec::new(), alone };
    let config = ConfigService::bootstrap(pool.clone(), options, Telemetry::new())
        .await
        .context("the settings cannot be read")?;
    Ok((pool, config))
}

fn context(command: &str) -> ChangeContext {
    ChangeContext {
        actor: format!("revaer-app {command}"),
        request_id: None,
        reason: None,
        peer: None,
        if_match: None,
    }
}
