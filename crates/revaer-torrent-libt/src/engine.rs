//! `LibtEngine`: the handle through which the rest of the server uses libtorrent.

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{self as blocking, RecvTimeoutError},
    },
    thread::JoinHandle,
    time::Duration,
};

use revaer_telemetry::{Component, Tasks, Telemetry};
use revaer_torrent_core::{
    BoxFuture, Metainfo, TorrentId,
    engine::{EngineCommand, EngineError, EngineStatus, InspectError, Observation, TorrentEngine},
};
use tokio::sync::{
    Semaphore, mpsc,
    oneshot::{self, Receiver},
};

use crate::{
    board::Board,
    ffi,
    inspect::inspect,
    mailbox::{self, Message},
    resume::Store,
    session::NativeOpener,
    wake::Wake,
    worker::{SessionWorker, Shared},
};

/// How long a command may take.
const DEADLINE: Duration = Duration::from_secs(30);
/// How long a drop waits for a session that was told to stop: it has ended, or is held up.
const LINGER_AFTER_STOP: Duration = Duration::from_secs(1);
/// How long a drop waits for one that was not.
const LINGER: Duration = Duration::from_secs(5);
/// How many .torrent files are judged at a time.
const MAX_INSPECTIONS: usize = 2;

/// What the engine is given.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// Where `engine` and `resume_store` are reported, and what is wrong with resume data is counted.
    pub telemetry: Telemetry,
    /// Where the blocking work of judging a .torrent runs.
    pub tasks: Tasks,
}

/// The engine's threads could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The system gave no eventfd.
    #[error("the engine got no eventfd from the system")]
    Wake(#[source] std::io::Error),
    /// The system gave no thread.
    #[error("the engine got no thread from the system")]
    Thread(#[source] std::io::Error),
}

/// libtorrent behind the engine port. Has no session until it is configured.
#[derive(Debug)]
pub struct LibtEngine {
    mailbox: Option<mpsc::Sender<Message>>,
    thread: Option<JoinHandle<()>>,
    /// Disconnected when the thread has ended.
    ended: Mutex<blocking::Receiver<Infallible>>,
    told_to_stop: AtomicBool,
    wake: Arc<Wake>,
    board: Arc<Board>,
    tasks: Tasks,
    inspections: Semaphore,
}

impl LibtEngine {
    /// Starts the threads of the engine: one that owns the session, two that own the resume data.
    pub fn start(options: EngineOptions) -> Result<Arc<Self>, StartError> {
        let EngineOptions { telemetry, tasks } = options;
        let wake = Arc::new(Wake::new().map_err(StartError::Wake)?);
        let board = Arc::new(Board::default());
        let (library, headers) = (ffi::library_version(), ffi::header_version());
        if !library.starts_with(headers.split('-').next().unwrap_or_default()) {
            tracing::warn!(
                library,
                headers,
                "libtorrent is not the version that Revaer was built with; rebuild Revaer"
            );
        }
        board.set_status(|status| status.library_version = library);
        let store = Store::start(Arc::clone(&wake), telemetry.clone()).map_err(StartError::Thread)?;
        let (mailbox, messages) = mpsc::channel(mailbox::CAPACITY);
        let shared = Shared { wake: Arc::clone(&wake), board: Arc::clone(&board), health: telemetry.health };
        let (running, ended) = blocking::channel();
        let thread = std::thread::Builder::new()
            .name("session-worker".to_owned())
            .spawn(move || {
                run(shared, messages, store);
                drop(running);
            })
            .map_err(StartError::Thread)?;
        Ok(Arc::new(Self {
            mailbox: Some(mailbox),
            thread: Some(thread),
            ended: Mutex::new(ended),
            told_to_stop: AtomicBool::new(false),
            wake,
            board,
            tasks,
            inspections: Semaphore::new(MAX_INSPECTIONS),
        }))
    }

    async fn send(&self, message: Message) -> Result<(), EngineError> {
        let mailbox = self.mailbox.as_ref().ok_or(EngineError::NotRunning)?;
        let sent = tokio::time::timeout(DEADLINE, mailbox.send(message)).await;
        sent.map_err(|_| timed_out())?.map_err(|_| EngineError::NotRunning)?;
        self.wake.signal();
        Ok(())
    }
}

fn run(shared: Shared, messages: mpsc::Receiver<Message>, store: Store) {
    let health = shared.health.clone();
    let board = Arc::clone(&shared.board);
    let worked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        // The session is opened, used and dropped in here, on this thread.
        let opener = NativeOpener { board: Arc::clone(&shared.board) };
        SessionWorker::new(opener, shared, messages, store).run();
    }));
    if worked.is_err() {
        board.set_status(|status| status.running = false);
        health.degrade(
            Component::Engine,
            "the engine's thread panicked; the log has the message; restart the server",
        );
    }
}

async fn in_time<T>(outcome: Receiver<Result<T, EngineError>>) -> Result<T, EngineError> {
    match tokio::time::timeout(DEADLINE, outcome).await {
        Ok(Ok(outcome)) => outcome,
        // The worker ended without an answer.
        Ok(Err(_)) => Err(EngineError::NotRunning),
        Err(_) => Err(timed_out()),
    }
}

fn timed_out() -> EngineError {
    EngineError::TimedOut { seconds: DEADLINE.as_secs() }
}

impl TorrentEngine for LibtEngine {
    fn inspect(&self, metainfo: Arc<[u8]>) -> BoxFuture<'_, Result<Metainfo, InspectError>> {
        Box::pin(async move {
            let unavailable = |reason: &str| InspectError::Unavailable(reason.to_owned());
            let _turn = self.inspections.acquire().await.map_err(|_| unavailable("it is shutting down"))?;
            self.tasks
                .spawn_blocking("inspect a .torrent", move || inspect(&metainfo))
                .await
                .map_err(|_| unavailable("the check did not end; the log has the reason"))?
        })
    }

    fn execute(&self, command: EngineCommand) -> BoxFuture<'_, Result<(), EngineError>> {
        Box::pin(async move {
            if command == EngineCommand::Shutdown {
                self.told_to_stop.store(true, Ordering::Relaxed);
            }
            let (reply, outcome) = oneshot::channel();
            self.send(Message { command, reply }).await?;
            in_time(outcome).await
        })
    }

    fn changed(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.board.changed())
    }

    fn take_changed(&self) -> Vec<Arc<Observation>> {
        self.board.take_changed()
    }

    fn observe(&self, id: TorrentId) -> Option<Arc<Observation>> {
        self.board.observe(id)
    }

    fn status(&self) -> EngineStatus {
        let mut status = self.board.status();
        if let Some(mailbox) = &self.mailbox {
            status.most_commands_waiting = mailbox.max_capacity();
            status.commands_waiting = mailbox.max_capacity() - mailbox.capacity();
        }
        status
    }
}

/// Without a shutdown before, the session ends as in a crash: nothing is saved. Waits until it has ended, but not for
/// long: a volume that does not answer would hold up the caller, which may be an async worker. Its threads are then
/// left to the end of the process.
impl Drop for LibtEngine {
    fn drop(&mut self) {
        drop(self.mailbox.take());
        self.wake.signal();
        let Some(thread) = self.thread.take() else { return };
        let most = if *self.told_to_stop.get_mut() { LINGER_AFTER_STOP } else { LINGER };
        let ended = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner).recv_timeout(most);
        if ended == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("the engine's session has not ended; it is left behind");
        } else if thread.join().is_err() {
            tracing::error!("the engine's thread panicked");
        }
    }
}
