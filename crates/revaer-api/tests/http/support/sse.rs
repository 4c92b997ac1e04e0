//! An event stream, frame by frame.

use serde_json::Value;
use tokio::{io::AsyncReadExt as _, net::TcpStream};

use crate::support::client::{Answer, PATIENCE};

/// A frame, as its lines said.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Frame {
    pub(crate) id: Option<u64>,
    pub(crate) event: Option<String>,
    pub(crate) data: Value,
    pub(crate) comment: Option<String>,
    pub(crate) retry: Option<u64>,
}

/// An open stream.
pub(crate) struct EventStream {
    stream: TcpStream,
    /// What came, still in chunks.
    raw: Vec<u8>,
    /// What the chunks held.
    text: String,
    pub(crate) head: Answer,
}

impl EventStream {
    pub(crate) async fn open(mut stream: TcpStream) -> Self {
        let mut raw = Vec::new();
        let end = loop {
            if let Some(end) = raw.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            assert!(fill(&mut stream, &mut raw).await, "no head came");
        };
        let rest = raw.split_off(end);
        let head = Answer::parse(&raw);
        assert_eq!(head.status, 200, "{}", String::from_utf8_lossy(&rest));
        Self { stream, raw: rest, text: String::new(), head }
    }

    /// The next frame; `None` when the stream is over.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some((frame, rest)) = self.text.split_once("\n\n") {
                let (frame, rest) = (parse(frame), rest.to_owned());
                self.text = rest;
                return Some(frame);
            }
            // The last chunk is empty; the connection may stay open.
            if self.raw.starts_with(b"0\r\n") {
                return None;
            }
            if !self.unchunk() && !fill(&mut self.stream, &mut self.raw).await {
                return None;
            }
        }
    }

    /// The next frame that is an event.
    pub(crate) async fn event(&mut self) -> Frame {
        loop {
            let frame = self.next().await.expect("the stream ended");
            if frame.event.is_some() {
                return frame;
            }
        }
    }

    /// Moves one chunk; false where none is whole.
    fn unchunk(&mut self) -> bool {
        let Some(line) = self.raw.windows(2).position(|two| two == b"\r\n") else { return false };
        let size = usize::from_str_radix(std::str::from_utf8(&self.raw[..line]).unwrap(), 16).unwrap();
        let end = line + 2 + size;
        if self.raw.len() < end + 2 || size == 0 {
            return false;
        }
        self.text.push_str(std::str::from_utf8(&self.raw[line + 2..end]).unwrap());
        self.raw.drain(..end + 2);
        true
    }
}

async fn fill(stream: &mut TcpStream, into: &mut Vec<u8>) -> bool {
    let read = tokio::time::timeout(PATIENCE, stream.read_buf(into));
    read.await.expect("the stream is silent").unwrap() > 0
}

fn parse(text: &str) -> Frame {
    let mut frame = Frame::default();
    for line in text.lines() {
        match line.split_once(": ").unwrap() {
            ("id", id) => frame.id = Some(id.parse().unwrap()),
            ("event", name) => frame.event = Some(name.to_owned()),
            ("data", data) => frame.data = serde_json::from_str(data).unwrap(),
            ("retry", time) => frame.retry = Some(time.parse().unwrap()),
            ("", comment) => frame.comment = Some(comment.to_owned()),
            other => panic!("{other:?}"),
        }
    }
    frame
}
