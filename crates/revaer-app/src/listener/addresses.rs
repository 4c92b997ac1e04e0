//! The addresses that this process has: the one it listens on, and those taken for settings that are about to be stored.
//!
//! A reserved address is one socket, shared by everybody who asks for that address at the same time, and closed once
//! nobody does: the changes were not made, or the listener works by later settings. Sockets are opened by turns, so
//! that nobody takes this process's own socket for somebody else's.

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use revaer_api::{BindError, Listener, Server};
use revaer_config::{AddressKeeper, Reservation, Reserving, Revision};

/// A reserved socket, until the listener takes it.
struct Slot {
    address: SocketAddr,
    socket: Mutex<Option<Listener>>,
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, Option<Listener>> {
        self.socket.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_full(&self) -> bool {
        self.lock().is_some()
    }
}

struct State {
    /// Where this process listens.
    open: Option<SocketAddr>,
    reserved: Vec<Weak<Slot>>,
    /// Of changes that were made and the listener has not seen yet.
    kept: Vec<(Revision, Arc<Slot>)>,
    /// The settings that the listener has seen.
    seen: Revision,
}

impl State {
    /// The reservations that hold a socket.
    fn full(&mut self) -> Vec<Arc<Slot>> {
        self.reserved.retain(|slot| slot.strong_count() > 0);
        self.reserved.iter().filter_map(Weak::upgrade).filter(|slot| slot.is_full()).collect()
    }
}

/// The addresses of this process.
pub(super) struct Addresses {
    turn: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

/// The right to open and close sockets.
pub(super) struct Turn<'a> {
    addresses: &'a Addresses,
    _turn: tokio::sync::MutexGuard<'a, ()>,
}

impl Default for Addresses {
    fn default() -> Self {
        let state = State { open: None, reserved: Vec::new(), kept: Vec::new(), seen: Revision(0) };
        Self { turn: tokio::sync::Mutex::default(), state: Mutex::new(state) }
    }
}

impl Addresses {
    pub(super) async fn turn(&self) -> Turn<'_> {
        Turn { addresses: self, _turn: self.turn.lock().await }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The listener works by the settings of a revision, which want `wanted`: what was taken for them and for earlier
    /// ones, and lies elsewhere, is given back.
    pub(super) fn settle(&self, revision: Revision, wanted: SocketAddr) {
        let mut state = self.lock();
        state.seen = revision;
        state.kept.retain(|(of, slot)| slot.is_full() && (*of > revision || slot.address == wanted));
    }

    fn keep(&self, slot: Arc<Slot>, revision: Revision) {
        let mut state = self.lock();
        if revision > state.seen {
            state.kept.push((revision, slot));
        }
    }

    async fn reserve(&self, address: SocketAddr) -> Result<Option<Arc<Slot>>, BindError> {
        let _turn = self.turn.lock().await;
        let full = {
            let mut state = self.lock();
            if state.open == Some(address) {
                return Ok(None);
            }
            let full = state.full();
            if let Some(slot) = full.iter().find(|slot| slot.address == address) {
                return Ok(Some(Arc::clone(slot)));
            }
            full.iter().map(|slot| slot.address).chain(state.open).collect::<Vec<_>>()
        };
        if full.into_iter().any(|own| overlaps(own, address)) {
            // A socket of our own is in the way, so the port cannot be tried; whether the host has the address can.
            return exists(address).map(|()| None).map_err(|reason| BindError { addr: address, reason });
        }
        let socket = Mutex::new(Some(Server::bind(address).await?));
        let slot = Arc::new(Slot { address, socket });
        self.lock().reserved.push(Arc::downgrade(&slot));
        Ok(Some(slot))
    }
}

impl Turn<'_> {
    /// The socket that was reserved for `address`, else a new one. From here on this process listens there.
    pub(super) async fn take(&self, address: SocketAddr) -> Result<Listener, BindError> {
        let reserved = self.addresses.lock().full().into_iter().find(|slot| slot.address == address);
        let reserved = reserved.and_then(|slot| slot.lock().take());
        let listener = match reserved {
            Some(listener) => listener,
            None => Server::bind(address).await?,
        };
        self.addresses.lock().open = Some(listener.local_addr());
        Ok(listener)
    }
}

/// Takes addresses for settings that are about to be stored.
pub(super) struct Keeper {
    addresses: Arc<Addresses>,
    /// With the flag nothing moves.
    pinned: bool,
}

impl Keeper {
    pub(super) fn new(addresses: Arc<Addresses>, flag: Option<SocketAddr>) -> Self {
        Self { addresses, pinned: flag.is_some() }
    }
}

impl AddressKeeper for Keeper {
    fn reserve(&self, address: SocketAddr) -> Reserving<'_> {
        Box::pin(async move {
            let slot = if self.pinned {
                None
            } else {
                self.addresses.reserve(address).await.map_err(|error| error.to_string())?
            };
            Ok(Box::new(Reserved { addresses: Arc::clone(&self.addresses), slot }) as Box<dyn Reservation>)
        })
    }
}

/// Nothing where nothing had to be taken.
struct Reserved {
    addresses: Arc<Addresses>,
    slot: Option<Arc<Slot>>,
}

impl Reservation for Reserved {
    fn keep(self: Box<Self>, revision: Revision) {
        let Self { addresses, slot } = *self;
        if let Some(slot) = slot {
            addresses.keep(slot, revision);
        }
    }
}

/// Whether one cannot be bound beside the other: `0.0.0.0:7070` beside `127.0.0.1:7070`.
pub(super) fn overlaps(one: SocketAddr, other: SocketAddr) -> bool {
    let (ip, other_ip) = (one.ip().to_canonical(), other.ip().to_canonical());
    one.port() == other.port() && (ip == other_ip || ip.is_unspecified() || other_ip.is_unspecified())
}

/// Whether the host has the address. Datagrams keep nobody's TCP port.
fn exists(address: SocketAddr) -> io::Result<()> {
    UdpSocket::bind(SocketAddr::new(address.ip(), 0)).map(drop)
}

#[cfg(test)]
mod tests;
