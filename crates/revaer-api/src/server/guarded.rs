//! A socket that cuts a client which takes nothing, and through which no bare error leaves.
//!
//! hyper answers a head that it cannot parse (400) or that is too large (431) by itself, with an empty body and
//! before any of our code runs. Those answers are recognized here, by a shape that none of ours has (a 4xx whose
//! length is 0), and replaced by the problem document of the same status.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::http::StatusCode;
use revaer_api_models::{PROBLEM_CONTENT_TYPE, REQUEST_ID_HEADER};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};
use uuid::Uuid;

use crate::{http::problem, server::Stalled};

/// A client that has taken nothing for so long is cut.
const PATIENCE: Duration = Duration::from_secs(30);

/// The socket of one connection.
pub(super) struct Guarded<S> {
    socket: S,
    stalled: Stalled,
    /// Runs while the client takes nothing.
    patience: Option<Pin<Box<Sleep>>>,
    replacement: Option<Replacement>,
}

/// An answer of ours that goes out instead of hyper's.
struct Replacement {
    bytes: Vec<u8>,
    written: usize,
}

impl<S: AsyncWrite + Unpin> Guarded<S> {
    pub(super) const fn new(socket: S, stalled: Stalled) -> Self {
        Self { socket, stalled, patience: None, replacement: None }
    }

    /// Writes; starts or checks the clock where nothing moved, and stops it where something did.
    fn write_plain(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.socket).poll_write(context, bytes);
        if outcome.is_ready() {
            self.patience = None;
            return outcome;
        }
        let patience = self.patience.get_or_insert_with(|| Box::pin(sleep(PATIENCE)));
        ready!(patience.as_mut().poll(context));
        self.stalled.mark();
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client has taken nothing for 30 s")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.replacement.is_none() {
            self.replacement = replacement(bytes).map(|bytes| Replacement { bytes, written: 0 });
        }
        let Some(mut ours) = self.replacement.take() else { return self.write_plain(context, bytes) };
        while let Some(rest) = ours.bytes.get(ours.written..).filter(|rest| !rest.is_empty()) {
            match self.write_plain(context, rest) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(written)) => ours.written += written,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    self.replacement = Some(ours);
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A flush of a socket moves nothing, so it says nothing about the client.
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

/// What goes out instead of `head`, where that is an answer of hyper's own.
fn replacement(head: &[u8]) -> Option<Vec<u8>> {
    let rest = head.strip_prefix(b"HTTP/1.1 ").or_else(|| head.strip_prefix(b"HTTP/1.0 "))?;
    let digits = std::str::from_utf8(rest.get(..3)?).ok()?;
    let status = StatusCode::from_bytes(digits.as_bytes()).ok().filter(StatusCode::is_client_error)?;
    let text = std::str::from_utf8(head).ok()?;
    let empty = text.ends_with("\r\n\r\n") && text.contains("\r\ncontent-length: 0\r\n");
    if !empty {
        return None;
    }
    let problem = problem::of_status(status);
    let body = serde_json::to_string(&problem).ok()?;
    let reason = status.canonical_reason().unwrap_or("");
    let head = format!(
        "HTTP/1.1 {digits} {reason}\r\nconnection: close\r\ncontent-type: {PROBLEM_CONTENT_TYPE}\r\n\
         content-length: {}\r\ncache-control: no-store\r\n{REQUEST_ID_HEADER}: {}\r\n\r\n{body}",
        body.len(),
        Uuid::now_v7()
    );
    Some(head.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_cut_and_one_that_is_slow_is_not() {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

        let stalled = Stalled::default();
        let (mut client, socket) = tokio::io::duplex(4);
        let mut guarded = Guarded::new(socket, stalled.clone());
        let slow = async {
            for _ in 0..4 {
                sleep(PATIENCE.mul_f32(0.9)).await;
                client.read_exact(&mut [0; 4]).await.unwrap();
            }
        };
        let (written, ()) = tokio::join!(guarded.write_all(&[0; 16]), slow);
        written.unwrap();
        assert!(!stalled.is_stalled());
        let error = guarded.write_all(&[0; 16]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(stalled.is_stalled());
    }

    #[tokio::test]
    async fn a_replacement_is_written_whole_through_a_narrow_socket() {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

        let bare = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        let (mut client, socket) = tokio::io::duplex(7);
        let mut guarded = Guarded::new(socket, Stalled::default());
        let write = async move {
            guarded.write_all(bare).await.unwrap();
            guarded.shutdown().await.unwrap();
        };
        let mut taken = String::new();
        let ((), read) = tokio::join!(write, client.read_to_string(&mut taken));
        read.unwrap();
        assert!(taken.starts_with("HTTP/1.1 400 ") && taken.ends_with('}'), "{taken}");
    }

    #[test]
    fn a_bare_error_becomes_a_problem() {
        let bare =
            b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        let ours = String::from_utf8(replacement(bare).unwrap()).unwrap();
        assert!(ours.starts_with("HTTP/1.1 431 "), "{ours}");
        let (head, body) = ours.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("content-type: application/problem+json\r\n"), "{head}");
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{head}");
        assert!(body.contains("/headers-too-large"), "{body}");
    }

    #[test]
    fn everything_else_goes_out_as_it_is() {
        for plain in [
            "HTTP/1.1 204 No Content\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 404 Not Found\r\ncontent-length: 7\r\n\r\n",
            "{\"name\":\"HTTP/1.1 400\"}",
            "HTTP/1.1 4",
        ] {
            assert_eq!(replacement(plain.as_bytes()), None, "{plain}");
        }
    }
}
