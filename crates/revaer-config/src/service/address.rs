//! The address that settings ask for is taken before they are stored: one that cannot be listened on is refused.

use std::{net::SocketAddr, pin::Pin, sync::Arc};

use super::ConfigService;
use crate::{
    document::Change,
    error::Fault,
    field::Section,
    snapshot::{ConfigSnapshot, Revision},
};

/// Answers the address that was taken; where it was not, why.
pub type Reserving<'a> = Pin<Box<dyn Future<Output = Result<Box<dyn Reservation>, String>> + Send + 'a>>;

/// Who listens.
pub trait AddressKeeper: Send + Sync {
    /// Takes an address that is about to be configured, so that it is there once it is. Changes that ask for the same
    /// address at the same time share it. Done at once where nothing would move.
    fn reserve(&self, address: SocketAddr) -> Reserving<'_>;
}

/// A taken address. Dropped, it is given back: the change was not made.
pub trait Reservation: Send {
    /// The change was made, as this revision or an earlier one: the address stays taken until the listener follows it.
    fn keep(self: Box<Self>, revision: Revision);
}

impl ConfigService {
    /// Names who listens. Without one no address is reserved.
    pub fn set_address_keeper(&self, keeper: Arc<dyn AddressKeeper>) {
        if self.shared.address_keeper.set(keeper).is_err() {
            tracing::error!("the listener was named twice; the first one stays");
        }
    }

    /// Takes the address that `changes` ask for, where they ask for another one.
    pub(super) async fn reserve_address(
        &self,
        known: &ConfigSnapshot,
        changes: &[Change],
    ) -> Result<Option<Box<dyn Reservation>>, Fault> {
        let Some(keeper) = self.shared.address_keeper.get() else { return Ok(None) };
        let (mut address, mut pointer) = (SocketAddr::new(known.app.bind_addr, known.app.http_port), None);
        for change in changes.iter().filter(|change| change.section == Section::App) {
            match change.field.path {
                "bind_addr" => {
                    let Some(ip) = change.value.as_str().and_then(|text| text.parse().ok()) else { continue };
                    if ip != address.ip() {
                        address.set_ip(ip);
                        pointer.get_or_insert(change.pointer());
                    }
                }
                "http_port" => {
                    let port = change.value.as_u64().and_then(|port| u16::try_from(port).ok());
                    if let Some(port) = port.filter(|port| *port != address.port()) {
                        address.set_port(port);
                        pointer = Some(change.pointer());
                    }
                }
                _ => {}
            }
        }
        let Some(pointer) = pointer else { return Ok(None) };
        let reserved = keeper.reserve(address).await;
        reserved.map(Some).map_err(|reason| Fault::new(pointer, reason))
    }

    /// Of `changes`, those that this process does not follow.
    pub(super) fn notices(&self, changes: &[&Change]) -> Vec<Fault> {
        let named = |fault: &&Fault| changes.iter().any(|change| change.pointer() == fault.pointer);
        self.shared.overrides.iter().filter(named).cloned().collect()
    }
}
