//! Running a step: its word in the journal, its metric, the points around it, and where a job stopped.

use std::time::Instant;

use revaer_torrent_core::fsops::Step;

use crate::{
    FsError,
    attempt::Attempt,
    context::{Context, now},
    journal::{Journal, StepStatus},
};

/// A step refused, failed or was stopped.
#[derive(Debug)]
pub(crate) struct Stop {
    pub(crate) step: Step,
    pub(crate) error: FsError,
}

impl Stop {
    pub(crate) fn at(step: Step) -> impl FnOnce(FsError) -> Self {
        move |error| Self { step, error }
    }
}

/// A step that is under way.
struct Running {
    step: Step,
    started: Instant,
}

impl Running {
    fn begin(context: &Context<'_>, journal: &mut Journal, step: Step) -> Result<Self, Stop> {
        context.checkpoint().map_err(Stop::at(step))?;
        journal.note(step, StepStatus::Started, None, now());
        Ok(Self { step, started: Instant::now() })
    }

    fn end<T>(
        self,
        context: &Context<'_>,
        journal: &mut Journal,
        result: Result<T, FsError>,
    ) -> Result<T, Stop> {
        let status = match &result {
            Ok(_) => StepStatus::Completed,
            Err(FsError::Interrupted) => return result.map_err(Stop::at(self.step)),
            Err(_) => StepStatus::Failed,
        };
        let detail = result.as_ref().err().map(FsError::describe);
        journal.note(self.step, status, detail, now());
        context.metrics.fsops_step(self.step.name(), status.name(), self.started.elapsed().as_secs_f64());
        context.point(|| format!("done:{}", self.step.name()));
        result.map_err(Stop::at(self.step))
    }
}

/// Runs a step that stands before the journal's place is known; it changes nothing that outlives it.
pub(crate) fn run<T>(
    context: &Context<'_>,
    journal: &mut Journal,
    step: Step,
    work: impl FnOnce() -> Result<T, FsError>,
) -> Result<T, Stop> {
    let running = Running::begin(context, journal, step)?;
    let result = work();
    running.end(context, journal, result)
}

/// Notes a step that has nothing to do.
pub(crate) fn skip(context: &Context<'_>, journal: &mut Journal, step: Step, why: &str) {
    journal.note(step, StepStatus::Skipped, Some(why.to_owned()), now());
    context.metrics.fsops_step(step.name(), StepStatus::Skipped.name(), 0.0);
}

impl Attempt<'_> {
    /// Runs a step that only looks: its word reaches the disk with the next one that acts.
    pub(crate) fn step<T>(
        &mut self,
        step: Step,
        work: impl FnOnce(&mut Self) -> Result<T, FsError>,
    ) -> Result<T, Stop> {
        let running = Running::begin(self.context, &mut self.journal, step)?;
        let result = work(self);
        running.end(self.context, &mut self.journal, result)
    }

    /// Runs a step that changes the disk. That it starts is durable before; that it ended is durable before the next
    /// one starts.
    pub(crate) fn acting<T>(
        &mut self,
        step: Step,
        work: impl FnOnce(&mut Self) -> Result<T, FsError>,
    ) -> Result<T, Stop> {
        let running = Running::begin(self.context, &mut self.journal, step)?;
        self.context.point(|| format!("ready:{}", step.name()));
        self.word(step)?;
        self.context.point(|| format!("begun:{}", step.name()));
        let result = work(self);
        running.end(self.context, &mut self.journal, result)
    }

    pub(crate) fn skip(&mut self, step: Step, why: &str) {
        skip(self.context, &mut self.journal, step, why);
    }

    /// Says more about a step that was noted.
    pub(crate) fn detail(&mut self, step: Step, detail: String) {
        if let Some(status) = self.journal.step(step) {
            self.journal.note(step, status, Some(detail), now());
        }
    }

    /// Writes the journal. Without it no step starts: the volume that cannot take it is retried.
    pub(crate) fn word(&self, step: Step) -> Result<(), Stop> {
        self.store.write(&self.journal).map_err(Stop::at(step))
    }
}
