//! Carries the surface over TCP: bounded connections, bounded heads, no patience for who sends or takes nothing,
//! and an end that finishes what was begun.

mod connection;
mod guarded;
mod handle;

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::Router;
use revaer_telemetry::Tasks;
use tokio::net::TcpListener;

pub(crate) use self::handle::Closing;
pub use self::handle::ServerHandle;

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
        ServerHandle::serve(listener, router, tasks)
    }
}

/// The address at the other end of the connection. An extension of every request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

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
