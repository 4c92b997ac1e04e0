//! A reader of `text/event-stream` that keeps every frame in the order it came.

use std::collections::VecDeque;
use std::pin::Pin;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures_util::{Stream, StreamExt};
use serde_json::Value;

use crate::wait;

/// One event.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The `id:` line.
    pub id: Option<u64>,
    /// The `event:` line.
    pub kind: String,
    /// The `data:` lines as JSON.
    pub data: Value,
}

impl Frame {
    /// Whether it is of a kind and about a torrent.
    pub fn is(&self, kind: &str, torrent: &str) -> bool {
        self.kind == kind && self.data["event"]["torrent_id"] == torrent
    }
}

/// An open stream.
pub struct EventStream {
    body: Pin<Box<dyn Stream<Item = reqwest::Result<Vec<u8>>> + Send>>,
    parser: Parser,
    waiting: VecDeque<Frame>,
    seen: Vec<Frame>,
}

impl std::fmt::Debug for EventStream {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("EventStream").field("seen", &self.seen.len()).finish_non_exhaustive()
    }
}

impl EventStream {
    pub(crate) fn new(response: reqwest::Response) -> Self {
        let body = response.bytes_stream().map(|chunk| chunk.map(|bytes| bytes.to_vec()));
        Self { body: Box::pin(body), parser: Parser::default(), waiting: VecDeque::new(), seen: Vec::new() }
    }

    /// The frames that were read.
    pub fn seen(&self) -> &[Frame] {
        &self.seen
    }

    /// The highest id that was read.
    pub fn last_id(&self) -> Option<u64> {
        self.seen.iter().filter_map(|frame| frame.id).max()
    }

    /// The next frame; none when the server ends the stream.
    pub async fn next(&mut self) -> Result<Option<Frame>> {
        loop {
            if let Some(frame) = self.waiting.pop_front() {
                self.check_order(&frame)?;
                self.seen.push(frame.clone());
                return Ok(Some(frame));
            }
            match self.body.next().await {
                None => return Ok(None),
                Some(chunk) => {
                    self.waiting.extend(self.parser.push(&chunk.context("the stream broke off")?)?);
                }
            }
        }
    }

    /// Reads on until a frame satisfies `wanted`.
    pub async fn wait_for(
        &mut self,
        what: &str,
        limit: Duration,
        wanted: impl Fn(&Frame) -> bool,
    ) -> Result<Frame> {
        let found = wait::within(what, limit, async {
            loop {
                match self.next().await? {
                    None => bail!("the server ended the stream"),
                    Some(frame) if wanted(&frame) => return Ok(frame),
                    Some(_) => {}
                }
            }
        })
        .await;
        found.with_context(|| format!("events so far: {}", self.kinds().join(" ")))
    }

    /// The kinds that were read, in order.
    pub fn kinds(&self) -> Vec<&str> {
        self.seen.iter().map(|frame| frame.kind.as_str()).collect()
    }

    /// Ids only grow within a stream.
    fn check_order(&self, frame: &Frame) -> Result<()> {
        match (frame.id, self.last_id()) {
            (Some(id), Some(last)) if id <= last => bail!("event {id} came after {last}: {}", frame.data),
            _ => Ok(()),
        }
    }
}

/// The line grammar of event streams.
#[derive(Debug, Default)]
struct Parser {
    rest: Vec<u8>,
    id: Option<u64>,
    kind: String,
    data: Vec<String>,
}

impl Parser {
    fn push(&mut self, bytes: &[u8]) -> Result<Vec<Frame>> {
        self.rest.extend_from_slice(bytes);
        let mut frames = Vec::new();
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            let line = String::from_utf8(line).context("a line that is not UTF-8")?;
            frames.extend(self.line(line.trim_end_matches(['\r', '\n']))?);
        }
        Ok(frames)
    }

    fn line(&mut self, line: &str) -> Result<Option<Frame>> {
        if line.is_empty() {
            return self.finish();
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "id" => {
                self.id = Some(value.parse().with_context(|| format!("an id that is no number: {value}"))?);
            }
            "event" => value.clone_into(&mut self.kind),
            "data" => self.data.push(value.to_owned()),
            _ => {}
        }
        Ok(None)
    }

    fn finish(&mut self) -> Result<Option<Frame>> {
        let id = self.id.take();
        let kind = std::mem::take(&mut self.kind);
        let data = std::mem::take(&mut self.data);
        if data.is_empty() {
            return Ok(None);
        }
        let data = serde_json::from_str(&data.join("\n")).context("event data that is no JSON")?;
        Ok(Some(Frame { id, kind, data }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_over_any_cut() {
        let text = b": hello\nretry: 5000\n\nid: 7\nevent: progress\ndata: {\"a\":1}\n\nid: 8\n\n: x\n\nevent: gap\ndata: {}\n\n";
        for cut in 0..text.len() {
            let mut parser = Parser::default();
            let mut frames = parser.push(&text[..cut]).unwrap();
            frames.extend(parser.push(&text[cut..]).unwrap());
            let got: Vec<_> = frames.iter().map(|frame| (frame.id, frame.kind.as_str())).collect();
            assert_eq!(got, [(Some(7), "progress"), (None, "gap")], "cut at {cut}");
        }
    }
}
