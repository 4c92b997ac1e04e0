//! The statements of the table `known_volumes`.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use sqlx::PgConnection;

use super::{SentinelId, VolumeError};

/// Every known root with its sentinel.
pub async fn known_volumes(conn: &mut PgConnection) -> Result<BTreeMap<PathBuf, SentinelId>, VolumeError> {
    let rows = sqlx::query!("SELECT path, sentinel FROM known_volumes").fetch_all(conn).await?;
    rows.into_iter().map(|row| (PathBuf::from(row.path), row.sentinel)).map(parsed).collect()
}

fn parsed((root, text): (PathBuf, String)) -> Result<(PathBuf, SentinelId), VolumeError> {
    match SentinelId::parse(&text) {
        Some(id) => Ok((root, id)),
        None => Err(VolumeError::BadRow { root, found: text }),
    }
}

/// The sentinel of a known root.
pub async fn known_volume_get(
    conn: &mut PgConnection,
    root: &Path,
) -> Result<Option<SentinelId>, VolumeError> {
    let found = sqlx::query_scalar!("SELECT sentinel FROM known_volumes WHERE path = $1", key(root)?)
        .fetch_optional(conn)
        .await?;
    found.map(|text| parsed((root.to_owned(), text)).map(|(_, id)| id)).transpose()
}

/// Remembers a root that was accepted. The sentinel is on disk by then, so a crash in between loses nothing.
pub async fn known_volume_insert(
    conn: &mut PgConnection,
    root: &Path,
    sentinel: &SentinelId,
) -> Result<(), VolumeError> {
    sqlx::query!(
        "INSERT INTO known_volumes (path, sentinel) VALUES ($1, $2) ON CONFLICT (path) DO NOTHING",
        key(root)?,
        sentinel.as_str()
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets a root, when it leaves the configuration: added again, it is accepted as it is then.
pub async fn known_volume_delete(conn: &mut PgConnection, root: &Path) -> Result<(), VolumeError> {
    sqlx::query!("DELETE FROM known_volumes WHERE path = $1", key(root)?).execute(conn).await?;
    Ok(())
}

fn key(root: &Path) -> Result<&str, VolumeError> {
    root.to_str().ok_or_else(|| VolumeError::BadPath { root: root.to_owned() })
}
