//! Requests at a fixed rate over connections that are kept open.
//!
//! Open loop: each request has a moment at which it is due, whatever became of those before it, and its latency counts
//! from that moment. A server that stalls is charged for everybody who would have come meanwhile.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

use crate::figures::Figures;

/// An answer that takes longer ends the run.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is asked, how often, and for how long.
#[derive(Debug, Clone)]
pub struct Load {
    /// Whom.
    pub server: SocketAddr,
    /// The request's path and query.
    pub path: String,
    /// Headers besides `host`, each value made from the number of the request.
    pub header: (&'static str, fn(&str, u64) -> String),
    /// What the header's value is made from.
    pub seed: String,
    /// Requests per second.
    pub rate: u32,
    /// Connections among which they are dealt out.
    pub connections: u32,
    /// For how long.
    pub time: Duration,
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// From the moment that each request was due to the last byte of its answer.
    pub latencies: Figures,
    /// How often each status was answered.
    pub statuses: BTreeMap<u16, u64>,
}

impl Outcome {
    /// The statuses in one cell.
    pub fn statuses(&self) -> String {
        let each = self.statuses.iter().map(|(status, count)| format!("{status}×{count}"));
        each.collect::<Vec<_>>().join(" ")
    }
}

impl Load {
    /// Runs it to the end; the caller's thread waits.
    pub fn run(&self) -> Result<Outcome> {
        // Everybody is connected before the first request is due.
        let start = Instant::now() + Duration::from_millis(200);
        let workers: Vec<_> = (0..self.connections)
            .map(|first| {
                let load = self.clone();
                thread::Builder::new().name("load".to_owned()).spawn(move || load.work(start, first))
            })
            .collect::<Result<_, _>>()
            .context("cannot start a thread")?;
        let mut latencies = Vec::new();
        let mut statuses = BTreeMap::new();
        for worker in workers {
            let seen = worker.join().map_err(|_| anyhow!("a thread of the load panicked"))??;
            for (latency, status) in seen {
                latencies.push(latency);
                *statuses.entry(status).or_default() += 1;
            }
        }
        Ok(Outcome { latencies: latencies.into_iter().collect(), statuses })
    }

    fn requests(&self) -> u64 {
        u64::from(self.rate) * self.time.as_secs()
    }

    /// When a request is due, after the start.
    fn due(&self, number: u64) -> Duration {
        Duration::from_nanos(number * 1_000_000_000 / u64::from(self.rate))
    }

    fn work(&self, start: Instant, first: u32) -> Result<Vec<(Duration, u16)>> {
        let mut connection = Connection::open(self.server)?;
        let mut seen = Vec::new();
        for number in (u64::from(first)..self.requests()).step_by(self.connections.try_into()?) {
            let due = start + self.due(number);
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let (name, value) = self.header;
            let request = format!(
                "GET {} HTTP/1.1\r\nhost: {}\r\n{name}: {}\r\n\r\n",
                self.path,
                self.server,
                value(&self.seed, number)
            );
            let (status, stays) = connection.ask(request.as_bytes())?;
            seen.push((due.elapsed(), status));
            if !stays {
                connection = Connection::open(self.server)?;
            }
        }
        Ok(seen)
    }
}

/// HTTP/1.1 as far as it is needed here: answers of a stated length.
struct Connection {
    stream: BufReader<TcpStream>,
    line: String,
    body: Vec<u8>,
}

impl Connection {
    fn open(server: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(server).with_context(|| format!("cannot connect to {server}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream: BufReader::new(stream), line: String::new(), body: Vec::new() })
    }

    /// Sends a request; answers the status, and whether the connection stays.
    fn ask(&mut self, request: &[u8]) -> Result<(u16, bool)> {
        self.stream.get_mut().write_all(request).context("the request could not be sent")?;
        let status = self.next_line()?;
        let status = status.split(' ').nth(1).and_then(|word| word.parse().ok());
        let status = status.with_context(|| format!("no status in {:?}", self.line))?;
        let (mut length, mut stays) = (None, true);
        loop {
            let line = self.next_line()?.to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = Some(value.trim().parse()?);
            } else if line.strip_prefix("connection:").is_some_and(|value| value.trim() == "close") {
                stays = false;
            }
        }
        let length = length.context("an answer without content-length")?;
        self.body.resize(length, 0);
        self.stream.read_exact(&mut self.body).context("the answer broke off")?;
        Ok((status, stays))
    }

    fn next_line(&mut self) -> Result<&str> {
        self.line.clear();
        if self.stream.read_line(&mut self.line).context("no answer")? == 0 {
            bail!("the server closed the connection");
        }
        Ok(self.line.trim_end())
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_stall_is_charged_to_everybody_who_was_due_meanwhile() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let load = Load {
            server: listener.local_addr().unwrap(),
            path: "/".to_owned(),
            header: ("x-number", |seed, number| format!("{seed}{number}")),
            seed: String::new(),
            rate: 100,
            connections: 1,
            time: Duration::from_secs(1),
        };
        let server = thread::spawn(move || {
            let mut stream = BufReader::new(listener.accept().unwrap().0);
            for number in 0..100 {
                let mut line = String::new();
                while line != "\r\n" {
                    line.clear();
                    stream.read_line(&mut line).unwrap();
                }
                if number == 10 {
                    thread::sleep(Duration::from_millis(300));
                }
                stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").unwrap();
            }
        });
        let outcome = load.run().unwrap();
        server.join().unwrap();
        assert_eq!(outcome.statuses(), "200×100");
        // One request stalled, and some thirty were due while it did.
        assert!(outcome.latencies.max() >= Duration::from_millis(300));
        assert!(outcome.latencies.per_mille(850) >= Duration::from_millis(100), "{outcome:?}");
    }
}
