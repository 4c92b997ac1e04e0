//! A plain client of the HTTP API: answers are status, headers and JSON as they came, judged by the tests.

use std::sync::Once;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::multipart::{Form, Part};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

use crate::sse::EventStream;
use crate::wait;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// The request, for messages.
    pub request: String,
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// The body; null if it is empty, a string if it is no JSON.
    pub body: Value,
}

impl Answer {
    /// The body, if the status is the expected one.
    pub fn expect(self, status: u16) -> Result<Value> {
        if self.status != status {
            bail!("{} answered {} where {status} is due: {}", self.request, self.status, self.body);
        }
        Ok(self.body)
    }

    /// Checks a Problem: status, media type, last part of its type; answers the body.
    pub fn expect_problem(self, status: u16, kind: &str) -> Result<Value> {
        let media = self
            .headers
            .get("content-type")
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        let request = self.request.clone();
        let body = self.expect(status)?;
        if !media.starts_with("application/problem+json") {
            bail!("{request} answered a problem as {media:?}: {body}");
        }
        if body["type"] != format!("https://revaer.dev/problems/{kind}") || body["status"] != status {
            bail!("{request} answered another problem than {kind}: {body}");
        }
        Ok(body)
    }
}

/// A client with a base URL and perhaps a key.
#[derive(Debug, Clone)]
pub struct Api {
    client: Client,
    base: String,
    key: Option<String>,
}

impl Api {
    /// Without a key.
    pub fn new(base: &str) -> Result<Self> {
        install_crypto();
        let client = Client::builder().no_proxy().build().context("no HTTP client")?;
        Ok(Self { client, base: base.trim_end_matches('/').to_owned(), key: None })
    }

    /// The same with a key.
    #[must_use]
    pub fn with_key(&self, key: &str) -> Self {
        Self { key: Some(key.to_owned()), ..self.clone() }
    }

    /// The same client of another address.
    #[must_use]
    pub fn at(&self, base: &str) -> Self {
        Self { base: base.trim_end_matches('/').to_owned(), ..self.clone() }
    }

    /// The same with connections of its own.
    pub fn fresh(&self) -> Result<Self> {
        Ok(Self { key: self.key.clone(), ..Self::new(&self.base)? })
    }

    /// The key in use.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// The base URL.
    pub fn url(&self) -> &str {
        &self.base
    }

