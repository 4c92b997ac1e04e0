//! One thread of the store: it works on what it is handed, in order, and wakes the session's owner with each answer.

use std::{
    io,
    sync::{
        Arc,
        mpsc::{SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
};

use super::{Response, troubles::Troubles};
use crate::wake::Wake;

/// More than the owner ever has in flight: 512 loads, one round, and what commands ask for, one by one.
pub(super) const QUEUE: usize = 4096;

/// Where a lane's answers go.
#[derive(Debug, Clone)]
pub(super) struct Outlet {
    pub(super) responses: SyncSender<Response>,
    pub(super) wake: Arc<Wake>,
    pub(super) troubles: Arc<Troubles>,
}

/// The owner's end of a lane. Dropping it ends the thread after what it has, and waits for that.
#[derive(Debug)]
pub(super) struct Lane<T> {
    inbox: Option<SyncSender<T>>,
    thread: Option<JoinHandle<()>>,
}

impl<T: Send + 'static> Lane<T> {
    pub(super) fn start(
        name: &'static str,
        outlet: Outlet,
        mut work: impl FnMut(T) -> Response + Send + 'static,
    ) -> io::Result<Self> {
        let (inbox, handed) = sync_channel(QUEUE);
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let _watch = Watch { name, troubles: Arc::clone(&outlet.troubles) };
            while let Ok(one) = handed.recv() {
                let response = work(one);
                // Without an owner what was asked for is still done.
                if outlet.responses.send(response).is_ok() {
                    outlet.wake.signal();
                }
            }
        })?;
        Ok(Self { inbox: Some(inbox), thread: Some(thread) })
    }

    /// Hands something over. Refused only if the thread has died or the queue is full, which is a defect.
    pub(super) fn hand(&self, one: T) -> Result<(), (T, &'static str)> {
        let Some(inbox) = &self.inbox else { return Err((one, "it has ended")) };
        inbox.try_send(one).map_err(|refused| match refused {
            TrySendError::Full(one) => (one, "its queue is full"),
            TrySendError::Disconnected(one) => (one, "its thread has died"),
        })
    }
}

impl<T> Drop for Lane<T> {
    fn drop(&mut self) {
        drop(self.inbox.take());
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("a thread of the resume store panicked");
        }
    }
}

/// Says when the thread panics: what it had will never be answered.
struct Watch {
    name: &'static str,
    troubles: Arc<Troubles>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.troubles.died(format!(
                "the thread {} panicked; the log has the message; restart the server",
                self.name
            ));
        }
    }
}
