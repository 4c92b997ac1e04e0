//! One connection: served by hyper, ended gently, and never closed under a client that is still sending, which
//! would lose the answer it is about to read.

use std::{future::poll_fn, net::SocketAddr, time::Duration};

use axum::{Router, body::Body, http::Request};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::{
    http::allowed_hosts::Local,
    server::{Closing, Peer, Stalled, guarded::Guarded},
};

/// Request line and headers.
const LARGEST_HEAD: usize = 16 * 1024;
/// From the end of one answer to the end of the next head: slow senders and idle connections are cut.
const HEAD_TIME: Duration = Duration::from_secs(30);
/// What is buffered of a body in either direction.
const BUFFER: usize = 64 * 1024;
/// How long what a client still sends is thrown away, so that it gets to read its answer.
const LINGER: Duration = Duration::from_secs(2);

/// A connection and what it is served with.
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    pub(super) peer: SocketAddr,
    pub(super) router: Router,
    pub(super) closing: Closing,
    pub(super) abort: CancellationToken,
}

impl Connection {
    /// Serves requests until the client goes, or until it is told to end.
    pub(super) async fn serve(self) {
        let Self { stream, peer, router, closing, abort } = self;
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "small answers may be delayed");
        }
        // None where the connection has ended already.
        let local = stream.local_addr().ok().map(Local);
        let stalled = Stalled::default();
        let io = TokioIo::new(Guarded::new(stream, stalled.clone()));
        let (ending, service_closing) = (closing.clone(), closing);
        let service = service_fn(move |request: Request<Incoming>| {
            let mut request = request.map(Body::new);
            let extensions = request.extensions_mut();
            extensions.insert(Peer(peer));
            if let Some(local) = local {
                extensions.insert(local);
            }
            extensions.insert(service_closing.clone());
            extensions.insert(stalled.clone());
            Box::pin(router.clone().oneshot(request))
        });
        let mut connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIME)
            .max_header_size(LARGEST_HEAD)
            .max_buf_size(BUFFER)
            .serve_connection(io, service);
        let mut told_to_end = false;
        let ended = loop {
            tokio::select! {
                ended = poll_fn(|context| connection.poll_without_shutdown(context)) => break ended,
                () = ending.cancelled(), if !told_to_end => {
                    told_to_end = true;
                    Pin::new(&mut connection).graceful_shutdown();
                }
                () = abort.cancelled() => return,
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, %peer, "a connection ended early");
        }
        let io = connection.into_parts().io.into_inner();
        tokio::select! {
            () = linger(io) => {}
            () = ending.cancelled() => {}
        }
    }
}

/// Says that nothing more comes, and waits a moment for the client to be done.
async fn linger(mut io: Guarded<TcpStream>) {
    let finish = async {
        io.shutdown().await?;
        let mut rest = [0; 4096];
        while io.read(&mut rest).await? > 0 {}
        std::io::Result::Ok(())
    };
    match tokio::time::timeout(LINGER, finish).await {
        Ok(Ok(())) | Err(_) => {}
        Ok(Err(error)) => tracing::trace!(%error, "a connection was closed by the other side"),
    }
}
