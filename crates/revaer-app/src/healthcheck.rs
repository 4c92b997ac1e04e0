//! `revaer-app healthcheck`: what a container or a service manager asks.
//!
//! It needs no configuration: the running server has written its address into the data directory.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    path::{Path, PathBuf},
    time::Duration,
};

use crate::datadir;

/// Limit of each step: connecting, sending, and each read.
const PATIENCE: Duration = Duration::from_secs(5);
/// A status line is far shorter.
const MOST_BYTES: u64 = 1024;

/// The server of the data directory is not well, or not there.
#[derive(Debug, thiserror::Error)]
pub enum Unhealthy {
    /// No server has published an address.
    #[error("no server runs in {}: it has no readable file url", data_dir.display())]
    NotServing {
        /// The data directory.
        data_dir: PathBuf,
        /// Why the file could not be read.
        #[source]
        source: io::Error,
    },
    /// The file `url` holds something else.
    #[error("the file url holds {url:?}, which is not http://ADDR:PORT")]
    BadUrl {
        /// Its content.
        url: String,
    },
    /// The server does not answer.
    #[error("{url} does not answer")]
    NoAnswer {
        /// The address.
        url: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It answers something else than 200.
    #[error("{url} answers {status:?}")]
    NotOk {
        /// The address.
        url: String,
        /// The status line.
        status: String,
    },
}

/// Asks the server of `data_dir` for `/health`; `Ok` is an answer of 200. Blocks.
pub fn check(data_dir: &Path) -> Result<(), Unhealthy> {
    let url = datadir::read_url(data_dir)
        .map_err(|source| Unhealthy::NotServing { data_dir: data_dir.to_owned(), source })?;
    let host = url
        .strip_prefix("http://")
        .map(|rest| rest.trim_end_matches('/'))
        .filter(|host| !host.is_empty() && !host.contains('/'))
        .ok_or_else(|| Unhealthy::BadUrl { url: url.clone() })?;
    let status = ask(host).map_err(|source| Unhealthy::NoAnswer { url: url.clone(), source })?;
    if status.split(' ').nth(1) == Some("200") { Ok(()) } else { Err(Unhealthy::NotOk { url, status }) }
}

/// Returns the status line.
fn ask(host: &str) -> io::Result<String> {
    let address: SocketAddr =
        host.to_socket_addrs()?.next().ok_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable))?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let request = format!("GET /health HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    let mut limited = stream.take(MOST_BYTES);
    let mut chunk = [0; 256];
    while !answer.contains(&b'\n') {
        let read = limited.read(&mut chunk)?;
        if read == 0 {
            break;
        }
        answer.extend_from_slice(&chunk[..read]);
    }
    let line = answer.split(|byte| *byte == b'\n').next().unwrap_or_default();
    Ok(String::from_utf8_lossy(line).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// Answers one request with `answer` and returns what the check made of it.
    fn check_against(answer: &'static str) -> Result<(), Unhealthy> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let dir = tempfile::tempdir().unwrap();
        let url = format!("http://{}\n", listener.local_addr().unwrap());
        std::fs::write(dir.path().join("url"), url).unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let read = stream.read(&mut request).unwrap();
            assert!(request[..read].starts_with(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1:"));
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let outcome = check(dir.path());
        server.join().unwrap();
        outcome
    }

    #[test]
    fn two_hundred_is_well_and_all_else_is_not() {
        check_against("HTTP/1.1 200 OK\r\n\r\n{}").unwrap();
        assert!(matches!(check_against("HTTP/1.1 503 Nope\r\n\r\n"), Err(Unhealthy::NotOk { .. })));
        assert!(matches!(check_against(""), Err(Unhealthy::NotOk { .. })));
    }

    #[test]
    fn no_server_and_no_address_are_said() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(check(dir.path()), Err(Unhealthy::NotServing { .. })));
        std::fs::write(dir.path().join("url"), "ftp://x").unwrap();
        assert!(matches!(check(dir.path()), Err(Unhealthy::BadUrl { .. })));
        // A port that was just given back.
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        std::fs::write(dir.path().join("url"), format!("http://{free}")).unwrap();
        assert!(matches!(check(dir.path()), Err(Unhealthy::NoAnswer { .. })));
    }
}
