//! Where the server listens: one listener at a time, which moves when the settings say so.
//!
//! In setup mode it keeps to loopback. An address is taken before the settings that ask for it are stored, so that one
//! that cannot be listened on is refused. Settings that came another way may name one all the same: then the server
//! stays where it listens, or starts on loopback, says so and tries again; it never ends for it. A move lets requests
//! that run on the old address finish.

mod addresses;
mod stuck;

use std::{
    mem,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::Router;
use revaer_api::{Listener, Ports, Server, ServerHandle};
use revaer_config::{ConfigService, ConfigSnapshot, Mode};
use revaer_telemetry::{Component, Guard, OnFailure, Tasks, Telemetry};
use tokio::time::sleep;
use tracing::{error, warn};

use self::{
    addresses::{Addresses, Keeper, overlaps},
    stuck::{AGAIN, Stuck, Whereabouts},
};
use crate::{datadir::DataDir, settings};

/// Requests on the old address may take this long to finish: a little longer than a request may take at all.
const FINISH: Duration = Duration::from_secs(32);
/// The cause of a degraded `config_watcher`.
const URL: &str = "url";

struct Open {
    /// What was asked for: port 0 takes a free one, so this may differ from what is bound.
    wanted: SocketAddr,
    handle: ServerHandle,
    announced: bool,
    /// The file `url` says it.
    written: bool,
}

impl Open {
    fn new(wanted: SocketAddr, handle: ServerHandle) -> Self {
        Self { wanted, handle, announced: false, written: false }
    }
}

/// The listener of this process.
pub(crate) struct Listeners {
    router: Router,
    tasks: Tasks,
    flag: Option<SocketAddr>,
    telemetry: Telemetry,
    addresses: Arc<Addresses>,
    /// Where setup mode does not listen although it is told to.
    held_back: Mutex<Option<SocketAddr>>,
    open: tokio::sync::Mutex<Open>,
}

impl Listeners {
    /// Opens the first listener and says where it is. Fails where an address of the command line cannot be listened on.
    pub(crate) async fn open(
        ports: Ports,
        flag: Option<SocketAddr>,
        data_dir: &DataDir,
    ) -> anyhow::Result<Self> {
        let (tasks, config) = (ports.tasks.clone(), ports.config.clone());
        let telemetry = Telemetry {
            health: ports.health.clone(),
            metrics: ports.metrics.clone(),
            guardrails: ports.guardrails.clone(),
        };
        let addresses = Arc::<Addresses>::default();
        config.set_address_keeper(Arc::new(Keeper::new(Arc::clone(&addresses), flag)));
        let snapshot = config.snapshot();
        let wanted = settings::listen_address(&snapshot, flag);
        let (wanted, listener) = first(&addresses, wanted, flag).await?;
        let router = revaer_api::router(ports);
        let handle = Server::serve(listener, router.clone(), &tasks);
        let open = tokio::sync::Mutex::new(Open::new(wanted, handle));
        let held_back = Mutex::default();
        let listeners = Self { router, tasks, flag, telemetry, addresses, held_back, open };
        listeners.note_held_back(&snapshot);
        listeners.publish(&mut *listeners.open.lock().await, snapshot.app.mode, data_dir);
        Ok(listeners)
    }

    /// Moves the listener whenever the settings do, until the settings end. What cannot be done is tried again.
    /// Cancel-safe: what was begun is ended by [`Self::stop`].
    pub(crate) async fn follow(&self, config: &ConfigService, data_dir: &DataDir) {
        let mut settings = config.subscribe("listener");
        let mut snapshot = config.snapshot();
        let mut again = None;
        let mut failures = Failures::default();
        loop {
            tokio::select! {
                next = settings.changed() => match next {
                    Some(next) => snapshot = next,
                    None => return,
                },
                () = sleep(again.unwrap_or_default()), if again.is_some() => {}
            }
            self.note_held_back(&snapshot);
            let wanted = settings::listen_address(&snapshot, self.flag);
            self.addresses.settle(snapshot.revision, wanted);
            again = match self.move_to(wanted, snapshot.app.mode, data_dir).await {
                Ok(written) => {
                    failures = Failures::default();
                    settings.applied(snapshot.revision);
                    (!written).then_some(AGAIN)
                }
                Err(stuck) => {
                    failures.note(&stuck);
                    settings.failed(snapshot.revision, &stuck.reason);
                    Some(stuck.pause(failures.count))
                }
            };
        }
    }

    /// Says so, once for each address, where setup mode does not listen where it is told to.
    fn note_held_back(&self, snapshot: &ConfigSnapshot) {
        let configured = settings::configured_address(snapshot, self.flag);
        let wanted = settings::listen_address(snapshot, self.flag);
        let mut held_back = self.held_back.lock().unwrap_or_else(PoisonError::into_inner);
        if configured != wanted && held_back.replace(configured) != Some(configured) {
            let reason = format!(
                "the server is not set up, so it listens on {wanted} and not on {configured}; complete setup on this host"
            );
            self.telemetry.guardrails.violated(Guard::Loopback, &reason);
        }
    }

    /// Stops accepting, and lets requests finish.
    pub(crate) async fn stop(self, deadline: Duration) {
        self.open.into_inner().handle.stop(deadline).await;
    }

    /// Listens at `wanted` instead, where it does not already. Answers whether the file `url` says so.
    async fn move_to(&self, wanted: SocketAddr, mode: Mode, data_dir: &DataDir) -> Result<bool, Stuck> {
        let mut open = self.open.lock().await;
        if open.wanted == wanted && open.handle.is_listening() {
            return Ok(self.publish(&mut open, mode, data_dir));
        }
        let turn = self.addresses.turn().await;
        if overlaps(open.handle.local_addr(), wanted) {
            // The old one has to go first. Its connections stay.
            open.handle.release().await;
        }
        let failed = match turn.take(wanted).await {
            Ok(listener) => {
                let handle = Server::serve(listener, self.router.clone(), &self.tasks);
                let old = mem::replace(&mut *open, Open::new(wanted, handle));
                let written = self.publish(&mut open, mode, data_dir);
                // In this turn: whoever asks for the old address next finds it free.
                old.handle.release().await;
                self.let_finish(old.handle, open.handle.local_addr());
                return Ok(written);
            }
            Err(failed) => failed.to_string(),
        };
        if open.handle.is_listening() {
            return Err(Stuck { reason: failed, whereabouts: Whereabouts::Stayed });
        }
        match turn.take(open.handle.local_addr()).await {
            Ok(listener) => {
                open.handle.resume(listener);
                Err(Stuck { reason: failed, whereabouts: Whereabouts::WentBack })
            }
            Err(back) => {
                let reason = format!("{failed}; nor back where it was: {back}");
                Err(Stuck { reason, whereabouts: Whereabouts::Nowhere })
            }
        }
    }

    /// What runs on an address that is left goes on beside the new one.
    fn let_finish(&self, old: ServerHandle, new: SocketAddr) {
        self.tasks.spawn::<std::convert::Infallible, _>("http listener left", OnFailure::Log, async move {
            if !old.leave_for(new, FINISH).await {
                warn!("requests on the address that was left took too long and were cut");
            }
            Ok(())
        });
    }

    /// Says where the server listens, in the file `url` and on stdout, where it has not yet. Answers whether the file
    /// says it: the server serves without, so a full disk does not keep it from where it is told to listen.
    fn publish(&self, open: &mut Open, mode: Mode, data_dir: &DataDir) -> bool {
        let url = format!("http://{}", open.handle.local_addr());
        if !open.written {
            match data_dir.write_url(&url) {
                Ok(()) => {
                    open.written = true;
                    self.telemetry.health.clear_by(Component::ConfigWatcher, URL);
                }
                Err(error) => {
                    let reason = format!(
                        "the server listens on {url}, and the file url in the data directory does not say so: {:#}",
                        anyhow::Error::from(error)
                    );
                    if !open.announced {
                        warn!(reason, "tried again until it can be written");
                    }
                    self.telemetry.health.degrade_by(Component::ConfigWatcher, URL, reason);
                }
            }
        }
        if !mem::replace(&mut open.announced, true) {
            announce(&url, mode.name());
        }
        open.written
    }
}

/// The first socket, and what was asked for to get it. Settings that cannot be followed do not keep the server from
/// starting: it listens on loopback, where whoever is on the host can mend them.
async fn first(
    addresses: &Addresses,
    wanted: SocketAddr,
    flag: Option<SocketAddr>,
) -> anyhow::Result<(SocketAddr, Listener)> {
    let turn = addresses.turn().await;
    let failed = match turn.take(wanted).await {
        Ok(listener) => return Ok((wanted, listener)),
        Err(failed) => failed,
    };
    if flag.is_none() {
        for port in [wanted.port(), 0] {
            let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            if let Ok(listener) = turn.take(loopback).await {
                let (reason, address) = (failed.to_string(), listener.local_addr());
                error!(reason, %address, "the server listens on loopback until it can listen where it is told to");
                return Ok((loopback, listener));
            }
        }
    }
    Err(failed.into())
}

/// Failures since the last success.
#[derive(Default)]
struct Failures {
    count: u32,
    said: Option<String>,
}

impl Failures {
    /// Counts it, and logs it unless it is the same again.
    fn note(&mut self, stuck: &Stuck) {
        self.count = self.count.saturating_add(1);
        if self.said.as_ref() != Some(&stuck.reason) {
            warn!(reason = stuck.reason, "{}", stuck.whereabouts.words());
            self.said = Some(stuck.reason.clone());
        }
    }
}

/// The one line that the server prints to stdout.
fn announce(url: &str, mode: &str) {
    println!("revaer listening on {url} ({mode})");
}

#[cfg(test)]
mod tests;