    fn request(&self, method: &Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method.clone(), format!("{}{path}", self.base));
        match &self.key {
            Some(key) => request.header("x-revaer-api-key", key),
            None => request,
        }
    }

    async fn send(&self, name: String, request: RequestBuilder) -> Result<Answer> {
        let response = request
            .timeout(Duration::from_mins(1))
            .send()
            .await
            .with_context(|| format!("{name}: no answer"))?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let text = response.text().await.with_context(|| format!("{name}: the answer broke off"))?;
        let body = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).unwrap_or(Value::String(text))
        };
        Ok(Answer { request: name, status, headers, body })
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.send(format!("GET {path}"), self.request(&Method::GET, path)).await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Result<Answer> {
        self.send(format!("DELETE {path}"), self.request(&Method::DELETE, path)).await
    }

    /// POST of JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        self.post_with(path, body, &[]).await
    }

    /// POST of JSON with further headers.
    pub async fn post_with(&self, path: &str, body: &Value, headers: &[(&str, &str)]) -> Result<Answer> {
        let mut request = self.request(&Method::POST, path).json(body);
        for (name, value) in headers {
            request = request.header(HeaderName::try_from(*name)?, HeaderValue::try_from(*value)?);
        }
        self.send(format!("POST {path}"), request).await
    }

    /// PATCH of JSON.
    pub async fn patch(&self, path: &str, body: &Value) -> Result<Answer> {
        self.patch_with(path, body, &[]).await
    }

    /// PATCH of JSON with further headers.
    pub async fn patch_with(&self, path: &str, body: &Value, headers: &[(&str, &str)]) -> Result<Answer> {
        let mut request = self.request(&Method::PATCH, path).json(body);
        for (name, value) in headers {
            request = request.header(HeaderName::try_from(*name)?, HeaderValue::try_from(*value)?);
        }
        self.send(format!("PATCH {path}"), request).await
    }

    /// Adds a torrent file by multipart, its options as one JSON part.
    pub async fn upload(&self, torrent: &[u8], options: &Value) -> Result<Answer> {
        let file =
            Part::bytes(torrent.to_vec()).file_name("a.torrent").mime_str("application/x-bittorrent")?;
        let options = Part::text(options.to_string()).mime_str("application/json")?;
        let form = Form::new().part("torrent", file).part("options", options);
        let request = self.request(&Method::POST, "/v1/torrents").multipart(form);
        self.send("POST /v1/torrents (multipart)".to_owned(), request).await
    }

    /// Adds a magnet; answers the id.
    pub async fn add_magnet(&self, magnet: &str) -> Result<String> {
        id_of(&self.post("/v1/torrents", &json!({ "magnet": magnet })).await?.expect(202)?)
    }

    /// Adds a torrent file; answers the id.
    pub async fn add_metainfo(&self, torrent: &[u8]) -> Result<String> {
        id_of(&self.upload(torrent, &json!({})).await?.expect(202)?)
    }

    /// The detail of a torrent.
    pub async fn torrent(&self, id: &str) -> Result<Value> {
        self.get(&format!("/v1/torrents/{id}")).await?.expect(200)
    }

    /// Every torrent, page by page.
    pub async fn torrents(&self) -> Result<Vec<Value>> {
        let mut all = Vec::new();
        let mut path = "/v1/torrents?limit=200".to_owned();
        loop {
            let page = self.get(&path).await?.expect(200)?;
            all.extend(page["torrents"].as_array().context("a list without torrents")?.iter().cloned());
            match page["next"].as_str() {
                Some(next) => path = format!("/v1/torrents?limit=200&cursor={next}"),
                None => return Ok(all),
            }
        }
    }

    /// Waits until `condition` holds for the torrent's detail; answers that detail.
    pub async fn wait_torrent(
        &self,
        id: &str,
        what: &str,
        limit: Duration,
        condition: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let last = std::sync::Mutex::new(Value::Null);
        let found = wait::until(format!("torrent {id}: {what}"), limit, || async {
            let detail = self.torrent(id).await?;
            let holds = condition(&detail);
            *last.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = detail.clone();
            Ok(holds.then_some(detail))
        })
        .await;
        found.with_context(|| format!("last seen: {}", last.into_inner().unwrap_or_default()))
    }

    /// Waits until the library entry is complete; answers the detail.
    pub async fn wait_library(&self, id: &str, limit: Duration) -> Result<Value> {
        self.wait_torrent(id, "library entry", limit, |detail| detail["fsops"]["status"] == "completed").await
    }

    /// Opens the event stream after an id, or live.
    pub async fn events(&self, query: &str, after: Option<u64>) -> Result<EventStream> {
        let mut request = self.request(&Method::GET, &format!("/v1/events{query}"));
        if let Some(after) = after {
            request = request.header("last-event-id", after.to_string());
        }
        let response = request.send().await.context("no event stream")?;
        if response.status().as_u16() != 200 {
            bail!("GET /v1/events answered {}: {}", response.status(), response.text().await?);
        }
        Ok(EventStream::new(response))
    }
}

fn id_of(summary: &Value) -> Result<String> {
    Ok(summary["id"].as_str().with_context(|| format!("a summary without id: {summary}"))?.to_owned())
}

/// The client is built without a provider of its own; loopback is plain HTTP, but it wants one.
pub(crate) fn install_crypto() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if rustls::crypto::ring::default_provider().install_default().is_err() {
            eprintln!("another TLS provider is installed already");
        }
    });
}
