//! Traces: spans of units of work, exported by OTLP (HTTP, protobuf) while there is an endpoint.
//!
//! The layer stands ready in every process and its tracer is exchanged. While nothing is exported its filter refuses
//! every span, so that nothing is made, kept or written for it: what is left of the cost is one relaxed load for a
//! span. Spans that have ended wait in the bounded queue of the SDK's batch processor, on whose thread they are sent;
//! what does not fit is dropped. Nobody ever waits for a collector.
//!
//! `OTEL_*` variables are read by the SDK, when an export begins. The endpoint is never one of them.

mod delivery;
mod request;

use std::{
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use opentelemetry::{
    Context, KeyValue,
    global::{BoxedSpan, BoxedTracer},
    trace::{SpanBuilder, Tracer, TracerProvider as _, noop::NoopTracer},
};
use opentelemetry_otlp::{
    ExporterBuildError, Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _,
};
use opentelemetry_sdk::{
    Resource,
    resource::{
        EnvResourceDetector, ResourceDetector as _, SdkProvidedResourceDetector, TelemetryResourceDetector,
    },
    trace::SdkTracerProvider,
};
use reqwest::Url;
use tokio::{runtime::Handle, task::spawn_blocking};
use tokio_util::sync::CancellationToken;
use tracing::{
    Metadata, Subscriber, callsite::rebuild_interest_cache, level_filters::LevelFilter, subscriber::Interest,
};
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::{
    layer::{Context as LayerContext, Filter, Layer},
    registry::LookupSpan,
};

pub use self::request::Request;

/// What has ended when an export ends has this long to be delivered.
const FLUSH: Duration = Duration::from_secs(1);
/// `service.name`, unless the environment says another.
const SERVICE: &str = "revaer";
/// Where a collector takes traces, below its endpoint (OTLP specification, "OTLP/HTTP Request").
const SIGNAL: &str = "/v1/traces";
/// Stay open as long as their task: a trace of everything that ever happened in it is of no use.
const TASK: &str = "task";

/// Traces cannot be exported to the endpoint.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    /// It is no address.
    #[error("the endpoint for traces is no URL; use one as http://127.0.0.1:4318")]
    Endpoint,
    /// There is no client for it.
    #[error("the client for traces cannot be made")]
    Client(#[source] reqwest::Error),
    /// The SDK refuses what it found in the environment.
    #[error("the exporter of traces cannot be made")]
    Exporter(#[from] ExporterBuildError),
    /// Making it has failed altogether.
    #[error("the exporter of traces cannot be started")]
    Start(#[from] tokio::task::JoinError),
}

/// Where traces go at present. Clones change the same one.
#[derive(Debug, Clone)]
pub(crate) struct Traces(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    on: AtomicBool,
    tracer: RwLock<BoxedTracer>,
    export: Mutex<Option<Export>>,
}

impl Traces {
    /// Nothing is exported.
    pub(crate) fn off() -> Self {
        let (on, tracer) = (AtomicBool::new(false), RwLock::new(nowhere()));
        Self(Arc::new(Inner { on, tracer, export: Mutex::new(None) }))
    }

    /// What makes traces of spans.
    pub(crate) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        // The request's own fields are enough, and its log lines have the rest.
        OpenTelemetryLayer::new(Current(self.clone()))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_context_activation(false)
            .with_filter(Exported(self.clone()))
    }

    /// Exports to `endpoint` from now on. Returns when what has ended before is delivered where it was to go, or given
    /// up after [`FLUSH`]. After an error nothing is exported.
    pub(crate) async fn export(&self, endpoint: Option<&str>) -> Result<(), TracesError> {
        let started = match endpoint {
            Some(endpoint) => Export::start(endpoint).await.map(Some),
            None => Ok(None),
        };
        let (next, outcome) = match started {
            Ok(next) => (next, Ok(())),
            Err(error) => (None, Err(error)),
        };
        let going_on = next.is_some();
        let former = self.exchange(next);
        if let Some(former) = former {
            former.end().await;
            if !going_on {
                tracing::info!("traces are no longer exported");
            }
        }
        outcome
    }

    fn exchange(&self, next: Option<Export>) -> Option<Export> {
        let on = next.is_some();
        let tracer = next.as_ref().map_or_else(nowhere, Export::tracer);
        *self.0.tracer.write().unwrap_or_else(PoisonError::into_inner) = tracer;
        let former =
            std::mem::replace(&mut *self.0.export.lock().unwrap_or_else(PoisonError::into_inner), next);
        if self.0.on.swap(on, Ordering::Relaxed) != on {
            rebuild_interest_cache();
        }
        former
    }

    fn on(&self) -> bool {
        self.0.on.load(Ordering::Relaxed)
    }
}

fn nowhere() -> BoxedTracer {
    BoxedTracer::new(Box::new(NoopTracer::new()))
}

/// Lets the spans through that are exported: our own, while there is an endpoint, whatever is logged.
struct Exported(Traces);

impl Exported {
    fn takes(&self, metadata: &Metadata<'_>) -> bool {
        self.0.on()
            && metadata.is_span()
            && metadata.target().starts_with("revaer")
            && metadata.name() != TASK
    }
}

impl<S> Filter<S> for Exported {
    fn enabled(&self, metadata: &Metadata<'_>, _: &LayerContext<'_, S>) -> bool {
        self.takes(metadata)
    }

    // Asked again whenever the export begins or ends.
    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.takes(metadata) { Interest::always() } else { Interest::never() }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(if self.0.on() { LevelFilter::INFO } else { LevelFilter::OFF })
    }
}

/// The tracer of the endpoint at present.
#[derive(Debug)]
struct Current(Traces);

impl Tracer for Current {
    type Span = BoxedSpan;

    fn build_with_context(&self, builder: SpanBuilder, parent: &Context) -> BoxedSpan {
        let tracer = self.0.0.tracer.read().unwrap_or_else(PoisonError::into_inner);
        tracer.build_with_context(request::named(builder), parent)
    }
}

/// An export under way.
#[derive(Debug)]
struct Export {
    provider: SdkTracerProvider,
    /// Ends what is being delivered.
    ended: CancellationToken,
}

impl Export {
    async fn start(endpoint: &str) -> Result<Self, TracesError> {
        let url = collector(endpoint)?;
        let (runtime, ended) = (Handle::current(), CancellationToken::new());
        let (address, ending) = (url.clone(), ended.clone());
        // Reads the certificates of the system, and starts a thread, which may panic.
        let provider = spawn_blocking(move || provider(&address, runtime, ending)).await??;
        tracing::info!(endpoint = url.as_str(), "traces are exported");
        Ok(Self { provider, ended })
    }

    fn tracer(&self) -> BoxedTracer {
        BoxedTracer::new(Box::new(self.provider.tracer(SERVICE)))
    }

    async fn end(self) {
        let Self { provider, ended } = self;
        let flushed = spawn_blocking(move || provider.shutdown_with_timeout(FLUSH)).await;
        ended.cancel();
        if !matches!(flushed, Ok(Ok(()))) {
            tracing::info!("the last traces were not delivered in time and are dropped");
        }
    }
}

fn provider(url: &Url, runtime: Handle, ended: CancellationToken) -> Result<SdkTracerProvider, TracesError> {
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(url.as_str())
        .with_http_client(delivery::Client::new(url, runtime, ended).map_err(TracesError::Client)?)
        .build()?;
    Ok(SdkTracerProvider::builder().with_resource(resource()).with_batch_exporter(exporter).build())
}

/// The address that traces are sent to. Names and passwords in it would be logged by many a collector: left out.
fn collector(endpoint: &str) -> Result<Url, TracesError> {
    let mut url = Url::parse(endpoint).map_err(|_| TracesError::Endpoint)?;
    url.set_username("").and_then(|()| url.set_password(None)).map_err(|()| TracesError::Endpoint)?;
    let base = url.path().trim_end_matches('/');
    if !base.ends_with(SIGNAL) {
        let path = format!("{base}{SIGNAL}");
        url.set_path(&path);
    }
    Ok(url)
}

/// What the exported spans are said to come from; what the environment says wins.
fn resource() -> Resource {
    let given = SdkProvidedResourceDetector.detect();
    let given = given.iter().filter(|(_, value)| !value.as_str().starts_with("unknown_service"));
    let given: Vec<KeyValue> = given.map(|(key, value)| KeyValue::new(key.clone(), value.clone())).collect();
    Resource::builder_empty()
        .with_service_name(SERVICE)
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_detector(Box::new(EnvResourceDetector::new()))
        .with_attributes(given)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_go_to_the_path_of_their_own_below_the_endpoint() {
        for (endpoint, url) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
            ("http://127.0.0.1:4318/", "http://127.0.0.1:4318/v1/traces"),
            ("https://collector.example/otlp/", "https://collector.example/otlp/v1/traces"),
            ("https://collector.example/otlp/v1/traces", "https://collector.example/otlp/v1/traces"),
            ("https://me:secret@collector.example", "https://collector.example/v1/traces"),
        ] {
            assert_eq!(collector(endpoint).unwrap().as_str(), url, "{endpoint}");
        }
        assert!(collector("collector").is_err());
    }
}
