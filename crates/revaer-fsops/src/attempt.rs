//! One attempt at a job, from the journal's last word to its next.

use std::collections::HashSet;

use revaer_torrent_core::fsops::{Job, MoveMode, Step};
use rustix::io::Errno;

use crate::{
    FsError,
    content::Content,
    context::{Context, now},
    journal::{FileRecord, Identity, Journal, JournalStore, Progress, StepStatus},
    locate::Located,
    probe::{self, Method},
    resume::Resume,
    safe::{Metadata, SafePath, SafeRoot},
    steps::Stop,
};

/// Nobody but the server has business in here.
const WORK_MODE: u32 = 0o700;

pub(crate) struct Attempt<'a> {
    pub(crate) job: &'a Job,
    pub(crate) context: &'a Context<'a>,
    pub(crate) content: Content,
    pub(crate) source: SafeRoot,
    pub(crate) library: SafeRoot,
    pub(crate) store: JournalStore,
    pub(crate) journal: Journal,
    pub(crate) work: SafePath,
    pub(crate) staging: SafePath,
}

impl Attempt<'_> {
    /// Works until the entry stands. Returns whether the content itself lies there.
    pub(crate) fn run(&mut self, old: Option<Journal>) -> Result<bool, Stop> {
        let outcome = self.drive(old);
        if let Err(stop) = &outcome
            && !matches!(stop.error, FsError::Interrupted)
        {
            self.note_failure(stop);
        }
        outcome
    }

    fn drive(&mut self, old: Option<Journal>) -> Result<bool, Stop> {
        if self.source.is_same(&self.library) {
            return self.in_place();
        }
        let resume = self.take_over(old).map_err(Stop::at(Step::PrepareDirectories))?;
        match resume {
            Resume::Done => return Ok(self.journal.moved),
            Resume::Publish => {}
            Resume::Copy(_) | Resume::Fresh => self.stage(resume)?,
        }
        for step in [Step::SetPermissions, Step::Cleanup, Step::Checksum] {
            self.skip(step, "not asked for");
        }
        self.acting(Step::Finalise, Self::finalise)?;
        self.journal.completed = true;
        self.word(Step::Finalise)?;
        Ok(self.journal.moved)
    }

    fn stage(&mut self, resume: Resume) -> Result<(), Stop> {
        let located = self.step(Step::LocateSource, |this| this.locate())?;
        self.journal.adding = located.adding;
        self.add_records(located.adopted.clone());
        if located.planned.is_empty() {
            return self.nothing_to_stage(&located);
        }
        let (method, from) =
            self.acting(Step::PrepareWorkDir, |this| this.prepare_work_dir(&located, resume))?;
        self.detail(Step::PrepareWorkDir, format!("{} by {}", located.planned.len(), method.name()));
        for step in [Step::VerifyPar2, Step::Extract, Step::Flatten] {
            self.skip(step, "not asked for");
        }
        let records = self.acting(Step::Transfer, |this| this.transfer(&located.planned, method, from))?;
        self.remember(records).map_err(Stop::at(Step::Transfer))
    }

    /// Everything lies in the library already, from an earlier run.
    fn nothing_to_stage(&mut self, located: &Located) -> Result<(), Stop> {
        for step in [Step::PrepareWorkDir, Step::VerifyPar2, Step::Extract, Step::Flatten, Step::Transfer] {
            self.skip(step, "every file lies in the library already");
        }
        self.journal.adding = true;
        if self.journal.entry.is_none() {
            let name = self.library.at(self.content.root.clone());
            let found = name.metadata().map_err(Stop::at(Step::LocateSource))?;
            self.journal.entry = Some(Identity::of(&found));
        }
        tracing::debug!(torrent.id = %self.job.torrent, kept = located.kept, "the entry is whole already");
        Ok(())
    }

    fn prepare_work_dir(&mut self, located: &Located, resume: Resume) -> Result<(Method, Progress), FsError> {
        let said = match resume {
            Resume::Copy(said) => self.verified_progress(&located.planned, said)?,
            Resume::Done | Resume::Publish | Resume::Fresh => Progress::default(),
        };
        if said == Progress::default() {
            self.work.remove_tree()?;
        }
        self.journal.copied = said;
        self.staging.mkdir_all(WORK_MODE)?;
        let method = self.method(located)?;
        if method == Method::Copy {
            let done: u64 = located.planned.iter().take(said.files).map(|one| one.file.size).sum();
            let total: u64 = located.planned.iter().map(|one| one.file.size).sum();
            probe::room(&self.library, total.saturating_sub(done.saturating_add(said.offset)))?;
        }
        Ok((method, said))
    }

    fn method(&self, located: &Located) -> Result<Method, FsError> {
        let Some(first) = located.planned.first() else { return Ok(Method::Copy) };
        let source = self.source.at(first.file.path.clone());
        let link = || probe::link(&source, &first.source, &self.work, &self.library);
        match self.job.policy.move_mode {
            MoveMode::Hardlink => link().map(|()| Method::Link),
            // Where no link is possible, no rename is either, or not safely: the content is copied and then removed.
            MoveMode::Move if link().is_ok() => Ok(Method::Link),
            MoveMode::Move | MoveMode::Copy => {
                let filled = located.planned.iter().find(|one| one.file.size > 0);
                let Some(filled) = filled else { return Ok(Method::Copy) };
                let source = self.source.at(filled.file.path.clone());
                Ok(if probe::reflink(&source, &self.work)? { Method::Reflink } else { Method::Copy })
            }
        }
    }

    /// Enters what was staged into the journal, beside what lay there before.
    fn remember(&mut self, staged: Vec<FileRecord>) -> Result<(), FsError> {
        if !self.journal.adding {
            self.journal.files.clear();
        }
        if !self.journal.adding || !self.content.is_directory {
            let root = self.staging.join(&self.content.root).metadata()?;
            self.journal.entry = Some(Identity::of(&root));
        }
        self.add_records(staged);
        Ok(())
    }

    fn add_records(&mut self, new: Vec<FileRecord>) {
        let names: HashSet<String> = new.iter().map(|record| record.path.clone()).collect();
        self.journal.files.retain(|record| !names.contains(&record.path));
        self.journal.files.extend(new);
    }

    /// The download directory is the library: the content is its own entry.
    fn in_place(&mut self) -> Result<bool, Stop> {
        let located = self.step(Step::LocateSource, |this| this.locate_in_place())?;
        self.journal.files = located;
        let entry = self.library.at(self.content.root.clone()).metadata();
        self.journal.entry = Some(Identity::of(&entry.map_err(Stop::at(Step::LocateSource))?));
        for step in [Step::Transfer, Step::Finalise] {
            self.skip(step, "the content already lies in the library");
        }
        (self.journal.published, self.journal.moved, self.journal.completed) = (true, true, true);
        self.word(Step::Finalise)?;
        Ok(true)
    }

    pub(crate) fn is_entry(&self, found: &Metadata) -> bool {
        self.journal.is_entry(found, self.library.device())
    }

    /// Whether this mode gives the library the source's own inodes.
    pub(crate) fn links(&self) -> bool {
        self.job.policy.move_mode != MoveMode::Copy
    }

    fn note_failure(&mut self, stop: &Stop) {
        // A partial copy is gone on with, except where it is what fills the volume.
        let full = matches!(stop.error.errno(), Some(Errno::NOSPC | Errno::DQUOT));
        let keep = stop.error.may_pass_later() && !full;
        if !keep && let Err(error) = self.work.remove_tree() {
            tracing::warn!(torrent.id = %self.job.torrent, error = error.describe(), "leftovers of a job stay");
        }
        self.journal.note(stop.step, StepStatus::Failed, Some(stop.error.describe()), now());
        if let Err(error) = self.store.write(&self.journal) {
            tracing::warn!(torrent.id = %self.job.torrent, error = error.describe(), "the journal cannot be written");
        }
    }
}
