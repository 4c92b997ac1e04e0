//! A plain HTTP client: one connection per request, answers as they came.

use std::{collections::HashMap, net::SocketAddr, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::support::sse::EventStream;

/// An answer that does not come within this is a failure of the test.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names are lower case.
    pub(crate) headers: HashMap<String, String>,
    pub(crate) text: String,
    /// The body; null where it is no JSON.
    pub(crate) json: Value,
}

impl Answer {
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        Self {
            status,
            headers,
            text: body.to_owned(),
            json: serde_json::from_str(body).unwrap_or(Value::Null),
        }
    }

    /// Checks the status; answers the body.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.json
    }

    /// Checks that it is a problem document of this kind, whole and consistent; answers itself.
    #[track_caller]
    pub(crate) fn problem(self, status: u16, kind: &str) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.headers["content-type"], "application/problem+json", "{}", self.text);
        assert_eq!(self.json["type"], format!("https://revaer.dev/problems/{kind}"), "{}", self.text);
        assert_eq!(self.json["status"], status, "{}", self.text);
        assert!(self.json["title"].is_string() && self.json["detail"].is_string(), "{}", self.text);
        assert!(self.headers.contains_key("x-request-id"), "{:?}", self.headers);
        self
    }
}

/// A client with perhaps a key.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    addr: SocketAddr,
    key: Option<String>,
}

impl Client {
    pub(crate) fn new(addr: SocketAddr) -> Self {
        Self { addr, key: None }
    }

    pub(crate) fn with_key(&self, key: &str) -> Self {
        Self { key: Some(key.to_owned()), ..self.clone() }
    }

    pub(crate) fn key(&self) -> &str {
        self.key.as_deref().unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], b"").await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, &[], b"").await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.json("POST", path, &[], body).await
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.json("PATCH", path, &[], body).await
    }

    pub(crate) async fn json(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Answer {
        let mut all = vec![("content-type", "application/json")];
        all.extend(headers);
        self.send(method, path, &all, body.to_string().as_bytes()).await
    }

    /// Sends a multipart form of `(name, content type, content)`.
    pub(crate) async fn form(&self, path: &str, parts: &[(&str, &str, &[u8])]) -> Answer {
        let mut body = Vec::new();
        for (name, media, content) in parts {
            let file = if *name == "torrent" { "; filename=\"a.torrent\"" } else { "" };
            let head = format!(
                "--XX\r\ncontent-disposition: form-data; name=\"{name}\"{file}\r\ncontent-type: {media}\r\n\r\n"
            );
            body.extend_from_slice(head.as_bytes());
            body.extend_from_slice(content);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"--XX--\r\n");
        self.send("POST", path, &[("content-type", "multipart/form-data; boundary=XX")], &body).await
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let length = body.len().to_string();
        let mut all = headers.to_vec();
        all.extend([("connection", "close"), ("content-length", &*length)]);
        let head = self.head(method, path, &all);
        let bytes = [head.as_bytes(), body].concat();
        self.raw(&bytes).await
    }

    /// Sends bytes as they are; answers what came until the server closed.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.addr).await.unwrap();
        let exchange = async {
            let (mut reader, mut writer) = stream.split();
            let mut answer = Vec::new();
            // The server may answer and close before it has read everything.
            let (written, read) = tokio::join!(writer.write_all(bytes), reader.read_to_end(&mut answer));
            written.ok();
            read.map(|_| answer)
        };
        let answer = tokio::time::timeout(PATIENCE, exchange).await.expect("no answer").unwrap();
        Answer::parse(&answer)
    }

    /// Opens the event stream.
    pub(crate) async fn events(&self, query: &str, after: Option<u64>) -> EventStream {
        let after = after.map(|id| id.to_string());
        let headers: Vec<_> = after.iter().map(|id| ("last-event-id", id.as_str())).collect();
        let head = self.head("GET", &format!("/v1/events{query}"), &headers);
        let mut stream = TcpStream::connect(self.addr).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        EventStream::open(stream).await
    }

    fn head(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> String {
        let addr = self.addr.to_string();
        let mut lines = vec![format!("{method} {path} HTTP/1.1")];
        let names_host = headers.iter().any(|(name, _)| *name == "host");
        let host = (!names_host).then_some(("host", addr.as_str()));
        let key = self.key.as_deref().map(|key| ("x-revaer-api-key", key));
        let all = host.iter().chain(&key).chain(headers);
        lines.extend(all.map(|(name, value)| format!("{name}: {value}")));
        lines.join("\r\n") + "\r\n\r\n"
    }
}
