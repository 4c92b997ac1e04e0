//! `revaer tail`: events as they happen, over reconnects and restarts, none printed twice.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use revaer_api_models::{EventKind, StateKind};
use tokio::{
    signal::unix::{Signal as OsSignal, SignalKind, signal},
    time::{Instant, sleep_until},
};
use uuid::Uuid;

use super::event_line;
use crate::{
    context::Context,
    error::CliError,
    resume_file::ResumeFile,
    screen::{Screen, flush, write},
    stream::{Signal, Subscription},
    values::torrent_id,
};

/// Flags of `tail`.
#[derive(Debug, Args)]
pub(crate) struct TailArgs {
    /// Only events of these torrents (and of the server itself)
    #[arg(long, value_name = "UUID,…", value_delimiter = ',', value_parser = torrent_id)]
    torrent: Vec<Uuid>,
    /// Only events of these kinds
    #[arg(long, value_name = "KIND,…", value_delimiter = ',')]
    event: Vec<EventKind>,
    /// Of events that carry a state, only those with one of these
    #[arg(long, value_name = "STATE,…", value_delimiter = ',')]
    state: Vec<StateKind>,
    /// File that keeps the last event's id, to go on from there the next time
    #[arg(long, value_name = "FILE")]
    resume_file: Option<PathBuf>,
    /// Seconds before the first reconnect; grows to a minute, and the server may name another
    #[arg(long, value_name = "SECS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=60))]
    retry_secs: u64,
}

impl TailArgs {
    fn query(&self) -> Vec<(&'static str, String)> {
        fn join(values: &[impl ToString]) -> String {
            values.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
        }
        [("torrent", join(&self.torrent)), ("event", join(&self.event)), ("state", join(&self.state))]
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .collect()
    }
}

/// Prints events until it is told to stop, or until the server refuses for good.
pub(crate) async fn run(args: &TailArgs, context: &Context) -> Result<(), CliError> {
    let mut resume = args.resume_file.clone().map(ResumeFile::open).transpose()?;
    let last_id = resume.as_ref().and_then(ResumeFile::last_id);
    let retry = Duration::from_secs(args.retry_secs);
    let mut events =
        Subscription::open(&context.client, context.screen, args.query(), last_id, retry).await?;
    let mut stop = Stop::new()?;
    let outcome = print_all(&mut events, resume.as_mut(), &mut stop, context.screen).await;
    if let Some(resume) = &mut resume {
        resume.store().await?;
    }
    outcome
}

async fn print_all(
    events: &mut Subscription<'_>,
    mut resume: Option<&mut ResumeFile>,
    stop: &mut Stop,
    screen: Screen,
) -> Result<(), CliError> {
    // Whether something was printed that a crash must not print again.
    let mut counts = false;
    loop {
        let due = resume.as_ref().and_then(|resume| resume.due());
        let received = tokio::select! {
            biased;
            () = stop.wait() => return Ok(()),
            () = wait_for(due) => None,
            received = events.next() => Some(received?),
        };
        let overdue = received.is_none();
        if let Some(seen) = received.map(|received| print(&received, screen)).transpose()?.flatten()
            && let Some(resume) = resume.as_deref_mut()
        {
            resume.advance(seen.id);
            counts |= seen.counts;
        }
        if events.has_more() && !overdue {
            continue;
        }
        // Printed first, noted after: what a crash in between repeats was at least never lost.
        flush()?;
        if let Some(resume) = resume.as_deref_mut()
            && (overdue || std::mem::take(&mut counts))
            && let Err(error) = resume.store().await
        {
            screen.notice(&format!("warning: {error}; the next try follows within a second"));
        }
    }
}

/// A position that was dealt with.
struct Seen {
    id: u64,
    /// Whether repeating it after a crash would be noticed.
    counts: bool,
}

fn print(signal: &Signal, screen: Screen) -> Result<Option<Seen>, CliError> {
    match signal {
        Signal::Event(message) => {
            if screen.is_json() {
                write(&message.data.replace('\n', " "))?;
            } else {
                write(&event_line::render(message))?;
            }
            Ok(Some(Seen { id: message.id, counts: message.kind != EventKind::Progress.as_str() }))
        }
        Signal::Gap { id, gap } => {
            screen.notice(&format!(
                "gap: what happened between event {} and {} is not known any more; list the torrents anew",
                gap.requested, gap.oldest
            ));
            if screen.is_json() {
                let line = serde_json::json!({"id": id, "gap": gap});
                write(&line.to_string())?;
            }
            Ok(Some(Seen { id: *id, counts: true }))
        }
        Signal::Moved(id) => Ok(Some(Seen { id: *id, counts: false })),
        Signal::Reconnected => {
            screen.notice("stream open again");
            Ok(None)
        }
    }
}

async fn wait_for(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// The wish to stop: Ctrl-C or SIGTERM.
struct Stop {
    interrupt: OsSignal,
    terminate: OsSignal,
}

impl Stop {
    fn new() -> Result<Self, CliError> {
        let listen = |kind| signal(kind).map_err(|error| CliError::Host(format!("no signals: {error}")));
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
