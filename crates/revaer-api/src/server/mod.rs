//! Carries the surface over TCP: bounded connections, bounded heads, no patience for who sends or takes nothing,
//! and an end that finishes what was begun.

mod connection;
mod guarded;

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::Router;
use revaer_telemetry::{OnFailure, Tasks};
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Connections at once. Further ones wait in the kernel's queue, so that descriptors are left for torrents.
const MOST_CONNECTIONS: usize = 4096;
/// After an accept that failed (no descriptors left), until the next one.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The address could not be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {addr}: {}; {}", plain(reason), remedy(reason))]
pub struct BindError {
    /// The address.
    pub addr: SocketAddr,
    /// The system's reason. It stands in the message, before what to do, and is no source for that reason.
    pub reason: io::Error,
}

/// The system's words, without "(os error N)".
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split_once(" (os error").map_or(text.as_str(), |(words, _)| words).to_lowercase()
}

/// What to do about it.
fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "see what else uses it, or choose another address with --listen",
        io::ErrorKind::AddrNotAvailable => {
            "no interface of this host has that address; choose another one with --listen"
        }
        io::ErrorKind::PermissionDenied => {
            "the server's user may not use that port; choose one from 1024 on with --listen"
        }
        _ => "choose another address with --listen",
    }
}

/// A bound socket that nobody serves yet.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    local_addr: SocketAddr,
}

impl Listener {
    /// Where it listens; with the port that the system chose where 0 was asked for.
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }
}

/// The HTTP server.
#[derive(Debug)]
pub struct Server;

impl Server {
    /// Takes an address. Clients can connect from here on; they are served from [`Server::serve`] on.
    pub async fn bind(addr: SocketAddr) -> Result<Listener, BindError> {
        let failed = |reason| BindError { addr, reason };
        let socket = TcpListener::bind(addr).await.map_err(failed)?;
        let local_addr = socket.local_addr().map_err(failed)?;
        Ok(Listener { socket, local_addr })
    }

    /// Serves `router` until [`ServerHandle::stop`], or until the tasks' root token is canceled.
    pub fn serve(listener: Listener, router: Router, tasks: &Tasks) -> ServerHandle {
        let handle = ServerHandle {
            local_addr: listener.local_addr,
            closing: tasks.child_token(),
            abort: CancellationToken::new(),
            released: CancellationToken::new(),
            connections: TaskTracker::new(),
        };
        let work = accept(listener.socket, router, tasks.clone(), handle.clone());
        let released = handle.released.clone().drop_guard();
        let work = async move {
            // Dropped after the socket: whoever waits for the address finds it free.
            let _released = released;
            work.await
        };
        // Tracked like a connection: when the server has stopped, its address is free.
        tasks.spawn("http listener", OnFailure::Shutdown, handle.connections.track_future(work));
        handle
    }
}

/// A server that runs.
#[derive(Debug, Clone)]
pub struct ServerHandle {
    local_addr: SocketAddr,
    closing: CancellationToken,
    abort: CancellationToken,
    released: CancellationToken,
    connections: TaskTracker,
}

impl ServerHandle {
    /// Where it listens.
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Stops to accept, and returns when the address is free; connections go on until [`ServerHandle::stop`].
    pub async fn release(&self) {
        self.closing.cancel();
        self.released.cancelled().await;
    }

    /// Stops to accept, ends event streams, lets requests finish; what is left at the deadline is cut. Returns
    /// whether everything finished by itself.
    pub async fn stop(self, deadline: Duration) -> bool {
        self.closing.cancel();
        self.connections.close();
        let finished = tokio::time::timeout(deadline, self.connections.wait()).await.is_ok();
        self.abort.cancel();
        self.connections.wait().await;
        finished
    }
}

/// The address at the other end of the connection. An extension of every request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// Canceled when the connection is to end. An extension of every request.
#[derive(Debug, Clone)]
pub(crate) struct Closing(pub(crate) CancellationToken);

/// Whether the connection was cut because its client took nothing. An extension of every request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stalled(Arc<AtomicBool>);

impl Stalled {
    pub(crate) fn is_stalled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn mark(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

async fn accept(
    socket: TcpListener,
    router: Router,
    tasks: Tasks,
    handle: ServerHandle,
) -> Result<(), Infallible> {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let place = tokio::select! {
            () = handle.closing.cancelled() => return Ok(()),
            // Never closed.
            Ok(place) = Arc::clone(&places).acquire_owned() => place,
        };
        let accepted = tokio::select! {
            () = handle.closing.cancelled() => return Ok(()),
            accepted = socket.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let connection = connection::Connection {
                    stream,
                    peer,
                    router: router.clone(),
                    closing: handle.closing.clone(),
                    abort: handle.abort.clone(),
                };
                let work = handle.connections.track_future(async move {
                    connection.serve().await;
                    drop(place);
                    Ok::<(), Infallible>(())
                });
                tasks.spawn("http connection", OnFailure::Log, work);
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
