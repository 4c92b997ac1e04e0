//! A scripted server on loopback, and the built binary run against it.

use std::{
    path::Path,
    process::{Output, Stdio},
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderMap, Response},
};
use serde_json::Value;
use tokio::{io::AsyncWriteExt, net::TcpListener, process::Command, task::JoinSet};

/// A request as the server saw it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

type Script = Arc<dyn Fn(&Seen, usize) -> Response<Body> + Send + Sync>;

#[derive(Clone)]
struct Shared {
    script: Script,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// A server that answers what the script says: it is given the request and how many came before.
pub(crate) struct Server {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    _task: JoinSet<()>,
}

impl Server {
    pub(crate) async fn start(
        script: impl Fn(&Seen, usize) -> Response<Body> + Send + Sync + 'static,
    ) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let shared = Shared { script: Arc::new(script), seen: seen.clone() };
        let app = Router::new().fallback(answer).with_state(shared);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut task = JoinSet::new();
        task.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, seen, _task: task }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

async fn answer(State(shared): State<Shared>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 64 << 20).await.unwrap();
    let seen =
        Seen { method: parts.method.to_string(), path: parts.uri.to_string(), headers: parts.headers, body };
    let before = {
        let mut all = shared.seen.lock().unwrap();
        all.push(seen.clone());
        all.len() - 1
    };
    (shared.script)(&seen, before)
}

/// A JSON answer.
pub(crate) fn json(status: u16, body: &Value) -> Response<Body> {
    typed(status, "application/json", body.to_string())
}

/// A problem answer.
pub(crate) fn problem(body: &Value) -> Response<Body> {
    let status = u16::try_from(body["status"].as_u64().unwrap()).unwrap();
    typed(status, "application/problem+json", body.to_string())
}

/// An answer of any type.
pub(crate) fn typed(status: u16, content_type: &str, body: impl Into<Body>) -> Response<Body> {
    Response::builder().status(status).header("content-type", content_type).body(body.into()).unwrap()
}

/// An event stream that ends after its text.
pub(crate) fn ended(text: impl Into<String>) -> Response<Body> {
    typed(200, "text/event-stream", text.into())
}

/// An event stream that says its text and then stays open.
pub(crate) fn open(text: impl Into<String>) -> Response<Body> {
    use futures_util::stream::{StreamExt, once, pending};
    let text: String = text.into();
    let first = once(async move { Ok::<_, std::io::Error>(Bytes::from(text)) });
    typed(200, "text/event-stream", Body::from_stream(first.chain(pending())))
}

/// One frame of an event stream.
pub(crate) fn frame(id: u64, event: &Value) -> String {
    let kind = event["type"].as_str().unwrap();
    let data = serde_json::json!({"id": id, "timestamp": "2025-10-17T12:00:00Z", "event": event});
    format!("id: {id}\nevent: {kind}\ndata: {data}\n\n")
}

/// A torrent's detail.
pub(crate) fn detail(kind: &str, done: u64, fsops: &Value) -> Value {
    let mut detail = serde_json::json!({
        "id": ID, "name": "show", "info_hash": {"v1": "ab".repeat(20)},
        "state": {"kind": kind},
        "progress": {"bytes_downloaded": done, "bytes_total": 10, "percent_complete": done * 10},
        "rates": {"download_bps": 0, "upload_bps": 0, "ratio": 0.0},
        "download_dir": "/srv/downloads", "sequential": false, "tags": [], "trackers": [], "rate_limit": {},
        "added_at": "2025-10-17T12:00:00Z", "last_updated": "2025-10-17T12:00:00Z",
        "selection": {"include": [], "exclude": [], "skip_fluff": false, "priorities": []},
    });
    if !fsops.is_null() {
        detail["fsops"] = fsops.clone();
    }
    detail
}

/// The torrent that scripts speak of.
pub(crate) const ID: &str = "00000000-0000-0000-0000-000000000007";

/// The binary with an empty environment, a key and a home of its own.
pub(crate) fn revaer(url: &str, home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_revaer"));
    command
        .env_clear()
        .env("HOME", home)
        .env("REVAER_API_URL", url)
        .env("REVAER_API_KEY", "admin:s3cret")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// What a run left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Runs the binary to its end.
pub(crate) async fn run(url: &str, args: &[&str]) -> Ran {
    let home = tempfile::tempdir().unwrap();
    revaer(url, home.path()).args(args).output().await.unwrap().into()
}

/// Runs the binary to its end with a text on stdin.
pub(crate) async fn run_with_stdin(url: &str, args: &[&str], text: &str) -> Ran {
    let home = tempfile::tempdir().unwrap();
    feed(revaer(url, home.path()).args(args), text).await
}

/// Runs a command to its end with a text on stdin.
pub(crate) async fn feed(command: &mut Command, text: &str) -> Ran {
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).await.unwrap();
    child.wait_with_output().await.unwrap().into()
}

/// An address where nothing listens.
pub(crate) async fn nowhere() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// A body that breaks off.
pub(crate) fn broken() -> Body {
    use futures_util::stream::{StreamExt, iter, once};
    let failure = once(async { Err(std::io::Error::other("cut")) });
    Body::from_stream(iter([Ok(Bytes::from_static(b"{"))]).chain(failure))
}

/// A body that begins and never goes on.
pub(crate) fn endless() -> Body {
    use futures_util::stream::{StreamExt, iter, pending};
    Body::from_stream(iter([Ok::<_, std::io::Error>(Bytes::from_static(b"{"))]).chain(pending()))
}
