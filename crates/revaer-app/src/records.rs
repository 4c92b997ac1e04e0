//! Loads the torrents at start: their records, and how the pipeline stands with each.

use std::collections::HashMap;

use anyhow::Context as _;
use revaer_catalog::{FsopsStatus, FsopsSummary, TorrentRecord};
use sqlx::PgConnection;

/// Every record, tombstones included.
pub(crate) async fn load(connection: &mut PgConnection) -> anyhow::Result<Vec<TorrentRecord>> {
    let mut records = revaer_catalog::sql::torrents_load(connection).await?;
    let jobs = revaer_fsops::sql::jobs_latest(connection).await.context("the jobs cannot be read")?;
    let mut jobs: HashMap<_, _> = jobs.into_iter().map(|job| (job.torrent, job)).collect();
    for record in &mut records {
        let Some(job) = jobs.remove(&record.id) else { continue };
        let status = FsopsStatus::from_name(job.status.name())
            .with_context(|| format!("torrent {}: unknown job status", record.id))?;
        let claim = job.policy.as_ref().and_then(crate::orchestrator::claimed_mode);
        record.fsops = Some(FsopsSummary { status, step: job.step, message: job.message, claim });
    }
    Ok(records)
}
