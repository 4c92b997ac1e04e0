//! `GET /v1/events`: replay, then live, until the client, the key or the server ends it.
//!
//! A stream is a position in the log and nothing more: what its client does not take stays in the log. A client
//! that takes nothing is cut by its connection; one that memory has gone past loses `progress`, or is cut where the
//! settings do not want any to be lost.

use std::{convert::Infallible, time::Duration};

use axum::{
    Extension,
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderValue, header},
    response::Response,
};
use futures_util::stream::unfold;
use revaer_config::ConfigService;
use revaer_events::{Item, Subscription};
use revaer_telemetry::Metrics;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use crate::{
    events::{asked::Asked, frame, gate::Gate},
    http::{key::Caller, problem::Reject},
    ports::App,
    server::{Closing, Stalled},
};

const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// The last word to a client that may not lose `progress`, and is about to.
const TOO_SLOW: &str =
    "this client is too slow, and app_profile.features.sse_backpressure is off; come back with last-event-id";
/// Between two tries to read the log while the database is away.
const RETRY: Duration = Duration::from_secs(1);

/// Streams what happens. The header `last-event-id` resumes after an event; `event: gap` says that events are
/// missing and the client has to list again.
#[utoipa::path(
    get, path = "/v1/events", tag = "events", operation_id = "stream_events",
    security(("api_key" = []), ("bearer" = [])),
    params(
        ("torrent" = Option<String>, Query, description = "Comma list: events of these torrents"),
        ("event" = Option<String>, Query, description = "Comma list: events of these kinds"),
        ("state" = Option<String>, Query, description = "Comma list: of events that carry a state, these"),
        ("last-event-id" = Option<u64>, Header, description = "Resume after this event; else from now on"),
    ),
    responses(
        (status = 200, description = "Frames whose data is an EventEnvelope",
         body = revaer_api_models::EventEnvelope, content_type = "text/event-stream"),
        (status = "default", description = "Not done", body = revaer_api_models::Problem,
         content_type = "application/problem+json"),
    )
)]
pub(crate) async fn stream(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Reject> {
    let asked = Asked::read(request.uri(), request.headers())?;
    // Behind a listener the connection says when it closes; without one the whole server does.
    let closing = request.extensions().get::<Closing>().cloned();
    let reader = Reader {
        subscription: app.events.subscribe(asked.after, asked.filter),
        gate: Gate::new(app.clone(), caller),
        closing: closing.unwrap_or_else(|| Closing::of(app.tasks.token())),
        keep_alive: keep_alive(),
        phase: Phase::Begin,
        config: app.config.clone(),
        open: Open::new(app.metrics.clone(), request.extensions().get::<Stalled>().cloned()),
    };
    let frames = unfold(reader, |mut reader| async move {
        let frame = reader.next().await?;
        Some((Ok::<Bytes, Infallible>(frame), reader))
    });
    let mut response = Response::new(Body::from_stream(frames));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Proxies that buffer would hold events back.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

fn keep_alive() -> Interval {
    let mut interval = interval_at(Instant::now() + KEEP_ALIVE, KEEP_ALIVE);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Begin,
    Open,
    Ended,
}

/// One subscriber.
struct Reader {
    subscription: Subscription,
    gate: Gate,
    closing: Closing,
    keep_alive: Interval,
    phase: Phase,
    config: ConfigService,
    open: Open,
}

impl Reader {
    /// The next frame; `None` when the stream is over.
    async fn next(&mut self) -> Option<Bytes> {
        match self.phase {
            Phase::Ended => return None,
            Phase::Begin => {
                self.phase = Phase::Open;
                return Some(frame::retry());
            }
            Phase::Open => {}
        }
        loop {
            tokio::select! {
                biased;
                () = self.closing.cancelled() => {
                    let reason = self.closing.reason();
                    return Some(self.end(&reason));
                }
                reason = self.gate.closed() => return Some(self.end(&reason)),
                _ = self.keep_alive.tick() => return Some(frame::keep_alive(self.subscription.position())),
                next = self.subscription.next() => match next {
                    Ok(Item::Overtaken) if !self.config.snapshot().app.features.sse_backpressure => {
                        self.open.cut = true;
                        return Some(self.end(TOO_SLOW));
                    }
                    Ok(item) => if let Some(frame) = frame::item(&item) {
                        return Some(frame);
                    },
                    Err(error) => {
                        tracing::debug!(%error, "a subscriber waits for the event log");
                        // Its position is kept: it goes on where it was.
                        tokio::select! {
                            () = self.closing.cancelled() => {}
                            reason = self.gate.closed() => return Some(self.end(&reason)),
                            () = tokio::time::sleep(RETRY) => {}
                        }
                    }
                },
            }
        }
    }

    fn end(&mut self, reason: &str) -> Bytes {
        self.phase = Phase::Ended;
        frame::comment(reason)
    }
}

/// Counts the stream while it is open.
struct Open {
    metrics: Metrics,
    stalled: Option<Stalled>,
    /// It was ended because its client was too slow.
    cut: bool,
}

impl Open {
    fn new(metrics: Metrics, stalled: Option<Stalled>) -> Self {
        metrics.sse_subscribers_changed(1);
        Self { metrics, stalled, cut: false }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.metrics.sse_subscribers_changed(-1);
        if self.cut || self.stalled.as_ref().is_some_and(Stalled::is_stalled) {
            self.metrics.sse_dropped();
        }
    }
}
