//! `transfer`: the planned files in the staging directory, by link or by copy, nothing visible yet.

use std::collections::HashSet;

use revaer_torrent_core::fsops::Step;

use crate::{
    FsError,
    attempt::Attempt,
    copy::FileCopy,
    durable::Durable,
    journal::{FileRecord, Identity, Progress},
    locate::Planned,
    probe::{self, Method},
    safe::{RelativePath, SafePath},
};

/// Directories of an entry; explicit, whatever the umask.
pub(crate) const DIR_MODE: u32 = 0o755;
/// Copied files of an entry; links keep the mode of the inode they share.
const FILE_MODE: u32 = 0o644;

impl Attempt<'_> {
    /// Fills the staging directory, and says what it put there.
    pub(crate) fn transfer(
        &mut self,
        planned: &[Planned],
        method: Method,
        from: Progress,
    ) -> Result<Vec<FileRecord>, FsError> {
        self.make_directories(planned)?;
        match method {
            Method::Link => self.link_all(planned)?,
            Method::Reflink | Method::Copy => self.copy_all(planned, method, from)?,
        }
        let records = planned
            .iter()
            .map(|one| self.record(one, method == Method::Link))
            .collect::<Result<Vec<_>, _>>()?;
        self.staging.sync_directories()?;
        Ok(records)
    }

    fn make_directories(&self, planned: &[Planned]) -> Result<(), FsError> {
        let mut made: HashSet<RelativePath> = HashSet::new();
        for parent in planned.iter().filter_map(|one| one.file.path.parent()) {
            if !parent.is_root() && made.insert(parent.clone()) {
                self.staging.join(&parent).mkdir_all(DIR_MODE)?;
            }
        }
        Ok(())
    }

    fn link_all(&self, planned: &[Planned]) -> Result<(), FsError> {
        let total = planned.iter().map(|one| one.file.size).sum();
        let mut done = 0;
        for (index, one) in planned.iter().enumerate() {
            self.context.checkpoint()?;
            self.context.point(|| format!("link:{index}"));
            let source = self.source.at(one.file.path.clone());
            source
                .link_to(&self.staging.join(&one.file.path))
                .map_err(|error| probe::explain(error, &source, &one.source, &self.library))?;
            done += one.file.size;
            self.context.progress(Step::Transfer, done, total);
        }
        Ok(())
    }

    fn copy_all(&mut self, planned: &[Planned], method: Method, from: Progress) -> Result<(), FsError> {
        let total: u64 = planned.iter().map(|one| one.file.size).sum();
        let mut done: u64 = planned.iter().take(from.files).map(|one| one.file.size).sum();
        let mut in_kernel = true;
        let (context, source, staging) = (self.context, self.source.clone(), self.staging.clone());
        let mut durable = Durable::new(&mut self.journal, &self.store, from);
        for (index, one) in planned.iter().enumerate().skip(from.files) {
            let offset = if index == from.files { from.offset } else { 0 };
            let (from, to) = (source.at(one.file.path.clone()), staging.join(&one.file.path));
            let target = open_target(&to, offset)?;
            let source = from.open_file()?;
            let mut copy = FileCopy { from: &from, to: &to, source, target, size: one.file.size, in_kernel };
            if offset > 0 || method != Method::Reflink || !copy.reflink() {
                copy.run(offset, |file, reached| {
                    context.point(|| format!("copy:{index}:{reached}"));
                    context.progress(Step::Transfer, done + reached, total);
                    if let Err(stop) = context.checkpoint() {
                        durable.part_of_file(file, index, reached)?;
                        return Err(stop);
                    }
                    durable.written(file, index, reached)
                })?;
            }
            in_kernel = copy.in_kernel;
            unchanged(&from, one)?;
            done += one.file.size;
            durable.finished(copy.target, index)?;
        }
        durable.flush(planned.len())
    }

    fn record(&self, one: &Planned, linked: bool) -> Result<FileRecord, FsError> {
        let staged = self.staging.join(&one.file.path);
        let found = staged.metadata()?;
        if found.size != one.file.size || (linked && !found.is_same_file(&one.source)) {
            return Err(FsError::unavailable(format!(
                "{} changed while it was put into the library; it is done again later",
                self.source.at(one.file.path.clone()).path().display()
            )));
        }
        let path = one.file.path.display();
        Ok(FileRecord {
            size: one.file.size,
            sha256: None,
            origin: self.source.at(one.file.path.clone()).path().to_string_lossy().into_owned(),
            path,
            placed: Identity::of(&found),
            source: Identity::of(&one.source),
            linked,
            replaces: one.replaces,
        })
    }

    /// How much of an interrupted copy may be believed: all of what the journal says, or nothing.
    pub(crate) fn verified_progress(&self, planned: &[Planned], said: Progress) -> Result<Progress, FsError> {
        let whole = |one: &Planned| -> Result<bool, FsError> {
            let found = self.staging.join(&one.file.path).try_metadata()?;
            Ok(found.is_some_and(|found| found.size == one.file.size))
        };
        for one in planned.iter().take(said.files) {
            if !whole(one)? {
                return Ok(Progress::default());
            }
        }
        let partial = match planned.get(said.files) {
            Some(one) if said.offset > 0 => {
                let found = self.staging.join(&one.file.path).try_metadata()?;
                found.is_some_and(|found| found.size >= said.offset) && said.offset <= one.file.size
            }
            Some(_) => true,
            None => said.files == planned.len() && said.offset == 0,
        };
        Ok(if partial { said } else { Progress::default() })
    }
}

/// The staged file, cut back to what is known to be durable.
fn open_target(to: &SafePath, offset: u64) -> Result<std::fs::File, FsError> {
    if offset == 0 {
        to.remove_file()?;
        return to.create_new(FILE_MODE);
    }
    let file = to.open_for_writing()?;
    file.set_len(offset).map_err(to.failed("cut back"))?;
    Ok(file)
}

fn unchanged(from: &SafePath, one: &Planned) -> Result<(), FsError> {
    if from.metadata()? == one.source {
        return Ok(());
    }
    Err(FsError::unavailable(format!(
        "{} changed while it was copied; it is copied again later",
        from.path().display()
    )))
}
