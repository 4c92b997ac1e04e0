//! A tracker over HTTP in the test's own process (BEP 3, compact answers of BEP 23), at `/announce` on loopback.
//!
//! It keeps a swarm per 20-byte info-hash as it was announced: the v2 hash comes truncated, a hybrid announces both.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::bencode::Value;

/// Seconds between two announces: short, so that a peer that came later is found.
const INTERVAL: i64 = 2;
/// A request head beyond this is cut.
const MAX_HEAD: usize = 16 * 1024;

type Swarms = BTreeMap<Vec<u8>, BTreeSet<SocketAddrV4>>;

/// A running tracker; ends when dropped.
#[derive(Debug)]
pub struct Tracker {
    address: SocketAddr,
    swarms: Arc<Mutex<Swarms>>,
    task: JoinHandle<()>,
}

impl Tracker {
    /// Starts it on a free port.
    pub async fn start() -> Result<Self> {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no port for the tracker")?;
        let address = listener.local_addr()?;
        let swarms = Arc::new(Mutex::new(Swarms::new()));
        let shared = Arc::clone(&swarms);
        #[expect(
            clippy::disallowed_methods,
            reason = "the harness has no task registry; the task ends with its tracker"
        )]
        let task = tokio::spawn(async move {
            while let Ok((stream, peer)) = listener.accept().await {
                if let Err(error) = answer(stream, peer, &shared).await {
                    eprintln!("tracker: {error:#}");
                }
            }
        });
        Ok(Self { address, swarms, task })
    }

    /// What goes into a torrent file.
    pub fn announce_url(&self) -> String {
        format!("http://{}/announce", self.address)
    }

    /// Who announced any torrent so far.
    pub fn peers(&self) -> BTreeSet<SocketAddrV4> {
        let swarms = self.swarms.lock().unwrap_or_else(PoisonError::into_inner);
        swarms.values().flatten().copied().collect()
    }
}

impl Drop for Tracker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One request per connection.
async fn answer(mut stream: TcpStream, peer: SocketAddr, swarms: &Mutex<Swarms>) -> Result<()> {
    let mut head = Vec::new();
    let mut buffer = [0_u8; 2048];
    while !head.windows(4).any(|window| window == b"\r\n\r\n") && head.len() < MAX_HEAD {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        head.extend_from_slice(&buffer[..read]);
    }
    let head = String::from_utf8_lossy(&head);
    let target = head.split(' ').nth(1).unwrap_or_default();
    let body = match Announce::parse(target, peer) {
        Ok(announce) => announce.apply(&mut swarms.lock().unwrap_or_else(PoisonError::into_inner)),
        Err(error) => Value::dict([("failure reason", Value::from(error.to_string().as_str()))]),
    };
    let body = body.encode();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&body).await?;
    stream.shutdown().await?;
    Ok(())
}

/// One announce.
struct Announce {
    info_hash: Vec<u8>,
    peer: SocketAddrV4,
    stopped: bool,
    compact: bool,
}

impl Announce {
    fn parse(target: &str, from: SocketAddr) -> Result<Self> {
        let query = target.strip_prefix("/announce?").context("only /announce is served")?;
        let mut members: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            members.insert(name, unescape(value));
        }
        let text = |name: &str| members.get(name).map(|value| String::from_utf8_lossy(value).into_owned());
        let port = text("port").and_then(|port| port.parse().ok()).context("no port")?;
        let IpAddr::V4(ip) = from.ip() else { anyhow::bail!("only IPv4 is served") };
        Ok(Self {
            info_hash: members
                .get("info_hash")
                .filter(|hash| hash.len() == 20)
                .context("no info_hash of 20 bytes")?
                .clone(),
            peer: SocketAddrV4::new(ip, port),
            stopped: text("event").as_deref() == Some("stopped"),
            compact: text("compact").as_deref() != Some("0"),
        })
    }

    fn apply(self, swarms: &mut Swarms) -> Value {
        let swarm = swarms.entry(self.info_hash).or_default();
        if self.stopped {
            swarm.remove(&self.peer);
        } else {
            swarm.insert(self.peer);
        }
        let others: Vec<SocketAddrV4> = swarm.iter().filter(|peer| **peer != self.peer).copied().collect();
        let peers = if self.compact {
            Value::from(others.into_iter().flat_map(compact).collect::<Vec<u8>>())
        } else {
            Value::List(others.into_iter().map(plain).collect())
        };
        Value::dict([("interval", Value::Int(INTERVAL)), ("min interval", Value::Int(1)), ("peers", peers)])
    }
}

fn compact(peer: SocketAddrV4) -> Vec<u8> {
    [&peer.ip().octets()[..], &peer.port().to_be_bytes()[..]].concat()
}

fn plain(peer: SocketAddrV4) -> Value {
    Value::dict([
        ("ip", Value::from(peer.ip().to_string().as_str())),
        ("port", Value::Int(i64::from(peer.port()))),
    ])
}

fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let escaped = (byte == b'%').then(|| {
            let digits = [bytes.next()?, bytes.next()?];
            u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()
        });
        out.push(escaped.flatten().unwrap_or(byte));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announce_lists_the_others_but_not_oneself() {
        let mut swarms = Swarms::new();
        let hash = "%00".repeat(20);
        let mut announce = |port: u16, rest: &str| {
            let target = format!("/announce?info_hash={hash}&port={port}{rest}");
            let from = SocketAddr::from(([127, 0, 0, 9], 1));
            Announce::parse(&target, from).unwrap().apply(&mut swarms).get("peers").cloned()
        };
        assert_eq!(announce(1, "&compact=1"), Some(Value::from(Vec::new())));
        assert_eq!(announce(2, "&compact=1"), Some(Value::from(vec![127, 0, 0, 9, 0, 1])));
        assert_eq!(announce(1, "&event=stopped"), Some(Value::from(vec![127, 0, 0, 9, 0, 2])));
        assert_eq!(announce(2, ""), Some(Value::from(Vec::new())));
    }
}
