//! `revaer status --follow`: one torrent until it has arrived.
//!
//! Events say that something changed; what it changed to is read anew, so that no missed event can hang it.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use revaer_api_models::{Event, EventEnvelope, FsopsStatus, StateKind, TorrentDetail};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::status;
use crate::{
    client::Answer,
    context::Context,
    error::CliError,
    screen::Screen,
    stream::{Message, Signal, Subscription},
    text::{percent, percent_of, printable, rate, size, span},
};

/// The torrent is read at least this often, whatever the stream says.
const RELOAD: Duration = Duration::from_secs(15);
/// How long a complete torrent may be without a library job before none is expected.
const SETTLE: Duration = Duration::from_secs(2);
/// First wait before the stream is opened again, until the server names another.
const RETRY: Duration = Duration::from_secs(5);

/// What a detail says about the end.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// It is under way.
    Going,
    /// It is complete, and no library job is known.
    NoJob,
    /// It has arrived.
    Arrived,
    /// It never will.
    Failed(&'static str, String),
}

/// Follows the torrent, then prints its details.
pub(super) async fn run(id: Uuid, context: &Context) -> Result<(), CliError> {
    let client = &context.client;
    // First the stream, then the state: what happens in between is on the stream.
    let query = vec![("torrent", id.to_string())];
    let mut events = Subscription::open(client, context.screen, query, None, RETRY).await?;
    let mut view = View::new(context.screen);
    let mut answer = status::read(id, client).await?;
    let mut was_settling = false;
    loop {
        let detail: TorrentDetail = answer.read()?;
        view.show(&Shown::of(&detail))?;
        let wait = match verdict(&detail) {
            Verdict::Going => RELOAD,
            Verdict::NoJob if !was_settling => SETTLE,
            Verdict::NoJob | Verdict::Arrived => {
                view.close();
                return status::print(&answer, context.screen);
            }
            Verdict::Failed(title, detail) => {
                view.close();
                status::print(&answer, context.screen)?;
                return Err(CliError::Unwell { title, detail });
            }
        };
        let quiet = wait_for_change(id, &mut events, &mut view, &detail, Instant::now() + wait).await?;
        let newer = read_again(id, context).await?;
        was_settling = newer.is_some() && quiet && wait == SETTLE;
        answer = newer.unwrap_or(answer);
    }
}

/// Waits until the torrent should be read again; true when nothing happened until then.
async fn wait_for_change(
    id: Uuid,
    events: &mut Subscription<'_>,
    view: &mut View,
    detail: &TorrentDetail,
    until: Instant,
) -> Result<bool, CliError> {
    let mut shown = Shown::of(detail);
    let mut changed = false;
    while !changed || events.has_more() {
        let Ok(signal) = timeout_at(until, events.next()).await else { return Ok(!changed) };
        match signal? {
            Signal::Event(message) => match event_of(&message) {
                Some(Event::Progress {
                    torrent_id,
                    bytes_downloaded,
                    bytes_total,
                    download_bps,
                    upload_bps,
                    eta_seconds,
                }) if torrent_id == id => {
                    shown.advance(bytes_downloaded, bytes_total);
                    shown.rates = (download_bps, upload_bps);
                    shown.eta = eta_seconds;
                    view.show(&shown)?;
                }
                Some(Event::FsopsProgress { torrent_id, step, bytes_done, bytes_total })
                    if torrent_id == id =>
                {
                    shown.job = Some(format!("{step} {}", percent(percent_of(bytes_done, bytes_total))));
                    view.show(&shown)?;
                }
                Some(Event::TorrentRemoved { torrent_id, .. }) if torrent_id == id => {
                    view.close();
                    let detail = format!("{id} is gone; see `revaer tail` for what removes torrents");
                    return Err(CliError::Unwell { title: "torrent removed", detail });
                }
                Some(event) => changed |= event.torrent_id() == Some(id),
                None => changed = true,
            },
            Signal::Gap { .. } | Signal::Reconnected => changed = true,
            Signal::Moved(_) => {}
        }
    }
    Ok(false)
}

fn event_of(message: &Message) -> Option<Event> {
    serde_json::from_str::<EventEnvelope>(&message.data).ok().map(|envelope| envelope.event)
}

/// Reads the torrent; nothing when the server is away for now, which the stream tells about.
async fn read_again(id: Uuid, context: &Context) -> Result<Option<Answer>, CliError> {
    match status::read(id, &context.client).await {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.may_pass() => Ok(None),
        Err(error) => Err(error),
    }
}

