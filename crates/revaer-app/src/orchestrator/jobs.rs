//! Pipeline jobs: which are due, with which policy, and how their ends get to the ledger.

use std::time::Duration;

use revaer_catalog::{FsopsStatus, TorrentRecord};
use revaer_torrent_core::{
    Wanted,
    fsops::{Job, JobOutcome, JobReport, MoveMode, Policy, Step},
};
use serde_json::{Value, json};
use tracing::warn;

use super::{
    actions::Actor,
    content::{ContentError, StoredContent},
};
use crate::ledger::{Board, Fact, FactReply, JobProgress};

/// Whether a job waits to be worked on.
pub(crate) fn is_due(record: &TorrentRecord) -> bool {
    let waiting = record.fsops.as_ref().is_some_and(|job| match job.status {
        FsopsStatus::Queued | FsopsStatus::Waiting | FsopsStatus::Running => true,
        FsopsStatus::Completed | FsopsStatus::Failed | FsopsStatus::Canceled => false,
    });
    waiting && record.content.complete && !record.is_tombstone()
}

/// Whether the job takes the content itself away, so that the engine must let go of it first. What was begun goes on
/// as it was begun; what waits goes by the settings of now.
pub(crate) fn needs_files_alone(record: &TorrentRecord, policy: &Policy) -> bool {
    let begun =
        record.fsops.as_ref().filter(|job| job.status == FsopsStatus::Running).and_then(|job| job.claim);
    is_due(record)
        && begun.unwrap_or(policy.move_mode) == MoveMode::Move
        && record.wish.wanted == Wanted::Running
}

/// Why a job was not begun.
enum NotBegun {
    /// Something that it needs is away.
    Away(String),
    /// The database does not answer: nothing can be told either.
    Database,
    /// Its torrent is being removed.
    Gone,
}

impl From<ContentError> for NotBegun {
    fn from(error: ContentError) -> Self {
        match error {
            ContentError::Database(_) => Self::Database,
            ContentError::Broken(reason) => Self::Away(reason),
        }
    }
}

/// Works on a torrent's job and has its end stored, however long the database takes.
pub(crate) async fn run(actor: &Actor, record: &TorrentRecord, policy: Policy, board: Board) -> JobOutcome {
    let generation = record.content.generation;
    let outcome = match prepare(actor, record, policy).await {
        Ok(job) => {
            let id = record.id;
            let report = move |report| match report {
                JobReport::Progress { step, bytes_done, bytes_total } => {
                    board.post_job(id, JobProgress { step, done: bytes_done, total: bytes_total });
                }
            };
            actor.fsops.run(job, Box::new(report)).await
        }
        Err(NotBegun::Away(message)) => JobOutcome::Failed { step: Step::Validate, message, retry: true },
        Err(NotBegun::Database) => {
            let message = "the database does not answer".to_owned();
            return JobOutcome::Failed { step: Step::Validate, message, retry: true };
        }
        Err(NotBegun::Gone) => return JobOutcome::Interrupted,
    };
    // The work is done and its journal says so; only the row is missing. A restart would find the same.
    loop {
        let fact = Fact::JobFinished { id: record.id, generation, outcome: outcome.clone() };
        if actor.facts.tell(fact).await.is_ok() {
            return outcome;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn prepare(actor: &Actor, record: &TorrentRecord, policy: Policy) -> Result<Job, NotBegun> {
    let away = |message: &str| NotBegun::Away(message.to_owned());
    let content = record.placement.content.clone().ok_or_else(|| away("the content has no place yet"))?;
    let stored = StoredContent::read(&actor.pool, &*actor.engine, record).await?;
    actor.gate.check(&content.save_dir).await.map_err(NotBegun::Away)?;
    let policy = in_force(actor, record, policy).await?;
    actor.gate.check(&policy.library_root).await.map_err(NotBegun::Away)?;
    let fact = Fact::JobStarted { id: record.id, mode: policy.move_mode, policy: policy_to_json(&policy) };
    match actor.facts.tell(fact).await {
        Ok(FactReply::Gone) => return Err(NotBegun::Gone),
        Ok(FactReply::Noted | FactReply::PathBusy) => {}
        Err(_not_stored) => return Err(NotBegun::Database),
    }
    Ok(Job {
        torrent: record.id,
        generation: record.content.generation,
        content,
        is_directory: record.content.is_directory,
        files: stored.wanted_files(),
        policy,
    })
}

/// The policy that this attempt goes by. What a crash has cut goes on as it was claimed; what waited starts anew under
/// the settings of now, since they may have been changed to let it go on.
async fn in_force(actor: &Actor, record: &TorrentRecord, current: Policy) -> Result<Policy, NotBegun> {
    let claimed = claimed_policy(actor, record).await.map_err(|_no_answer| NotBegun::Database)?;
    let Some(claimed) = claimed else { return Ok(current) };
    let waited = record.fsops.as_ref().is_some_and(|job| job.status == FsopsStatus::Waiting);
    if !waited {
        return Ok(claimed);
    }
    if claimed.library_root != current.library_root {
        let discarded = actor.fsops.discard(record.id, claimed.library_root).await;
        if let Err(error) = discarded {
            warn!(torrent.id = %record.id, %error, "what a job left in its old library root stays there");
        }
    }
    Ok(current)
}

/// The policy that an earlier attempt was claimed with: a change of settings in between does not split a job.
pub(crate) async fn claimed_policy(actor: &Actor, record: &TorrentRecord) -> Result<Option<Policy>, String> {
    let read = async {
        let mut connection = actor.pool.acquire().await?;
        revaer_fsops::sql::job_latest(&mut connection, record.id).await
    };
    let job = read.await.map_err(|_error| "the database does not answer".to_owned())?;
    Ok(job
        .filter(|job| job.generation == record.content.generation)
        .and_then(|job| job.policy)
        .and_then(|json| policy_from_json(&json)))
}

fn policy_to_json(policy: &Policy) -> Value {
    json!({
        "revision": policy.revision,
        "library_root": policy.library_root,
        "move_mode": policy.move_mode.name(),
        "allow_list": policy.allow_list,
    })
}

/// How a job that was claimed with this policy takes the content.
pub(crate) fn claimed_mode(policy: &Value) -> Option<MoveMode> {
    MoveMode::from_name(policy.get("move_mode")?.as_str()?)
}

fn policy_from_json(json: &Value) -> Option<Policy> {
    let text = |value: &Value| value.as_str().map(std::path::PathBuf::from);
    Some(Policy {
        revision: json.get("revision")?.as_i64()?,
        library_root: text(json.get("library_root")?)?,
        move_mode: claimed_mode(json)?,
        allow_list: json.get("allow_list")?.as_array()?.iter().map(text).collect::<Option<_>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claimed_policy_survives_the_database() {
        let policy = Policy {
            revision: 7,
            library_root: "/srv/library".into(),
            move_mode: MoveMode::Move,
            allow_list: vec!["/srv".into()],
        };
        assert_eq!(policy_from_json(&policy_to_json(&policy)), Some(policy));
    }
}
