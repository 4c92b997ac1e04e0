//! A changeset against an active server.

use std::{sync::Arc, time::Instant};

use serde_json::Value;
use time::OffsetDateTime;

use super::{
    ChangeContext, ConfigService,
    commit::{self, OpenChange},
    prepare::{PreparedKeys, Wanted},
    run_blocking,
};
use crate::{
    changeset::{self, Changeset, KeyChange, Purpose},
    error::{ConfigError, Fault},
    judge,
    profile::Mode,
    snapshot::ConfigSnapshot,
};

/// What came of a changeset.
#[derive(Debug, Clone)]
pub struct Applied {
    /// The settings that show it; they are in force in this process.
    pub snapshot: Arc<ConfigSnapshot>,
    /// The sections that differ now; empty where the changeset changed nothing, and made no revision.
    pub sections: Vec<String>,
    /// Settings that were stored and are not in force, each with what overrides it.
    pub notices: Vec<Fault>,
}

impl ConfigService {
    /// Applies a `SettingsChangeset` as one revision, or none of it. When it returns, [`Self::snapshot`] shows it.
    pub async fn apply(&self, changeset: Value, context: ChangeContext) -> Result<Applied, ConfigError> {
        let outcome = self.apply_document(&changeset, &context).await;
        match &outcome {
            Ok(applied) => {
                tracing::info!(
                    event = "config.applied",
                    revision = applied.snapshot.revision.get(),
                    sections = applied.sections.join(","),
                    actor = context.actor,
                    "settings applied"
                );
            }
            Err(error) => {
                tracing::info!(event = "config.rejected", %error, actor = context.actor, "settings rejected");
            }
        }
        outcome
    }

    async fn apply_document(&self, body: &Value, context: &ChangeContext) -> Result<Applied, ConfigError> {
        let (changeset, mut faults) = changeset::read(body, Purpose::Change);
        let known = self.snapshot();
        if known.app.mode == Mode::Setup {
            return Err(ConfigError::SetupRequired);
        }
        judge::add(&mut faults, judge::faults(&known, &changeset, Purpose::Change));
        let report = self.check_environment(Wanted::of_changes(&known, &changeset.changes)).await;
        faults.extend(report.faults.iter().cloned());
        let mut reservation = None;
        if faults.is_empty() {
            match self.reserve_address(&known, &changeset.changes).await {
                Ok(reserved) => reservation = reserved,
                Err(fault) => faults.push(fault),
            }
        }
        let outcome = if faults.is_empty() {
            self.commit_change(&changeset, Purpose::Change, Existing::Any, context).await
        } else {
            Err(ConfigError::invalid(faults))
        };
        match (&outcome, reservation) {
            (Ok(applied), Some(reservation)) => reservation.keep(applied.snapshot.revision),
            // Whether a commit without an answer was made is not known: what it may need stays.
            (Ok(_), None) | (Err(ConfigError::Unavailable(_) | ConfigError::Failed(_)), _) => {}
            (Err(_), _) => {
                run_blocking(move || report.undo()).await;
            }
        }
        outcome
    }

    /// Commits a judged changeset, again where the database broke it off.
    pub(super) async fn commit_change(
        &self,
        changeset: &Changeset,
        purpose: Purpose,
        existing: Existing,
        context: &ChangeContext,
    ) -> Result<Applied, ConfigError> {
        let prepared = self.prepare_keys(changeset, &self.secret_key()).await?;
        let _turn = self.turn().await?;
        let mut attempt = 0;
        loop {
            match self.try_commit(changeset, &prepared, purpose, existing, context).await {
                Err(error) if commit::is_worth_retrying(&error, attempt) => attempt += 1,
                Err(error) => return Err(self.explain(error).await),
                Ok(applied) => return Ok(applied),
            }
        }
    }

    async fn try_commit(
        &self,
        changeset: &Changeset,
        prepared: &PreparedKeys,
        purpose: Purpose,
        existing: Existing,
        context: &ChangeContext,
    ) -> Result<Applied, ConfigError> {
        let secret_key = self.secret_key();
        let OpenChange { mut transaction, current, revision, broken } = self.open_change(context).await?;
        check_conditions(revision, current.app.version, changeset, context)?;
        existing.check(&current, changeset)?;
        // Judged again: others may have changed what it was judged against.
        let faults = judge::faults(&current, changeset, purpose);
        if !faults.is_empty() {
            return Err(ConfigError::invalid(faults));
        }
        if purpose != Purpose::Host {
            judge::keeps_a_key(&current, &changeset.keys, OffsetDateTime::now_utc())?;
        }
        let sections =
            commit::write(&mut transaction, &current, &broken, changeset, prepared, &secret_key).await?;
        let notices = self.notices(&judge::Documents::of(&current).differing(&changeset.changes));
        let changed =
            if sections.is_empty() { current } else { self.read(&mut transaction, &secret_key).await? };
        transaction.commit().await?;
        let snapshot = Arc::new(changed);
        self.publish(&snapshot, Instant::now());
        if sections.is_empty() {
            self.tell_unchanged(context);
        }
        let sections = sections.into_iter().map(ToOwned::to_owned).collect();
        Ok(Applied { snapshot, sections, notices })
    }
}

/// What a change supposes of the keys that it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Existing {
    Any,
    /// There is none of that name.
    No,
    /// There is one of that name.
    Yes,
}

impl Existing {
    fn check(self, current: &ConfigSnapshot, changeset: &Changeset) -> Result<(), ConfigError> {
        const WHAT: &str = "API key";
        for (_, name) in changeset.keys.iter().map(KeyChange::name) {
            match (self, current.key(name).is_some()) {
                (Self::No, true) => return Err(ConfigError::Exists { what: WHAT, name: name.to_owned() }),
                (Self::Yes, false) => {
                    return Err(ConfigError::NotFound { what: WHAT, name: name.to_owned() });
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn check_conditions(
    revision: i64,
    version: i64,
    changeset: &Changeset,
    context: &ChangeContext,
) -> Result<(), ConfigError> {
    let conflict = |what, expected, actual| Err(ConfigError::Conflict { what, expected, actual });
    match (context.if_match, changeset.expected_version) {
        (Some(expected), _) if expected != revision => conflict("revision", expected, revision),
        (_, Some(expected)) if expected != version => conflict("app_profile.version", expected, version),
        _ => Ok(()),
    }
}
