//! Where the server listens: one listener at a time, which moves when the settings say so.
//!
//! In setup mode it keeps to loopback. A move lets requests that run on the old address finish.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use revaer_api::{Ports, Server, ServerHandle};
use revaer_config::{ConfigService, ConfigSnapshot};
use revaer_telemetry::Tasks;
use tokio::sync::Mutex;
use tracing::{error, warn};

use crate::{datadir::DataDir, settings};

/// Requests on the old address may take this long to finish.
const FINISH: Duration = Duration::from_secs(4);

struct Open {
    /// What was asked for: port 0 takes a free one, so this may differ from what is bound.
    wanted: SocketAddr,
    handle: ServerHandle,
}

/// The listener of this process.
pub(crate) struct Listeners {
    router: Router,
    tasks: Tasks,
    open: Mutex<Option<Open>>,
}

impl Listeners {
    /// Opens the first listener and says where it is.
    pub(crate) async fn open(
        ports: Ports,
        config: &ConfigService,
        flag: Option<SocketAddr>,
        data_dir: &DataDir,
    ) -> anyhow::Result<Self> {
        let tasks = ports.tasks.clone();
        let listeners = Self { router: revaer_api::router(ports), tasks, open: Mutex::new(None) };
        let snapshot = config.snapshot();
        let wanted = settings::listen_address(&snapshot, flag);
        let open = listeners.bind(wanted, &snapshot, data_dir).await?;
        *listeners.open.lock().await = Some(open);
        Ok(listeners)
    }

    /// Moves the listener whenever the settings do, until the settings end.
    pub(crate) async fn follow(
        &self,
        config: &ConfigService,
        flag: Option<SocketAddr>,
        data_dir: &DataDir,
    ) -> anyhow::Result<()> {
        let mut snapshots = config.watch();
        loop {
            if snapshots.changed().await.is_err() {
                return Ok(());
            }
            let snapshot = Arc::clone(&snapshots.borrow_and_update());
            let wanted = settings::listen_address(&snapshot, flag);
            self.move_to(wanted, &snapshot, data_dir).await?;
        }
    }

    /// Stops accepting, and lets requests finish.
    pub(crate) async fn stop(self, deadline: Duration) {
        if let Some(open) = self.open.into_inner() {
            open.handle.stop(deadline).await;
        }
    }

    async fn move_to(
        &self,
        wanted: SocketAddr,
        snapshot: &ConfigSnapshot,
        data_dir: &DataDir,
    ) -> anyhow::Result<()> {
        let mut open = self.open.lock().await;
        let Some(old) = open.take_if(|old| old.wanted != wanted) else { return Ok(()) };
        // `0.0.0.0:7070` cannot be bound beside `127.0.0.1:7070`: then the old one has to go first.
        let overlap = old.wanted.port() == wanted.port()
            && (old.wanted.ip().is_unspecified() || wanted.ip().is_unspecified());
        if !overlap {
            match self.bind(wanted, snapshot, data_dir).await {
                Ok(new) => {
                    *open = Some(new);
                    old.handle.stop(FINISH).await;
                }
                Err(reason) => {
                    warn!(error = format!("{reason:#}"), "the server stays where it listens");
                    *open = Some(old);
                }
            }
            return Ok(());
        }
        let before = old.wanted;
        old.handle.stop(FINISH).await;
        let new = match self.bind(wanted, snapshot, data_dir).await {
            Ok(new) => new,
            Err(reason) => {
                error!(error = format!("{reason:#}"), "the server goes back to where it listened");
                self.bind(before, snapshot, data_dir).await?
            }
        };
        *open = Some(new);
        Ok(())
    }

    async fn bind(
        &self,
        wanted: SocketAddr,
        snapshot: &ConfigSnapshot,
        data_dir: &DataDir,
    ) -> anyhow::Result<Open> {
        let listener = Server::bind(wanted).await?;
        let handle = Server::serve(listener, self.router.clone(), &self.tasks);
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
