//! The real binary: as a server on a data directory, and as a command of the host.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

use super::wait_for;

/// `revaer-app` on one data directory and database.
pub struct Program {
    pub data_dir: PathBuf,
    pub database_url: Option<String>,
    pub env: Vec<(&'static str, String)>,
}

impl Program {
    pub fn new(data_dir: &Path) -> Self {
        Self { data_dir: data_dir.to_owned(), database_url: None, env: Vec::new() }
    }

    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_revaer-app"));
        command.arg("--data-dir").arg(&self.data_dir).args(words).stdin(Stdio::null());
        for name in ["DATABASE_URL", "RUST_LOG", "REVAER_DATA_DIR", "PUID", "PGID", "UMASK"] {
            command.env_remove(name);
        }
        command.envs(self.database_url.iter().map(|url| ("DATABASE_URL", url)));
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a command to its end: exit code, stdout, stderr.
    pub fn run(&self, words: &[&str]) -> (i32, String, String) {
        said(&self.command(words).output().unwrap())
    }

    /// Runs one that succeeds; its stdout.
    pub fn ok(&self, words: &[&str]) -> String {
        let (code, out, err) = self.run(words);
        assert_eq!(code, 0, "{words:?}: {out}{err}");
        out
    }

    /// Runs one that is refused; its stderr.
    pub fn refused(&self, words: &[&str]) -> String {
        let (code, out, err) = self.run(words);
        assert_eq!(code, 3, "{words:?}: {out}{err}");
        err
    }

    /// Starts the server and waits until it listens.
    pub async fn serve(&self) -> Server {
        // One that was killed has left its address behind.
        drop(fs::remove_file(self.data_dir.join("url")));
        let log = self.data_dir.with_extension("log");
        let child = self
            .command(&["--listen", "127.0.0.1:0", "--log-format", "json"])
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut server = Server { child, url: String::new() };
        let path = self.data_dir.join("url");
        server.url = wait_for("the server listens", async || {
            let ended = server.child.try_wait().unwrap();
            assert!(ended.is_none(), "{ended:?} {}", fs::read_to_string(&log).unwrap());
            fs::read_to_string(&path).ok().filter(|url| url.ends_with('\n'))
        })
        .await;
        server
    }
}

pub fn said(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

/// A running server; killed when dropped.
pub struct Server {
    pub child: Child,
    url: String,
}

impl Server {
    /// One request; status and body.
    pub fn request(&self, method: &str, path: &str, key: Option<&str>, body: &str) -> (u16, String) {
        let host = self.url.trim().strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(host).unwrap();
        let key = key.map_or(String::new(), |key| format!("x-revaer-api-key: {key}\r\n"));
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: application/json\r\n{key}\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    /// Completes the setup; the first key.
    pub fn set_up(&self) -> String {
        let (status, body) = self.request("POST", "/admin/setup/start", None, "{}");
        assert_eq!(status, 200, "{body}");
        let token = member(&body, "token");
        let host = self.url.trim().strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(host).unwrap();
        write!(
            stream,
            "POST /admin/setup/complete HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: application/json\
             \r\nx-revaer-setup-token: {token}\r\nContent-Length: 2\r\n\r\n{{}}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        member(&answer, "api_key")
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.child.id().try_into().unwrap()).unwrap(), signal).unwrap();
    }

    /// Ends it in order.
    pub async fn stop(mut self) {
        self.signal(Signal::TERM);
        let status = wait_for("the server ends", async || self.child.try_wait().unwrap()).await;
        assert!(status.success(), "{status}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The text of a member, wherever it is in a document.
fn member(document: &str, name: &str) -> String {
    let (_, rest) = document.split_once(&format!("\"{name}\":\"")).expect(name);
    rest.split('"').next().unwrap().to_owned()
}
