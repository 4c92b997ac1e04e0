//! A parser of `text/event-stream` bytes (WHATWG HTML, section 9.2.6), fed piece by piece. Pure: no IO, no clock.
//!
//! Beyond the standard it reports what moves the position without an event (a keep-alive's `id:` line) and
//! comments, since the server says in a last comment why it cuts a stream.

use std::collections::VecDeque;

/// One thing that the stream said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    /// An event with data.
    Event(Frame),
    /// The position moved without an event.
    Position(String),
    /// How many milliseconds to wait before a reconnect.
    Retry(u64),
    /// A comment's text.
    Comment(String),
}

/// An event as it was framed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    /// The position, if this frame named one.
    pub(crate) id: Option<String>,
    /// The `event:` line; `message` if there was none.
    pub(crate) event: String,
    /// The `data:` lines, joined.
    pub(crate) data: String,
}

/// One frame was longer than the parser is willing to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event of more than {limit} bytes")]
pub(crate) struct TooLong {
    limit: usize,
}

/// The state between two pieces of input. It never holds more than one frame of `limit` bytes, plus the
/// items of the piece fed last.
#[derive(Debug)]
pub(crate) struct Parser {
    limit: usize,
    line: Vec<u8>,
    after_cr: bool,
    first_line: bool,
    id: Option<String>,
    event: String,
    data: Option<String>,
    items: VecDeque<Item>,
}

impl Parser {
    /// A parser that holds at most `limit` bytes of one frame.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            line: Vec::new(),
            after_cr: false,
            first_line: true,
            id: None,
            event: String::new(),
            data: None,
            items: VecDeque::new(),
        }
    }

    /// The next thing said, if the bytes fed so far complete one.
    pub(crate) fn next(&mut self) -> Option<Item> {
        self.items.pop_front()
    }

    /// Takes the next bytes of the stream, cut anywhere.
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) -> Result<(), TooLong> {
        if self.after_cr && !bytes.is_empty() {
            self.after_cr = false;
            bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
        }
        while let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            self.hold(&bytes[..end])?;
            let line = std::mem::take(&mut self.line);
            self.take_line(&line);
            let rest = &bytes[end + 1..];
            bytes = match (bytes[end], rest.first()) {
                (b'\r', Some(b'\n')) => &rest[1..],
                (b'\r', None) => {
                    self.after_cr = true;
                    rest
                }
                _ => rest,
            };
        }
        self.hold(bytes)
    }

    fn hold(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        let held = self.line.len() + self.data.as_ref().map_or(0, String::len);
        if held + bytes.len() > self.limit {
            return Err(TooLong { limit: self.limit });
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn take_line(&mut self, line: &[u8]) {
        let mut line = String::from_utf8_lossy(line);
        if std::mem::take(&mut self.first_line)
            && let Some(rest) = line.strip_prefix('\u{feff}')
        {
            line = rest.to_owned().into();
        }
        if line.is_empty() {
            return self.dispatch();
        }
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "" => self.items.push_back(Item::Comment(value.to_owned())),
            "event" => value.clone_into(&mut self.event),
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            },
            "id" if !value.contains('\0') => self.id = Some(value.to_owned()),
            "retry" if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) => {
                self.items.extend(value.parse().ok().map(Item::Retry));
            }
            _ => {}
        }
    }

    fn dispatch(&mut self) {
        let (id, event, data) = (self.id.take(), std::mem::take(&mut self.event), self.data.take());
        match (data, id) {
            (Some(data), id) => {
                let event = if event.is_empty() { "message".to_owned() } else { event };
                self.items.push_back(Item::Event(Frame { id, event, data }));
            }
            (None, Some(id)) => self.items.push_back(Item::Position(id)),
            (None, None) => {}
        }
    }
}

#[cfg(test)]
mod tests;
