//! From an empty or known data directory to a server that answers.

use std::{path::Path, sync::Arc, time::Duration};

use revaer_telemetry::Tasks;
use sqlx::{ConnectOptions, Connection, PgConnection};
use tokio::{runtime::Handle, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    EmbeddedError, EmbeddedOptions,
    account::RunAs,
    binaries::{self, Binaries},
    cluster, ending, leftover, logfile,
    places::Places,
    reach, sql,
};
use crate::child::{Child, Children, Output, Signal};

/// Recovery after a crash replays at most the write-ahead log since the last checkpoint; this is far more.
const LONGEST_START: Duration = Duration::from_mins(10);
const POLL: Duration = Duration::from_millis(20);
/// The server answers that it is starting up, recovering or shutting down (`cannot_connect_now`).
const NOT_YET: &str = "57P03";

/// Everything that a start, and each restart, needs.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) binaries: Binaries,
    pub(super) places: Places,
    children: Children,
    run_as: RunAs,
    tasks: Tasks,
}

/// Finds the programs and the user, and makes the cluster where there is none.
pub(super) async fn prepare(
    children: &Children,
    options: EmbeddedOptions,
    tasks: &Tasks,
) -> Result<Arc<Prepared>, EmbeddedError> {
    let children = children.clone();
    let owned_tasks = tasks.clone();
    let stopping = tasks.token();
    blocking(tasks, async move || {
        let data_dir =
            options.data_dir.canonicalize().map_err(EmbeddedError::at("resolve", &options.data_dir))?;
        let run_as = RunAs::choose(&children, &data_dir).await?;
        let places = Places::new(&data_dir, options.runtime_dir.as_deref(), &run_as)?;
        let major = cluster::major_version(&places.pg)?;
        let binaries = binaries::find(&children, options.search_path.as_deref(), &places.pg, major).await?;
        let lock = leftover::clear(&places, &stopping)?;
        if major.is_none() {
            cluster::create(&children, &binaries, &places, &run_as, lock).await?;
        } else {
            cluster::remove_torn(&places.pg_tmp)?;
        }
        Ok(Arc::new(Prepared { binaries, places, children, run_as, tasks: owned_tasks }))
    })
    .await
}

impl Prepared {
    pub(super) fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// Starts the server and waits until the database `revaer` can be used. Ends what is left of an earlier run
    /// first. When it cannot be used, or `stopping` is cancelled meanwhile, it is gone again before this answers.
    pub(super) async fn launch(
        self: &Arc<Self>,
        stopping: CancellationToken,
        hurry: CancellationToken,
    ) -> Result<Child, EmbeddedError> {
        let this = Arc::clone(self);
        blocking(&self.tasks, async move || {
            let lock = leftover::clear(&this.places, &stopping)?;
            cluster::write_access(&this.places, &this.run_as)?;
            let log = &this.places.log;
            let (file, begin) = logfile::open(log).map_err(EmbeddedError::at("open", log))?;
            let copy = file.try_clone().map_err(EmbeddedError::at("open", log))?;
            let spec = cluster::postmaster(&this.binaries, &this.places, &this.run_as)
                .death_signal(Signal::INT)
                .inherit(lock)
                .stdout(Output::File(copy))
                .stderr(Output::File(file));
            let mut child = this.children.spawn(spec).await.map_err(EmbeddedError::spawn)?;
            match this.make_usable(&mut child, begin, &stopping).await {
                Ok(()) => Ok(child),
                Err(error) => {
                    ending::end(&mut child, &hurry).await;
                    Err(error)
                }
            }
        })
        .await
    }

    async fn make_usable(
        &self,
        child: &mut Child,
        begin: u64,
        stopping: &CancellationToken,
    ) -> Result<(), EmbeddedError> {
        let first = async {
            let mut conn = self.first_connection(child, begin).await?;
            let made = sql::database_ensure(&mut conn).await;
            drop(conn.close().await);
            made.map_err(|source| EmbeddedError::CreateDatabase { source })
        };
        stopping.run_until_cancelled(first).await.unwrap_or(Err(EmbeddedError::Stopped))
    }

    async fn first_connection(&self, child: &mut Child, begin: u64) -> Result<PgConnection, EmbeddedError> {
        let options = self.places.connect_options().database("postgres");
        let started = Instant::now();
        loop {
            if let Some(status) = child.try_wait().map_err(EmbeddedError::at("wait for", &self.places.pg))? {
                return Err(self.failed(&status.to_string(), begin, &self.places.log));
            }
            match options.connect().await {
                Ok(conn) => return Ok(conn),
                Err(source) => {
                    let waited = started.elapsed();
                    if !may_come(&source) || waited > LONGEST_START {
                        let log = self.places.log.clone();
                        return Err(EmbeddedError::NotReady { waited, log, source });
                    }
                }
            }
            tokio::time::sleep(POLL).await;
        }
    }

    fn failed(&self, status: &str, begin: u64, log: &Path) -> EmbeddedError {
        EmbeddedError::ProgramFailed {
            program: "postgres",
            status: status.to_owned(),
            said: logfile::tail(log, begin),
            hint: reach::hint(&self.places.pg, self.run_as.account),
        }
    }
}

/// Whether a refused connection may succeed a moment later.
fn may_come(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) => true,
        sqlx::Error::Database(refusal) => refusal.code().is_some_and(|code| code == NOT_YET),
        _ => false,
    }
}

/// Runs async work that also blocks (locks, `/proc`, syncs) on a thread where it may.
async fn blocking<T, F, W>(tasks: &Tasks, work: W) -> Result<T, EmbeddedError>
where
    W: FnOnce() -> F + Send + 'static,
    F: Future<Output = Result<T, EmbeddedError>>,
    T: Send + 'static,
{
    let runtime = Handle::current();
    tasks
        .spawn_blocking("postgres", move || runtime.block_on(work()))
        .await
        .unwrap_or(Err(EmbeddedError::Panicked))
}
