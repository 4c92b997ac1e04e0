//! Where the server listens: one listener at a time, which moves when the settings say so.
//!
//! In setup mode it keeps to loopback. An address is taken before the settings that ask for it are stored, so that one
//! that cannot be listened on is refused. A move lets requests that run on the old address finish.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::Router;
use revaer_api::{Listener, Ports, Server, ServerHandle};
use revaer_config::{AddressKeeper, ConfigService, ConfigSnapshot, Reserving};
use revaer_telemetry::{Guard, Guardrails, OnFailure, Tasks};
use tracing::{error, warn};

use crate::{datadir::DataDir, settings};

/// Requests on the old address may take this long to finish: a little longer than a request may take at all.
const FINISH: Duration = Duration::from_secs(32);
/// How long until an address that could not be listened on is tried again.
const AGAIN: Duration = Duration::from_secs(5);

struct Open {
    /// What was asked for: port 0 takes a free one, so this may differ from what is bound.
    wanted: SocketAddr,
    handle: ServerHandle,
}

/// The addresses that this process has.
#[derive(Default)]
struct Addresses {
    open: Option<SocketAddr>,
    /// Taken for settings that are about to be stored.
    reserved: Option<(SocketAddr, Listener)>,
    /// Where setup mode does not listen although it is told to.
    held_back: Option<SocketAddr>,
}

/// The listener of this process.
pub(crate) struct Listeners {
    router: Router,
    tasks: Tasks,
    flag: Option<SocketAddr>,
    guardrails: Guardrails,
    addresses: Arc<Mutex<Addresses>>,
    open: tokio::sync::Mutex<Option<Open>>,
}

/// Takes addresses for settings that are about to be stored.
struct Keeper {
    flag: Option<SocketAddr>,
    addresses: Arc<Mutex<Addresses>>,
}

impl AddressKeeper for Keeper {
    fn reserve(&self, address: SocketAddr) -> Reserving<'_> {
        Box::pin(async move {
            let open = self.addresses.lock().unwrap_or_else(PoisonError::into_inner).open;
            // With the flag nothing moves. What overlaps with our own socket cannot be tried beside it.
            let tried =
                self.flag.is_none() && open.is_some_and(|open| open != address && !overlaps(open, address));
            if tried {
                let listener = Server::bind(address).await.map_err(|error| error.to_string())?;
                self.addresses.lock().unwrap_or_else(PoisonError::into_inner).reserved =
                    Some((address, listener));
            }
            Ok(())
        })
    }

    fn release(&self) {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner).reserved = None;
    }
}

/// `0.0.0.0:7070` cannot be bound beside `127.0.0.1:7070`: the old one has to go first.
fn overlaps(one: SocketAddr, other: SocketAddr) -> bool {
    one.port() == other.port() && (one.ip().is_unspecified() || other.ip().is_unspecified())
}

impl Listeners {
    /// Opens the first listener and says where it is.
    pub(crate) async fn open(
        ports: Ports,
        flag: Option<SocketAddr>,
        data_dir: &DataDir,
    ) -> anyhow::Result<Self> {
        let (tasks, config, guardrails) =
            (ports.tasks.clone(), ports.config.clone(), ports.guardrails.clone());
        let addresses = Arc::<Mutex<Addresses>>::default();
        config.set_address_keeper(Arc::new(Keeper { flag, addresses: Arc::clone(&addresses) }));
        let listeners = Self {
            router: revaer_api::router(ports),
            tasks,
            flag,
            guardrails,
            addresses,
            open: tokio::sync::Mutex::default(),
        };
        let snapshot = config.snapshot();
        listeners.note_held_back(&snapshot);
        let wanted = settings::listen_address(&snapshot, flag);
        let open = listeners.bind(wanted, &snapshot, data_dir).await?;
        *listeners.open.lock().await = Some(open);
        Ok(listeners)
    }

