//! What a change needs before its transaction: hashes of new secrets, and the environment's verdict.

use std::{collections::HashMap, path::PathBuf, sync::Arc, time::Duration};

use super::{ConfigService, run_blocking};
use crate::{
    changeset::{Changeset, KeyChange},
    document::{Change, pointer_of},
    environment::{self, AccountKind, Report, WantedDirectory},
    error::{ConfigError, Fault},
    field::Section,
    judge::Documents,
    keyring::{Mac, SecretKey},
    password,
    snapshot::ConfigSnapshot,
};

/// A file system that does not answer within this is not usable.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is stored of a new secret.
pub(super) struct Prepared {
    pub(super) secret_hash: String,
    pub(super) mac: Mac,
}

/// The new secrets of a changeset, by key.
pub(super) type PreparedKeys = HashMap<String, Prepared>;

impl ConfigService {
    /// Hashes the secrets that a changeset brings, but for those that are in force already.
    pub(super) async fn prepare_keys(
        &self,
        changeset: &Changeset,
        secret_key: &Arc<SecretKey>,
    ) -> Result<PreparedKeys, ConfigError> {
        let current = self.snapshot();
        let mut prepared = PreparedKeys::new();
        for change in &changeset.keys {
            let KeyChange::Upsert(wanted) = change else { continue };
            let Some(secret) = &wanted.secret else { continue };
            let key_id = wanted.key_id.as_str();
            let mac = secret_key.mac(key_id, secret);
            let credential = current.credentials.by_key.get(key_id);
            if let Some(credential) =
                credential.filter(|one| one.secret.mac.as_ref().is_some_and(|own| own.matches(&mac)))
            {
                prepared
                    .insert(key_id.to_owned(), Prepared { secret_hash: credential.secret.hash.clone(), mac });
                continue;
            }
            let secret = secret.clone();
            let secret_hash = self.hash(move || password::hash(&secret)).await?;
            prepared.insert(key_id.to_owned(), Prepared { secret_hash, mac });
        }
        Ok(prepared)
    }

    /// What of the settings in force the machine or the other settings do not allow any more: an account that is gone,
    /// a root that `allow_paths` does not cover. Directories are asked about elsewhere, with their volumes.
    pub async fn environment_faults(&self) -> Vec<Fault> {
        let snapshot = self.snapshot();
        let fs = &snapshot.fs;
        let mut faults = Vec::new();
        let covered = |root: &std::path::Path| {
            fs.allow_paths.is_empty() || fs.allow_paths.iter().any(|allowed| root.starts_with(allowed))
        };
        for (pointer, root) in [
            ("/engine_profile/download_root", &snapshot.engine.download_root),
            ("/fs_policy/library_root", &fs.library_root),
        ] {
            if !covered(root) {
                let message = format!("{} is not within fs_policy.allow_paths", root.display());
                faults.push(Fault::new(pointer, message));
            }
        }
        let accounts = [
            ("/fs_policy/owner", AccountKind::User, fs.owner.clone()),
            ("/fs_policy/group", AccountKind::Group, fs.group.clone()),
        ];
        let looked_up = run_blocking(move || {
            let accounts =
                accounts.into_iter().filter_map(|(pointer, kind, name)| Some((pointer, kind, name?)));
            let faults = accounts.filter_map(|(pointer, kind, name)| {
                environment::account_fault(kind, &name).map(|fault| Fault::new(pointer, fault))
            });
            faults.collect::<Vec<_>>()
        });
        faults.extend(looked_up.await.unwrap_or_default());
        faults
    }

    /// Asks the machine whether it can do what changes; directories are made on the way.
    pub(super) async fn check_environment(&self, wanted: Wanted) -> Report {
        let directories = wanted.directories.clone();
        let checking = run_blocking(move || {
            let mut report = environment::check_directories(&wanted.directories);
            for (pointer, kind, name) in &wanted.accounts {
                report
                    .faults
                    .extend(environment::account_fault(*kind, name).map(|fault| Fault::new(pointer, fault)));
            }
            report
        });
        match tokio::time::timeout(PATIENCE, checking).await {
            Ok(Some(report)) => report,
            Ok(None) | Err(_) => silent(&directories),
        }
    }
}

fn silent(directories: &[WantedDirectory]) -> Report {
    let mut report = Report::default();
    for WantedDirectory { pointer, path } in directories {
        let message = format!("{} did not answer within {} seconds", path.display(), PATIENCE.as_secs());
        report.faults.push(Fault::new(pointer, message));
    }
    report
}

/// What the environment is asked for.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    directories: Vec<WantedDirectory>,
    accounts: Vec<(String, AccountKind, String)>,
}

impl Wanted {
    /// What differs from the settings in force.
    pub(super) fn of_changes(current: &ConfigSnapshot, changes: &[Change]) -> Self {
        let mut wanted = Self::default();
        for change in Documents::of(current).differing(changes) {
            wanted.add(change);
        }
        wanted
    }

    /// Every directory and account as it will be: what setup asks for.
    pub(super) fn of_everything(current: &ConfigSnapshot, changes: &[Change]) -> Self {
        let mut wanted = Self::default();
        for change in changes {
            wanted.add(change);
        }
        let roots = [
            (Section::Engine, "resume_dir", &current.engine.resume_dir),
            (Section::Engine, "download_root", &current.engine.download_root),
            (Section::Fs, "library_root", &current.fs.library_root),
        ];
        for (section, path, root) in roots {
            let named = changes.iter().any(|change| change.section == section && change.field.path == path);
            if let Some(field) = section.field(path).filter(|_| !named) {
                wanted
                    .directories
                    .push(WantedDirectory { pointer: pointer_of(section, field), path: root.clone() });
            }
        }
        wanted
    }

    fn add(&mut self, change: &Change) {
        let Some(text) = change.value.as_str() else { return };
        let pointer = change.pointer();
        match (change.section, change.field.path) {
            (Section::Engine, "resume_dir" | "download_root") | (Section::Fs, "library_root") => {
                self.directories.push(WantedDirectory { pointer, path: PathBuf::from(text) });
            }
            (Section::Fs, "owner") => self.accounts.push((pointer, AccountKind::User, text.to_owned())),
            (Section::Fs, "group") => self.accounts.push((pointer, AccountKind::Group, text.to_owned())),
            _ => {}
        }
    }
}
