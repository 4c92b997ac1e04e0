//! Taking over from an earlier attempt: the journal's word, checked against what the disk shows.

use revaer_torrent_core::fsops::Step;

use crate::{
    FsError,
    attempt::Attempt,
    journal::{Journal, StepStatus},
    resume::{self, Resume},
    safe::{Metadata, RelativePath},
};

impl Attempt<'_> {
    /// Decides where to enter, and takes from the old journal what still holds.
    pub(crate) fn take_over(&mut self, old: Option<Journal>) -> Result<Resume, FsError> {
        let Some(old) = old else { return Ok(Resume::Fresh) };
        let wanted = resume::Attempt {
            generation: self.journal.generation,
            fingerprint: &self.journal.fingerprint,
            source_path: &self.journal.source_path,
            artifact_path: &self.journal.artifact_path,
            transfer_mode: &self.journal.transfer_mode,
        };
        let resume = resume::decide(&old, &wanted);
        let steps = std::mem::take(&mut self.journal.steps);
        let entry = self.library.at(self.content.root.clone()).try_metadata()?;
        let resume = match resume {
            Resume::Done if !self.stands(&old, entry.as_ref())? => Resume::Fresh,
            Resume::Publish if !self.can_publish(&old, entry.as_ref())? => Resume::Fresh,
            other => other,
        };
        match resume {
            Resume::Done | Resume::Publish | Resume::Copy(_) => {
                self.journal = old;
                for step in steps {
                    self.journal.steps.retain(|known| known.name != step.name);
                    self.journal.steps.push(step);
                }
            }
            Resume::Fresh => {
                self.journal.steps = steps;
                // What was only staged is thrown away, and its inodes may become anybody's.
                let visible = entry.as_ref().is_some_and(|found| {
                    let staged_only =
                        !old.published && old.step(Step::Transfer) != Some(StepStatus::Completed);
                    !staged_only && old.is_entry(found, self.library.device())
                });
                if visible && old.artifact_path == self.journal.artifact_path {
                    self.journal.published = true;
                    self.journal.entry = old.entry;
                    self.journal.files = old.files;
                }
            }
        }
        if resume == Resume::Done {
            self.work.remove_tree()?;
        }
        Ok(resume)
    }

    /// Whether the entry of a finished run is still whole.
    fn stands(&self, old: &Journal, entry: Option<&Metadata>) -> Result<bool, FsError> {
        let device = self.library.device();
        let ours = entry.is_some_and(|found| old.is_entry(found, device));
        if !ours {
            return Ok(false);
        }
        for record in &old.files {
            let found = self.library.at(RelativePath::new(&record.path)?).try_metadata()?;
            if !found.is_some_and(|found| record.is_placed(&found, device)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether everything that `finalise` needs is staged or published.
    fn can_publish(&self, old: &Journal, entry: Option<&Metadata>) -> Result<bool, FsError> {
        let device = self.library.device();
        let ours = entry.is_some_and(|found| old.is_entry(found, device));
        if old.adding && !ours {
            return Ok(false);
        }
        for record in &old.files {
            let path = RelativePath::new(&record.path)?;
            let staged = self.staging.join(&path).try_metadata()?;
            let placed = self.library.at(path).try_metadata()?;
            let there = |found: Option<Metadata>| found.is_some_and(|found| record.is_placed(&found, device));
            if !(there(staged) || ours && there(placed)) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
