//! The mark in the data directory: a restore has begun and not come to its end.

use std::{fs, io, path::Path};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{
    commands::manifest::{Manifest, hex},
    datadir::restore_mark,
};

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Phase {
    /// What was there before may still be in its place.
    SettingAside,
    /// What is in its place was put there by the restore.
    Filling,
}

/// A restore that has begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    pub(super) phase: Phase,
    /// When the first attempt began; names what was set aside.
    stamp: String,
    /// The sum of the manifest that is being restored.
    backup: String,
}

impl Mark {
    pub(super) fn new(stamp: String, manifest: &Manifest) -> Self {
        Self { phase: Phase::SettingAside, stamp, backup: sum(manifest) }
    }

    /// The same restore, going on with perhaps another backup.
    pub(super) fn of(self, manifest: &Manifest) -> Self {
        Self { backup: sum(manifest), ..self }
    }

    /// What the names of what was there before end in.
    pub(super) fn aside(&self) -> String {
        format!("before-restore-{}", self.stamp)
    }

    /// The schema that holds what was in the database before, where it could not be renamed as a whole.
    pub(super) fn aside_schema(&self) -> String {
        self.aside().replace('-', "_").to_lowercase()
    }

    /// What a database says that this restore has filled to the end.
    pub(super) fn holder(&self) -> String {
        format!("revaer-app restore {} {}", self.stamp, self.backup)
    }

    pub(super) fn read(data_dir: &Path) -> anyhow::Result<Option<Self>> {
        let path = restore_mark(data_dir);
        match fs::read(&path) {
            Ok(text) => Ok(Some(
                serde_json::from_slice(&text)
                    .with_context(|| format!("{} is not what a restore has written", path.display()))?,
            )),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("can not read {}", path.display())),
        }
    }

    /// When it returns, no server starts in this directory, even after a power cut.
    pub(super) fn write(&self, data_dir: &Path) -> anyhow::Result<()> {
        Ok(revaer_durable::write(&restore_mark(data_dir), &serde_json::to_vec_pretty(self)?, 0o600)?)
    }

    pub(super) fn remove(data_dir: &Path) -> anyhow::Result<()> {
        let path = restore_mark(data_dir);
        fs::remove_file(&path).with_context(|| format!("can not remove {}", path.display()))?;
        Ok(revaer_durable::sync_dir(data_dir)?)
    }
}

/// Of what tells one backup from another: its moment and its sums.
fn sum(manifest: &Manifest) -> String {
    let mut hash = Sha256::new();
    hash.update(manifest.taken_at.unix_timestamp_nanos().to_be_bytes());
    for part in &manifest.parts {
        hash.update(&part.sha256);
    }
    hex(hash).chars().take(16).collect()
}