fn verdict(detail: &TorrentDetail) -> Verdict {
    let torrent = &detail.summary;
    if torrent.state.kind == StateKind::Failed {
        let reason = torrent.state.failure_message.clone();
        return Verdict::Failed("torrent failed", reason.unwrap_or_else(|| "no reason given".to_owned()));
    }
    let present = match torrent.state.kind {
        StateKind::Seeding | StateKind::Completed => true,
        StateKind::Stopped => {
            torrent.progress.bytes_total > 0
                && torrent.progress.bytes_downloaded >= torrent.progress.bytes_total
        }
        StateKind::Failed
        | StateKind::Checking
        | StateKind::FetchingMetadata
        | StateKind::Queued
        | StateKind::Downloading => false,
    };
    if !present {
        return Verdict::Going;
    }
    let Some(fsops) = &detail.fsops else { return Verdict::NoJob };
    match fsops.status {
        FsopsStatus::Completed => Verdict::Arrived,
        FsopsStatus::Queued | FsopsStatus::Waiting | FsopsStatus::Running => Verdict::Going,
        FsopsStatus::Failed | FsopsStatus::Canceled => {
            let reason = fsops.message.clone().unwrap_or_else(|| format!("it was {}", fsops.status.as_str()));
            Verdict::Failed("library job failed", reason)
        }
    }
}

/// What is shown of a torrent under way.
#[derive(Debug, Clone)]
struct Shown {
    state: StateKind,
    progress: (u64, u64),
    /// The server's word at first: of what is not known yet, as of what is empty, both numbers are 0.
    percent: f64,
    rates: (u64, u64),
    eta: Option<u64>,
    job: Option<String>,
}

impl Shown {
    fn of(detail: &TorrentDetail) -> Self {
        let torrent = &detail.summary;
        let job = detail.fsops.as_ref().map(|fsops| match &fsops.message {
            Some(message) => format!("{}: {message}", fsops.status.as_str()),
            None => fsops.status.as_str().to_owned(),
        });
        Self {
            state: torrent.state.kind,
            progress: (torrent.progress.bytes_downloaded, torrent.progress.bytes_total),
            percent: torrent.progress.percent_complete,
            rates: (torrent.rates.download_bps, torrent.rates.upload_bps),
            eta: torrent.progress.eta_seconds,
            job,
        }
    }

    fn advance(&mut self, done: u64, total: u64) {
        self.progress = (done, total);
        self.percent = percent_of(done, total);
    }

    fn words(&self) -> String {
        let mut words = format!("{} {} down {} up", self.state, rate(self.rates.0), rate(self.rates.1));
        if let Some(eta) = self.eta {
            words.extend([" eta ", &span(eta)]);
        }
        if let Some(job) = &self.job {
            words.extend([" fsops ", &printable(job)]);
        }
        words
    }

    fn line(&self) -> String {
        let (done, total) = self.progress;
        format!("{} ({} of {}) {}", percent(self.percent), size(done), size(total), self.words())
    }

    /// A line is printed only when this changes.
    fn essence(&self) -> (StateKind, String, Option<String>) {
        (self.state, format!("{:.0}", self.percent.floor()), self.job.clone())
    }
}

/// Where progress is shown.
enum View {
    Bar(ProgressBar),
    Lines(Screen, Option<(StateKind, String, Option<String>)>),
    Nowhere,
}

impl View {
    fn new(screen: Screen) -> Self {
        if screen.can_draw() {
            let bar = ProgressBar::new(0);
            if let Ok(style) = ProgressStyle::with_template(
                "{bar:30} {percent:>3}% {binary_bytes}/{binary_total_bytes} {msg}",
            ) {
                bar.set_style(style);
            }
            Self::Bar(bar)
        } else if screen.is_json() || screen.is_quiet() {
            Self::Nowhere
        } else {
            Self::Lines(screen, None)
        }
    }

    fn show(&mut self, shown: &Shown) -> Result<(), CliError> {
        match self {
            Self::Bar(bar) => {
                bar.set_length(shown.progress.1);
                bar.set_position(shown.progress.0);
                bar.set_message(shown.words());
                Ok(())
            }
            Self::Lines(screen, last) => {
                let essence = shown.essence();
                if last.as_ref() == Some(&essence) {
                    return Ok(());
                }
                *last = Some(essence);
                screen.result(&shown.line())
            }
            Self::Nowhere => Ok(()),
        }
    }

    fn close(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests;
