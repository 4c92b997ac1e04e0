//! A server that runs: it accepts, makes room for another listener, moves away, and ends.
//!
//! The sockets and the connections belong to tasks; whoever holds the handle decides about both. A handle that is
//! dropped ends its server, so that none is left that nobody can end.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::Router;
use revaer_telemetry::{OnFailure, Tasks};
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Listener, connection::Connection};

/// Connections at once. Further ones wait in the kernel's queue, so that descriptors are left for torrents.
const MOST_CONNECTIONS: usize = 4096;
/// After an accept that failed (no descriptors left), until the next one.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A server that runs. Dropped without [`ServerHandle::stop`], it closes its socket and ends its connections, and
/// nobody waits for them.
#[derive(Debug)]
pub struct ServerHandle {
    local_addr: SocketAddr,
    router: Router,
    tasks: Tasks,
    /// Canceled when this socket is to be closed, and then when it is.
    accepting: CancellationToken,
    released: CancellationToken,
    closing: Closing,
    abort: CancellationToken,
    places: Arc<Semaphore>,
    connections: TaskTracker,
}

impl ServerHandle {
    pub(super) fn serve(listener: Listener, router: Router, tasks: &Tasks) -> Self {
        let mut handle = Self {
            local_addr: listener.local_addr,
            router,
            tasks: tasks.clone(),
            accepting: CancellationToken::new(),
            released: CancellationToken::new(),
            closing: Closing::of(tasks.child_token()),
            abort: CancellationToken::new(),
            places: Arc::new(Semaphore::new(MOST_CONNECTIONS)),
            connections: TaskTracker::new(),
        };
        handle.resume(listener);
        handle
    }

    /// Where it listens, or did before [`ServerHandle::release`].
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Whether it accepts connections.
    pub fn is_listening(&self) -> bool {
        !self.accepting.is_cancelled()
    }

    /// Stops to accept, and returns when the address is free. Connections go on as if nothing had happened.
    pub async fn release(&self) {
        self.accepting.cancel();
        self.released.cancelled().await;
    }

    /// Accepts on another socket from here on, and no more on the one before.
    pub fn resume(&mut self, listener: Listener) {
        self.accepting.cancel();
        self.local_addr = listener.local_addr;
        self.accepting = self.closing.token.child_token();
        self.released = CancellationToken::new();
        let acceptor = Acceptor {
            socket: listener.socket,
            router: self.router.clone(),
            tasks: self.tasks.clone(),
            accepting: self.accepting.clone(),
            closing: self.closing.clone(),
            abort: self.abort.clone(),
            places: Arc::clone(&self.places),
            connections: self.connections.clone(),
        };
        let released = self.released.clone().drop_guard();
        let work = async move {
            // Dropped after the socket: whoever waits for the address finds it free.
            let _released = released;
            acceptor.run().await
        };
        // Tracked like a connection: when the server has stopped, its address is free.
        self.tasks.spawn("http listener", OnFailure::Shutdown, self.connections.track_future(work));
    }

    /// Like [`ServerHandle::stop`], for clients that find the server at `other` from here on: they are told.
    pub async fn leave_for(self, other: SocketAddr, deadline: Duration) -> bool {
        self.closing.other.get_or_init(|| other);
        self.stop(deadline).await
    }

    /// Stops to accept, ends event streams, lets requests finish; what is left at the deadline is cut. Returns
    /// whether everything finished by itself.
    pub async fn stop(self, deadline: Duration) -> bool {
        self.closing.token.cancel();
        self.connections.close();
        let finished = tokio::time::timeout(deadline, self.connections.wait()).await.is_ok();
        self.abort.cancel();
        self.connections.wait().await;
        finished
    }
}

impl Drop for ServerHandle {
    fn drop(&mut self) {
        self.closing.token.cancel();
    }
}

/// Canceled when the connection is to end. An extension of every request.
#[derive(Debug, Clone)]
pub(crate) struct Closing {
    token: CancellationToken,
    /// Where the server listens instead.
    other: Arc<OnceLock<SocketAddr>>,
}

impl Closing {
    pub(crate) fn of(token: CancellationToken) -> Self {
        Self { token, other: Arc::default() }
    }

    /// Cancel-safe.
    pub(crate) async fn cancelled(&self) {
        self.token.cancelled().await;
    }

    /// What a client is told once it is canceled.
    pub(crate) fn reason(&self) -> String {
        self.other.get().map_or_else(
            || "the server is stopping; come back with last-event-id".to_owned(),
            |other| format!("the server listens on {other} now; go on there with last-event-id"),
        )
    }
}

/// Owns a socket, and starts a task for each connection.
struct Acceptor {
    socket: TcpListener,
    router: Router,
    tasks: Tasks,
    accepting: CancellationToken,
    closing: Closing,
    abort: CancellationToken,
    places: Arc<Semaphore>,
    connections: TaskTracker,
}

impl Acceptor {
    async fn run(self) -> Result<(), Infallible> {
        loop {
            let place = tokio::select! {
                () = self.accepting.cancelled() => return Ok(()),
                // Never closed.
                Ok(place) = Arc::clone(&self.places).acquire_owned() => place,
            };
            let accepted = tokio::select! {
                () = self.accepting.cancelled() => return Ok(()),
                accepted = self.socket.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let connection = Connection {
                        stream,
                        peer,
                        router: self.router.clone(),
                        closing: self.closing.clone(),
                        abort: self.abort.clone(),
                    };
                    let work = self.connections.track_future(async move {
                        connection.serve().await;
                        drop(place);
                        Ok::<(), Infallible>(())
                    });
                    self.tasks.spawn("http connection", OnFailure::Log, work);
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}
