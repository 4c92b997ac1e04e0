//! The server's event stream as one sequence: reconnects, repeats nothing, and says when something is missing.

use std::{collections::VecDeque, time::Duration};

use reqwest::{Method, Response, header};
use revaer_api_models::{GAP_EVENT, Gap};
use tokio::time::{Instant, sleep_until, timeout};

use crate::{
    backoff::Backoff,
    client::{Auth, Client},
    error::CliError,
    screen::Screen,
    sse::{Frame, Item, Parser},
    text::printable,
};

/// The server sends something every 20 s; after this long the connection is taken for dead.
const SILENCE: Duration = Duration::from_secs(65);
/// A torrent with some hundred thousand files fits into one event.
const MAX_FRAME_BYTES: usize = 64 << 20;

/// What the stream said.
#[derive(Debug)]
pub(crate) enum Signal {
    /// Something happened.
    Event(Message),
    /// What happened between the two ids is not known any more, up to the position given.
    Gap {
        /// Where the stream goes on from.
        id: u64,
        /// What was asked for and what there is.
        gap: Gap,
    },
    /// Nothing happened up to this id.
    Moved(u64),
    /// The stream was opened again.
    Reconnected,
}

/// An event as it came.
#[derive(Debug)]
pub(crate) struct Message {
    /// Its id.
    pub(crate) id: u64,
    /// The `event:` line.
    pub(crate) kind: String,
    /// The JSON.
    pub(crate) data: String,
}

/// A subscription that outlives connections.
#[derive(Debug)]
pub(crate) struct Subscription<'a> {
    client: &'a Client,
    screen: Screen,
    query: Vec<(&'static str, String)>,
    last_id: Option<u64>,
    backoff: Backoff,
    connection: Option<Connection>,
    ready: VecDeque<Signal>,
    wait_until: Option<Instant>,
}

#[derive(Debug)]
struct Connection {
    response: Response,
    parser: Parser,
    last_comment: Option<String>,
}

impl<'a> Subscription<'a> {
    /// Opens the stream after `last_id`, or from now. Only this first time a failure to connect is final.
    pub(crate) async fn open(
        client: &'a Client,
        screen: Screen,
        query: Vec<(&'static str, String)>,
        last_id: Option<u64>,
        retry: Duration,
    ) -> Result<Self, CliError> {
        let mut subscription = Self {
            client,
            screen,
            query,
            last_id,
            backoff: Backoff::new(retry),
            connection: None,
            ready: VecDeque::new(),
            wait_until: None,
        };
        subscription.connect().await?;
        Ok(subscription)
    }

    /// Whether the next signal is there already.
    pub(crate) fn has_more(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The next signal, however many connections it takes. Cancel-safe: what was received is kept.
    pub(crate) async fn next(&mut self) -> Result<Signal, CliError> {
        loop {
            if let Some(signal) = self.ready.pop_front() {
                return Ok(signal);
            }
            if self.connection.is_none() {
                self.reconnect().await?;
                continue;
            }
            if let Some(reason) = self.receive().await? {
                let said = self.connection.take().and_then(|connection| connection.last_comment);
                let reason = said.map_or(reason, |said| format!("the server said: {}", printable(&said)));
                self.lost(&reason, Duration::ZERO)?;
            }
        }
    }

    /// Reads one piece; the reason when the connection is over.
    async fn receive(&mut self) -> Result<Option<String>, CliError> {
        let Some(connection) = &mut self.connection else { return Ok(None) };
        let chunk = match timeout(SILENCE, connection.response.chunk()).await {
            Err(_) => return Ok(Some(format!("nothing heard for {} s", SILENCE.as_secs()))),
            Ok(Err(error)) => return Ok(Some(crate::client::innermost(&error))),
            Ok(Ok(None)) => return Ok(Some("the server closed the stream".to_owned())),
            Ok(Ok(Some(chunk))) => chunk,
        };
        connection.parser.feed(&chunk).map_err(|error| self.client.not_understood(error.to_string()))?;
        while let Some(item) = connection.parser.next() {
            match item {
                Item::Comment(text) => connection.last_comment = Some(text),
                Item::Retry(milliseconds) => self.backoff.set_base(Duration::from_millis(milliseconds)),
                Item::Position(id) => {
                    let id = position(self.client, Some(&id))?;
                    if self.last_id.is_none_or(|last| id > last) {
                        self.last_id = Some(id);
                        self.ready.push_back(Signal::Moved(id));
                    }
                }
                Item::Event(frame) => {
                    self.backoff.succeeded();
                    connection.last_comment = None;
                    if let Some(signal) = accept(self.client, &mut self.last_id, frame)? {
                        self.ready.push_back(signal);
                    }
                }
            }
        }
        Ok(None)
    }

    async fn connect(&mut self) -> Result<(), CliError> {
        let mut request = self
            .client
            .request(Method::GET, "/v1/events", &self.query)
            .header(header::ACCEPT, "text/event-stream")
            .header(header::CACHE_CONTROL, "no-store");
        if let Some(id) = self.last_id {
            request = request.header("last-event-id", id.to_string());
        }
        let response = self.client.open(request, Auth::Key).await?;
        let content_type = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        if !content_type.is_some_and(|value| value.starts_with("text/event-stream")) {
            return Err(self.client.not_understood("it answers with something else than events"));
        }
        let parser = Parser::new(MAX_FRAME_BYTES);
        self.connection = Some(Connection { response, parser, last_comment: None });
        Ok(())
    }

    async fn reconnect(&mut self) -> Result<(), CliError> {
        if let Some(until) = self.wait_until {
            sleep_until(until).await;
        }
        match self.connect().await {
            Ok(()) => {
                self.wait_until = None;
                self.ready.push_back(Signal::Reconnected);
                Ok(())
            }
            Err(error) if error.may_pass() => self.lost(&error.to_string(), error.retry_after()),
            Err(error) => Err(error),
        }
    }

    /// Plans the next try, not before `at_least` is over, and says so.
    fn lost(&mut self, reason: &str, at_least: Duration) -> Result<(), CliError> {
        let mut chance = [0];
        getrandom::fill(&mut chance)
            .map_err(|error| CliError::Host(format!("no random numbers: {error}")))?;
        let wait = self.backoff.next(chance[0]).max(at_least);
        self.screen.notice(&format!(
            "stream lost: {}; next try in {:.1} s",
            printable(reason),
            wait.as_secs_f64()
        ));
        self.wait_until = Some(Instant::now() + wait);
        Ok(())
    }
}

/// Turns a frame into a signal, unless it was seen before.
fn accept(client: &Client, last_id: &mut Option<u64>, frame: Frame) -> Result<Option<Signal>, CliError> {
    let id = position(client, frame.id.as_deref())?;
    if frame.event == GAP_EVENT {
        let gap = serde_json::from_str(&frame.data)
            .map_err(|error| client.not_understood(format!("a gap that cannot be read: {error}")))?;
        // The server's word wins even where it goes back: the position asked for was not one of its own.
        *last_id = Some(id);
        return Ok(Some(Signal::Gap { id, gap }));
    }
    if last_id.is_some_and(|last| id <= last) {
        return Ok(None);
    }
    *last_id = Some(id);
    Ok(Some(Signal::Event(Message { id, kind: frame.event, data: frame.data })))
}

fn position(client: &Client, id: Option<&str>) -> Result<u64, CliError> {
    id.and_then(|id| id.parse().ok()).ok_or_else(|| client.not_understood("an event without a numeric id"))
}
