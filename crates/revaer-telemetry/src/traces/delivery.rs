//! Sends what the exporter has made, and tells when that does not work.

use std::{
    error::Error,
    future::Future,
    pin::Pin,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response, ResponseBodyTooLarge};
use reqwest::{Url, redirect::Policy};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

/// One attempt; the SDK decides how long there are others (`OTEL_EXPORTER_OTLP_TIMEOUT`, 10 s where it is not set).
const ATTEMPT: Duration = Duration::from_secs(10);
/// The answer of a collector is a few bytes.
const LONGEST_ANSWER: usize = 64 * 1024;
/// A failure that goes on is said again after this long.
const SAY_AGAIN: Duration = Duration::from_mins(1);

/// The way to one collector.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    /// The exporter asks from a thread of its own, outside of it.
    runtime: Handle,
    ended: CancellationToken,
    endpoint: String,
    failures: Mutex<Failures>,
}

/// What has failed since a delivery succeeded.
#[derive(Debug, Default)]
struct Failures {
    said: Option<Instant>,
    unsaid: u64,
}

impl Client {
    pub(super) fn new(url: &Url, runtime: Handle, ended: CancellationToken) -> reqwest::Result<Self> {
        // Where one is installed already it serves as well.
        drop(rustls::crypto::ring::default_provider().install_default());
        // What the operator has set is where traces go: no proxy of the environment, and nobody else's redirect.
        let mut builder = reqwest::Client::builder()
            .timeout(ATTEMPT)
            .connect_timeout(ATTEMPT)
            .no_proxy()
            .redirect(Policy::none());
        if url.scheme() != "https" {
            // A host without CA certificates has a collector, too.
            builder = builder.tls_certs_only([]);
        }
        let endpoint = url.to_string();
        Ok(Self { http: builder.build()?, runtime, ended, endpoint, failures: Mutex::default() })
    }

    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (http, ended) = (self.http.clone(), self.ended.clone());
        let exchanged =
            self.runtime.spawn(async move { ended.run_until_cancelled(exchange(http, request)).await });
        let Some(answer) = exchanged.await? else { return Err("the export has ended".into()) };
        match &answer {
            Ok(answer) if answer.status().is_success() => self.delivered(),
            Ok(answer) => self.failed(&format!("the collector answered {}", answer.status())),
            Err(error) => self.failed(&innermost(error.as_ref())),
        }
        answer
    }

    fn delivered(&self) {
        let failures = std::mem::take(&mut *self.failures.lock().unwrap_or_else(PoisonError::into_inner));
        if failures.said.is_some() {
            tracing::info!(endpoint = self.endpoint, "traces are delivered again");
        }
    }

    fn failed(&self, reason: &str) {
        let unsaid = {
            let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
            if failures.said.is_some_and(|said| said.elapsed() < SAY_AGAIN) {
                failures.unsaid += 1;
                return;
            }
            failures.said = Some(Instant::now());
            std::mem::take(&mut failures.unsaid)
        };
        tracing::warn!(
            endpoint = self.endpoint,
            reason,
            unsaid,
            "traces are not delivered, and dropped where they do not fit in the queue; said once a minute"
        );
    }
}

impl HttpClient for Client {
    fn send_bytes<'client, 'sent>(
        &'client self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'sent>>
    where
        'client: 'sent,
        Self: 'sent,
    {
        Box::pin(self.send(request))
    }
}

async fn exchange(http: reqwest::Client, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let mut answer = http.execute(request.try_into()?).await?;
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        if body.len() + chunk.len() > LONGEST_ANSWER {
            return Err(ResponseBodyTooLarge::new().into());
        }
        body.extend_from_slice(&chunk);
    }
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = answer.status();
    *response.headers_mut() = std::mem::take(answer.headers_mut());
    Ok(response)
}

/// The cause at the end of the chain: what the system said.
fn innermost(error: &(dyn Error + Send + Sync + 'static)) -> String {
    let mut cause: &dyn Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
