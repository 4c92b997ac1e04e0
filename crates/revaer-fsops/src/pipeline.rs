//! A job from its first step to its outcome. Blocks; the service runs it off the async threads.

use std::path::Path;

use revaer_torrent_core::fsops::{Job, JobOutcome, Step};
use rustix::io::Errno;

use crate::{
    FsError,
    allow::AllowList,
    attempt::Attempt,
    content::Content,
    context::{Context, now},
    journal::{Journal, JournalStore, Progress},
    roots::open_allowed,
    safe::{RelativePath, SafePath, SafeRoot},
    steps::{self, Stop},
};

const TMP: &str = ".revaer.tmp";
const TMP_MODE: u32 = 0o700;

/// Works on `job` until it ends.
pub(crate) fn run(job: &Job, context: &Context<'_>) -> JobOutcome {
    match attempt(job, context) {
        Ok(moved) => JobOutcome::Completed {
            library_path: job.policy.library_root.join(&job.content.root_name),
            moved,
        },
        Err(Stop { error: FsError::Interrupted, .. }) => JobOutcome::Interrupted,
        Err(Stop { step, error }) => {
            let message = told(&job.policy.library_root, &error);
            JobOutcome::Failed { step, message, retry: error.may_pass_later() }
        }
    }
}

/// What is told of a failure. Where the library as a whole does not let the server in, it is named before the file of
/// the server's own that showed it.
fn told(library: &Path, error: &FsError) -> String {
    let said = error.describe();
    let FsError::Io { path, .. } = error else { return said };
    if !path.starts_with(library) {
        return said;
    }
    let root = library.display();
    match error.errno() {
        Some(Errno::ROFS) => {
            format!("the library {root} cannot be written: read-only file system; mount the volume writable")
        }
        Some(Errno::ACCESS | Errno::PERM) => format!("the library {root} cannot be used: {said}"),
        _ => said,
    }
}

/// Where a torrent's attempt works: `library_root/.revaer.tmp/<id>`.
pub(crate) fn work_dir(library: &SafeRoot, job_torrent: uuid::Uuid) -> Result<SafePath, FsError> {
    Ok(library.at(RelativePath::name(TMP)?).join(&RelativePath::name(job_torrent.to_string())?))
}

fn attempt(job: &Job, context: &Context<'_>) -> Result<bool, Stop> {
    let mut journal = fresh(job);
    let content = steps::run(context, &mut journal, Step::Validate, || {
        Content::new(&job.content, job.is_directory, &job.files)
    })?;
    journal.fingerprint = content.fingerprint();
    let (source, library) = steps::run(context, &mut journal, Step::Allowlist, || {
        let allow = AllowList::resolve(&job.policy.allow_list);
        let library = open_allowed(&allow, "library", &job.policy.library_root)?;
        Ok((open_allowed(&allow, "content", &job.content.save_dir)?, library))
    })?;
    let torrent = job.torrent.as_uuid();
    let (store, work, old) = steps::run(context, &mut journal, Step::PrepareDirectories, || {
        library.at(RelativePath::name(TMP)?).mkdir(TMP_MODE)?;
        let store = JournalStore::open(&library, torrent)?;
        let old = store.load(torrent)?;
        Ok((store, work_dir(&library, torrent)?, old))
    })?;
    steps::skip(context, &mut journal, Step::CompileRules, "no rules are set");
    let staging = work.join(&RelativePath::name("staging").map_err(Stop::at(Step::PrepareDirectories))?);
    Attempt { job, context, content, source, library, store, journal, work, staging }.run(old)
}

fn fresh(job: &Job) -> Journal {
    let work = job.policy.library_root.join(TMP).join(job.torrent.to_string());
    let text = |path: &Path| path.to_string_lossy().into_owned();
    Journal {
        schema: 1,
        torrent_id: job.torrent.as_uuid(),
        policy_revision: job.policy.revision,
        completed: false,
        updated_at: now(),
        source_path: text(&job.content.root()),
        staging_path: text(&work.join("staging").join(&job.content.root_name)),
        work_dir: text(&work),
        artifact_path: text(&job.policy.library_root.join(&job.content.root_name)),
        transfer_mode: job.policy.move_mode.name().to_owned(),
        steps: Vec::new(),
        files: Vec::new(),
        generation: job.generation,
        fingerprint: String::new(),
        entry: None,
        published: false,
        adding: false,
        moved: false,
        copied: Progress::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_that_cannot_be_written_is_named_first() {
        let check = |errno: Errno, path: &str, expected: &str| {
            let error = FsError::at("make", Path::new(path))(errno);
            assert_eq!(told(Path::new("/library"), &error), expected);
        };
        check(
            Errno::ROFS,
            "/library/.revaer.meta/.7.json.tmp",
            "the library /library cannot be written: read-only file system; mount the volume writable",
        );
        check(
            Errno::ACCESS,
            "/library/.revaer.tmp",
            "the library /library cannot be used: can not make /library/.revaer.tmp: permission denied; give the \
             server's user the right to do so",
        );
        check(
            Errno::ROFS,
            "/downloads/Show",
            "can not make /downloads/Show: read-only file system; mount the volume writable",
        );
    }
}
