//! How long the end may take. Each stage has an end of its own, counted from the beginning of the drain, so that time
//! that one did not need is there for the next; and whatever hangs, the process ends.
//!
//! A disk that hangs can hold threads that nobody can stop: those of the runtime, of libtorrent, of its saves. So the
//! last word has a thread that waits for nothing but the clock.

use std::{
    process,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Signal, getpid, kill_process};
use tracing::{error, warn};

/// The server promises to end within 30 s of a signal.
pub const LONGEST: Duration = Duration::from_secs(28);
/// Writing the reason and the exit handlers of libraries may hang like everything else.
const AT_EXIT: Duration = Duration::from_secs(1);

/// The stages of the end, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The start, when the signal came during it.
    Start,
    /// HTTP: requests finish.
    Requests,
    /// The orchestrator, the feeders and the watchers.
    Front,
    /// Jobs of the pipeline, and what blocks on their behalf.
    Pipeline,
    /// The session, with its resume data.
    Engine,
    /// The last batch.
    Ledger,
    /// Connections to the database.
    Pool,
    /// The instance lock.
    Lock,
    /// The embedded database.
    Postgres,
    /// What is left in memory.
    Rest,
}

impl Stage {
    const ALL: [Self; 10] = [
        Self::Start,
        Self::Requests,
        Self::Front,
        Self::Pipeline,
        Self::Engine,
        Self::Ledger,
        Self::Pool,
        Self::Lock,
        Self::Postgres,
        Self::Rest,
    ];

    /// When the stage ends at the latest, from the beginning of the drain.
    pub fn ends(self) -> Duration {
        Duration::from_secs(match self {
            // A start that was broken off has nothing to drain but what it made: the database.
            Self::Start | Self::Postgres => 27,
            Self::Requests => 3,
            Self::Front => 6,
            Self::Pipeline => 8,
            Self::Engine => 17,
            Self::Ledger => 20,
            Self::Pool => 21,
            Self::Lock => 22,
            Self::Rest => return LONGEST,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Start => "the start that was broken off",
            Self::Requests => "requests",
            Self::Front => "the orchestrator and the tasks around it",
            Self::Pipeline => "jobs of the pipeline",
            Self::Engine => "the engine",
            Self::Ledger => "the ledger",
            Self::Pool => "database connections",
            Self::Lock => "the instance lock",
            Self::Postgres => "the embedded database",
            Self::Rest => "what the stages left behind",
        }
    }
}

/// The drain that has begun.
#[derive(Debug, Clone)]
pub struct Drain {
    begun: Instant,
    /// Index of the stage in `Stage::ALL`.
    stage: Arc<AtomicUsize>,
}

impl Drain {
    /// From now on the process has [`LONGEST`]; then it ends with `code`.
    pub fn begin(code: u8) -> Self {
        Self::within(LONGEST, code)
    }

    /// [`Drain::begin`] with another deadline.
    pub fn within(longest: Duration, code: u8) -> Self {
        let drain = Self { begun: Instant::now(), stage: Arc::default() };
        let watched = drain.clone();
        let clock = thread::Builder::new().name("deadline".to_owned()).spawn(move || {
            thread::sleep(longest);
            watched.end(code);
        });
        if let Err(error) = clock {
            warn!(%error, "the end has no deadline: its thread cannot be started");
        }
        drain
    }

    /// Enters a stage. Answers how long it may take.
    pub fn enter(&self, stage: Stage) -> Duration {
        let index = Stage::ALL.iter().position(|one| *one == stage).unwrap_or_default();
        self.stage.store(index, Ordering::Relaxed);
        stage.ends().saturating_sub(self.begun.elapsed())
    }

    fn end(&self, code: u8) {
        // Should even the following hang: a death that nothing can delay, and that the embedded database is told of.
        let killer = thread::Builder::new().spawn(|| {
            thread::sleep(AT_EXIT);
            if let Err(error) = kill_process(getpid(), Signal::KILL) {
                error!(%error, "this process can not end itself");
            }
        });
        drop(killer);
        let stage = Stage::ALL.get(self.stage.load(Ordering::Relaxed)).map_or("", |stage| stage.name());
        error!(
            waited_for = stage,
            seconds = self.begun.elapsed().as_secs(),
            "the server did not end in time and is ended now; nothing acknowledged is lost"
        );
        process::exit(code.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stages_end_one_after_the_other_and_before_the_whole() {
        let ends: Vec<Duration> = Stage::ALL[1..].iter().map(|stage| stage.ends()).collect();
        assert!(ends.is_sorted_by(|one, next| one < next), "{ends:?}");
        assert!(Stage::ALL.iter().all(|stage| stage.ends() <= LONGEST));
        assert!(LONGEST + AT_EXIT < Duration::from_secs(30));
    }
}
