//! `SessionWorker`: the one thread that owns the libtorrent session. It sleeps on an eventfd that alerts, commands
//! and answers of the resume store write, works on what is there, and sleeps again. It makes asynchronous calls
//! only; every command is answered when libtorrent or the store has said that it is in effect.

mod adding;
mod alerts;
mod commands;
mod core;
mod leave;
mod listen;
mod member;
mod responses;
mod saver;
mod saving;
mod timers;

#[cfg(test)]
mod tests;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use revaer_telemetry::{Component, Health};
use revaer_torrent_core::engine::{EngineCommand, EngineError, EngineProfile};
use tokio::sync::mpsc::{Receiver, error::TryRecvError};

use crate::{
    board::Board,
    mailbox::{Message, Reply, answer},
    resume::Store,
    session::OpenSession,
    settings::settings,
    wake::Wake,
    worker::{core::Core, listen::Listen},
};

/// Messages taken in one turn, so that alerts are never far behind commands.
const MESSAGES_PER_TURN: usize = 256;
/// How long the thread sleeps when no timer is due.
const LONGEST_SLEEP: Duration = Duration::from_hours(1);

/// What the worker shares with the rest.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    pub(crate) wake: Arc<Wake>,
    pub(crate) board: Arc<Board>,
    pub(crate) health: Health,
}

/// The worker. [`SessionWorker::run`] is the body of its thread.
pub(crate) struct SessionWorker<O: OpenSession> {
    opener: O,
    shared: Shared,
    mailbox: Receiver<Message>,
    store: Option<Store>,
    core: Option<Core<O::Session>>,
}

/// Whether the thread goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    GoOn,
    End,
}

impl<O: OpenSession> SessionWorker<O> {
    pub(crate) fn new(opener: O, shared: Shared, mailbox: Receiver<Message>, store: Store) -> Self {
        Self { opener, shared, mailbox, store: Some(store), core: None }
    }

    /// Works until a shutdown is complete, or until nobody can send any more: then the session ends as it is,
    /// as in a crash.
    pub(crate) fn run(mut self) {
        loop {
            if self.turn() == Turn::End {
                break;
            }
            let now = Instant::now();
            let sleep = self.core.as_ref().map_or(LONGEST_SLEEP, |core| core.sleep(now));
            if !sleep.is_zero() {
                self.shared.wake.wait(sleep);
            }
        }
        self.core = None;
        self.show_end();
    }

    fn show_end(&self) {
        self.shared.board.set_status(|status| {
            status.running = false;
            status.listen_port = None;
        });
    }

    fn turn(&mut self) -> Turn {
        let now = Instant::now();
        if let Some(core) = &mut self.core {
            core.take_alerts(now);
            core.take_responses(now);
        }
        for _ in 0..MESSAGES_PER_TURN {
            if self.core.as_ref().is_some_and(Core::is_full) {
                break;
            }
            match self.mailbox.try_recv() {
                Ok(message) => self.on_message(message, now),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return Turn::End,
            }
        }
        let Some(core) = &mut self.core else { return Turn::GoOn };
        core.on_timers(now);
        core.publish(now);
        match core.take_stopped() {
            None => Turn::GoOn,
            Some(Stopped { reply, outcome, late: false }) => {
                // The session ends before the answer: nothing of it is left when the caller goes on.
                self.core = None;
                self.show_end();
                answer(reply, outcome);
                Turn::End
            }
            Some(Stopped { reply, outcome, late: true }) => {
                // What held up the saves may hold up the end as well: nobody waits for it.
                self.show_end();
                answer(reply, outcome);
                self.refuse_the_rest();
                self.core = None;
                Turn::End
            }
        }
    }

    fn refuse_the_rest(&mut self) {
        self.mailbox.close();
        while let Ok(message) = self.mailbox.try_recv() {
            answer(message.reply, Err(EngineError::NotRunning));
        }
    }

    fn on_message(&mut self, message: Message, now: Instant) {
        let Message { command, reply } = message;
        match (command, &mut self.core) {
            (EngineCommand::Configure(profile), None) => {
                let outcome = self.start(*profile, now);
                answer(reply, outcome);
            }
            // There is nothing to save and nothing to end, but nothing may start after it either.
            (EngineCommand::Shutdown, None) => {
                self.mailbox.close();
                answer(reply, Ok(()));
            }
            (_, None) => answer(reply, Err(EngineError::NotRunning)),
            (command, Some(core)) => core.on_command(command, reply, now),
        }
    }

    /// Starts the session with its whole profile.
    fn start(&mut self, profile: EngineProfile, now: Instant) -> Result<(), EngineError> {
        let listen = Listen::new(profile.listen_port);
        let capped = core::is_capped(&profile.limits);
        let opened = self.opener.open(&settings(&profile, listen.port(), capped), &self.shared.wake);
        let session = opened.map_err(|error| {
            self.shared.health.degrade(Component::Engine, format!("the session did not start: {error}"));
            EngineError::Setup(error.to_string())
        })?;
        let store = self.store.take().ok_or(EngineError::NotRunning)?;
        let mut core = Core::new(self.shared.clone(), session, store, listen, now);
        core.begin(profile, now)?;
        self.core = Some(core);
        self.shared.board.set_status(|status| status.running = true);
        Ok(())
    }
}

/// A shutdown in progress.
#[derive(Debug)]
struct Stopping {
    reply: Reply,
    since: Instant,
    failure: Option<String>,
    mark_asked: bool,
    /// It was given up.
    late: bool,
    /// The store has answered the last request: the session may end.
    done: bool,
}

/// A shutdown that has ended.
#[derive(Debug)]
struct Stopped {
    reply: Reply,
    outcome: Result<(), EngineError>,
    /// Something is still under way, and may never end.
    late: bool,
}
