//! Query presets: stored, changed, deleted. They are read from the snapshot.

use std::{sync::Arc, time::Instant};

use serde_json::Value;

use super::{
    ChangeContext, ConfigService,
    commit::{self, OpenChange},
};
use crate::{
    error::{ConfigError, Fault},
    preset::{self, QueryPreset},
    snapshot::ConfigSnapshot,
    sql::presets,
};

/// Presets that there may be: all of them are in memory, and in every snapshot.
const MOST: usize = 256;

impl ConfigService {
    /// Stores the preset `{filter?, sort?}` under a name, in place of one that is there.
    pub async fn preset_put(
        &self,
        name: &str,
        body: Value,
        context: ChangeContext,
    ) -> Result<QueryPreset, ConfigError> {
        let mut faults = Vec::new();
        if !preset::is_preset_name(name) {
            faults.push(Fault::new("/path/name", "must be 1 to 64 of the characters A-Z a-z 0-9 . _ -"));
        }
        let wanted = match preset::read(&body) {
            Ok(wanted) if faults.is_empty() => wanted,
            Ok(_) => return Err(ConfigError::invalid(faults)),
            Err(found) => {
                faults.extend(found);
                return Err(ConfigError::invalid(faults));
            }
        };
        let written = self.write_preset(name, Some(&wanted), &context).await?;
        written.preset(name).cloned().ok_or_else(|| not_found(name))
    }

    /// Deletes a preset.
    pub async fn preset_delete(&self, name: &str, context: ChangeContext) -> Result<(), ConfigError> {
        self.write_preset(name, None, &context).await.map(drop)
    }

    async fn write_preset(
        &self,
        name: &str,
        wanted: Option<&preset::Wanted>,
        context: &ChangeContext,
    ) -> Result<Arc<ConfigSnapshot>, ConfigError> {
        let _turn = self.turn().await?;
        let mut attempt = 0;
        loop {
            match self.try_write_preset(name, wanted, context).await {
                Err(error) if commit::is_worth_retrying(&error, attempt) => attempt += 1,
                Err(error) => return Err(self.explain(error).await),
                Ok(written) => return Ok(written),
            }
        }
    }

    async fn try_write_preset(
        &self,
        name: &str,
        wanted: Option<&preset::Wanted>,
        context: &ChangeContext,
    ) -> Result<Arc<ConfigSnapshot>, ConfigError> {
        let OpenChange { mut transaction, current, revision, .. } = self.open_change(context).await?;
        if let Some(expected) = context.if_match.filter(|expected| *expected != revision) {
            return Err(ConfigError::Conflict { what: "revision", expected, actual: revision });
        }
        let before = current.preset(name);
        match wanted {
            None if before.is_none() => return Err(not_found(name)),
            None => presets::preset_delete(&mut transaction, name).await?,
            Some(_) if before.is_none() && current.presets.len() >= MOST => {
                let message = format!("there are {MOST} presets already; delete one first");
                return Err(ConfigError::invalid(vec![Fault::new("", message)]));
            }
            Some(wanted) if before.is_some_and(|before| wanted.is_met_by(before)) => {
                return Ok(Arc::new(current));
            }
            Some(wanted) => {
                presets::preset_set(&mut transaction, name, &wanted.filter, wanted.sort.as_deref()).await?;
            }
        }
        let changed = self.read(&mut transaction, &self.secret_key()).await?;
        transaction.commit().await?;
        let written = Arc::new(changed);
        self.publish(&written, Instant::now());
        Ok(written)
    }
}

fn not_found(name: &str) -> ConfigError {
    ConfigError::NotFound { what: "query preset", name: name.to_owned() }
}
