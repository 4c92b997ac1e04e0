//! A changeset against an active server.

use std::sync::Arc;

use serde_json::Value;
use time::OffsetDateTime;

use super::{
    ChangeContext, ConfigService,
    commit::{self, OpenChange},
    prepare::{PreparedKeys, Wanted},
    run_blocking,
};
use crate::{
    changeset::{self, Changeset, Purpose},
    error::ConfigError,
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
        faults.extend(judge::faults(&known, &changeset, Purpose::Change));
        let report = self.check_environment(Wanted::of_changes(&known, &changeset.changes)).await;
        faults.extend(report.faults.iter().cloned());
        let outcome = if faults.is_empty() {
            self.commit_change(&changeset, context).await
        } else {
            Err(ConfigError::invalid(faults))
        };
        if outcome.is_err() {
            run_blocking(move || report.undo()).await;
        }
        outcome
    }

    async fn commit_change(
        &self,
        changeset: &Changeset,
        context: &ChangeContext,
    ) -> Result<Applied, ConfigError> {
        let prepared = self.prepare_keys(changeset, &self.secret_key()).await?;
        // Never closed.
        let _turn = self.shared.writers.acquire().await;
        let mut attempt = 0;
        loop {
            match self.try_commit(changeset, &prepared, context).await {
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
        context: &ChangeContext,
    ) -> Result<Applied, ConfigError> {
        let secret_key = self.secret_key();
        let OpenChange { mut transaction, current } = self.open_change(context).await?;
        check_conditions(&current, changeset, context)?;
        // Judged again: others may have changed what it was judged against.
        let faults = judge::faults(&current, changeset, Purpose::Change);
        if !faults.is_empty() {
            return Err(ConfigError::invalid(faults));
        }
        judge::keeps_a_key(&current, &changeset.keys, OffsetDateTime::now_utc())?;
        let sections = commit::write(&mut transaction, &current, changeset, prepared, &secret_key).await?;
        let changed = self.read(&mut transaction, &secret_key).await?;
        transaction.commit().await?;
        let snapshot = self.publish(changed);
        Ok(Applied { snapshot, sections: sections.into_iter().map(ToOwned::to_owned).collect() })
    }
}

fn check_conditions(
    current: &ConfigSnapshot,
    changeset: &Changeset,
    context: &ChangeContext,
) -> Result<(), ConfigError> {
    let conflict = |what, expected, actual| Err(ConfigError::Conflict { what, expected, actual });
    let (revision, version) = (current.revision.get(), current.app.version);
    match (context.if_match, changeset.expected_version) {
        (Some(expected), _) if expected != revision => conflict("revision", expected, revision),
        (_, Some(expected)) if expected != version => conflict("app_profile.version", expected, version),
        _ => Ok(()),
    }
}
