//! Addresses of 127.0.0.0/8, each held by one owner at a time, so that tests run side by side.
//!
//! libtorrent talks to one peer per address, and many tests run at once: every engine and every peer gets an address of
//! its own. A claim is a listening socket on a known port of that address; whoever cannot bind it takes another address.

use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, UdpSocket};

use anyhow::{Context, Result, anyhow, bail};

/// The port whose holder owns the address.
const CLAIM_PORT: u16 = 47_001;

/// A loopback address that belongs to its holder until dropped.
#[derive(Debug)]
pub struct Address {
    ip: Ipv4Addr,
    _claim: TcpListener,
}

impl Address {
    /// Takes a random address that nobody else holds.
    pub fn claim() -> Result<Self> {
        for _ in 0..64 {
            let mut bytes = [0_u8; 3];
            getrandom::fill(&mut bytes).map_err(|error| anyhow!("no random bytes: {error}"))?;
            let [a, b, c] = bytes.map(|byte| byte.clamp(1, 254));
            let ip = Ipv4Addr::new(127, a, b, c);
            if let Ok(claim) = TcpListener::bind((ip, CLAIM_PORT)) {
                return Ok(Self { ip, _claim: claim });
            }
        }
        bail!("no free address in 127.0.0.0/8: is the loopback interface up")
    }

    /// The address itself.
    pub fn ip(&self) -> Ipv4Addr {
        self.ip
    }

    /// A port of this address that is free for TCP and UDP; it stays so, since nobody else uses the address.
    pub fn free_port(&self) -> Result<u16> {
        for _ in 0..64 {
            let listener = TcpListener::bind((self.ip, 0)).context("no free TCP port")?;
            let port = listener.local_addr()?.port();
            if UdpSocket::bind((self.ip, port)).is_ok() {
                return Ok(port);
            }
        }
        bail!("no port of {} is free for TCP and UDP both", self.ip)
    }

    /// A free port together with the address.
    pub fn endpoint(&self) -> Result<SocketAddrV4> {
        Ok(SocketAddrV4::new(self.ip, self.free_port()?))
    }
}