    /// Moves the listener whenever the settings do, until the settings end.
    pub(crate) async fn follow(&self, config: &ConfigService, data_dir: &DataDir) -> anyhow::Result<()> {
        let mut settings = config.subscribe("listener");
        let mut snapshot = config.snapshot();
        let mut moved = true;
        loop {
            tokio::select! {
                next = settings.changed() => match next {
                    Some(next) => snapshot = next,
                    None => return Ok(()),
                },
                () = tokio::time::sleep(AGAIN), if !moved => {}
            }
            self.note_held_back(&snapshot);
            let wanted = settings::listen_address(&snapshot, self.flag);
            let outcome = self.move_to(wanted, &snapshot, data_dir).await?;
            moved = outcome.is_ok();
            match outcome {
                Ok(()) => settings.applied(snapshot.revision),
                Err(reason) => settings.failed(snapshot.revision, &reason),
            }
        }
    }

    /// Says so, once for each address, where setup mode does not listen where it is told to.
    fn note_held_back(&self, snapshot: &ConfigSnapshot) {
        let configured = settings::configured_address(snapshot, self.flag);
        let wanted = settings::listen_address(snapshot, self.flag);
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        if configured != wanted && addresses.held_back.replace(configured) != Some(configured) {
            let reason = format!(
                "the server is not set up, so it listens on {wanted} and not on {configured}; complete setup on this host"
            );
            self.guardrails.violated(Guard::Loopback, &reason);
        }
    }

    /// Stops accepting, and lets requests finish.
    pub(crate) async fn stop(self, deadline: Duration) {
        if let Some(open) = self.open.into_inner() {
            open.handle.stop(deadline).await;
        }
    }

    /// Listens at `wanted` instead, where it does not already. The inner error says why it stays where it is, the
    /// outer one that it listens nowhere.
    async fn move_to(
        &self,
        wanted: SocketAddr,
        snapshot: &ConfigSnapshot,
        data_dir: &DataDir,
    ) -> anyhow::Result<Result<(), String>> {
        let mut open = self.open.lock().await;
        let Some(old) = open.take_if(|old| old.wanted != wanted) else { return Ok(Ok(())) };
        if !overlaps(old.wanted, wanted) {
            return Ok(match self.bind(wanted, snapshot, data_dir).await {
                Ok(new) => {
                    *open = Some(new);
                    self.let_finish(old.handle);
                    Ok(())
                }
                Err(reason) => {
                    warn!(error = format!("{reason:#}"), "the server stays where it listens");
                    *open = Some(old);
                    Err(format!("{reason:#}"))
                }
            });
        }
        old.handle.release().await;
        let (new, outcome) = match self.bind(wanted, snapshot, data_dir).await {
            Ok(new) => (new, Ok(())),
            Err(reason) => {
                error!(error = format!("{reason:#}"), "the server goes back to where it listened");
                (self.bind(old.wanted, snapshot, data_dir).await?, Err(format!("{reason:#}")))
            }
        };
        *open = Some(new);
        self.let_finish(old.handle);
        Ok(outcome)
    }

    /// What runs on an address that is left goes on beside the new one.
    fn let_finish(&self, old: ServerHandle) {
        self.tasks.spawn::<std::convert::Infallible, _>("http listener left", OnFailure::Log, async move {
            if !old.stop(FINISH).await {
                warn!("requests on the address that was left took too long and were cut");
            }
            Ok(())
        });
    }

    async fn bind(
        &self,
        wanted: SocketAddr,
        snapshot: &ConfigSnapshot,
        data_dir: &DataDir,
    ) -> anyhow::Result<Open> {
        let reserved = self.addresses.lock().unwrap_or_else(PoisonError::into_inner).reserved.take();
        let listener = match reserved {
            Some((address, listener)) if address == wanted => listener,
            _ => Server::bind(wanted).await?,
        };
        let handle = Server::serve(listener, self.router.clone(), &self.tasks);
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner).open = Some(wanted);
        let url = format!("http://{}", handle.local_addr());
        data_dir.write_url(&url)?;
        announce(&url, snapshot.app.mode.name());
        Ok(Open { wanted, handle })
    }
}

/// The one line that the server prints to stdout.
fn announce(url: &str, mode: &str) {
    println!("revaer listening on {url} ({mode})");
}
