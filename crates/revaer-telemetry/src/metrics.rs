//! The metrics registry. Names are the contract's; labels are bounded (never a torrent's name or hash).

use std::{
    fmt::Write as _,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64},
    },
};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use crate::{Component, Health};

/// Seconds, from a memory read to the 30 s request limit.
const HTTP_BUCKETS: [f64; 11] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];
/// Seconds, from a rename to a copy of hundreds of gigabytes.
const STEP_BUCKETS: [f64; 9] = [0.001, 0.01, 0.1, 1.0, 5.0, 30.0, 120.0, 600.0, 3600.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HttpLabels {
    method: String,
    route: String,
    code: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    method: String,
    route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TypeLabel {
    r#type: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StepLabels {
    step: &'static str,
    status: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StepLabel {
    step: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ComponentLabel {
    component: &'static str,
}

/// How many torrents are in which state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TorrentCounts {
    /// State name → torrents in it; a state that is absent counts 0.
    pub by_state: Vec<(&'static str, u64)>,
    /// Torrents that are members of the engine's session.
    pub active: u64,
    /// Torrents that wait for their turn.
    pub queued: u64,
}

#[derive(Debug)]
struct Inner {
    registry: Mutex<Registry>,
    http_requests: Family<HttpLabels, Counter>,
    http_duration: Family<RouteLabels, Histogram, fn() -> Histogram>,
    events_emitted: Family<TypeLabel, Counter>,
    sse_subscribers: Gauge<i64, AtomicI64>,
    sse_dropped: Counter,
    fsops_steps: Family<StepLabels, Counter>,
    fsops_duration: Family<StepLabel, Histogram, fn() -> Histogram>,
    active_torrents: Gauge<u64, AtomicU64>,
    queue_depth: Gauge<u64, AtomicU64>,
    torrents: Family<StateLabel, Gauge<u64, AtomicU64>>,
    engine_bytes_in: Counter,
    engine_bytes_out: Counter,
    health_degraded: Family<ComponentLabel, Gauge<i64, AtomicI64>>,
}

/// The server's metrics. Clones share the registry.
#[derive(Debug, Clone)]
pub struct Metrics {
    inner: Arc<Inner>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// A fresh registry with every metric at its start.
    pub fn new() -> Self {
        let mut registry = Registry::default();
        let inner = Inner {
            http_requests: Family::default(),
            http_duration: Family::new_with_constructor(http_histogram),
            events_emitted: Family::default(),
            sse_subscribers: Gauge::default(),
            sse_dropped: Counter::default(),
            fsops_steps: Family::default(),
            fsops_duration: Family::new_with_constructor(step_histogram),
            active_torrents: Gauge::default(),
            queue_depth: Gauge::default(),
            torrents: Family::default(),
            engine_bytes_in: Counter::default(),
            engine_bytes_out: Counter::default(),
            health_degraded: Family::default(),
            registry: Mutex::new(Registry::default()),
        };
        // Counters get `_total` from the encoder, except the two that the contract names without it.
        registry.register("http_requests", "Requests answered", inner.http_requests.clone());
        registry.register(
            "http_request_duration_seconds",
            "Time to the answer's head",
            inner.http_duration.clone(),
        );
        registry.register("events_emitted", "Events published", inner.events_emitted.clone());
        registry.register("sse_subscribers", "Open event streams", inner.sse_subscribers.clone());
        registry.register(
            "sse_dropped",
            "Event streams cut because they took nothing",
            inner.sse_dropped.clone(),
        );
        registry.register("fsops_steps", "Pipeline steps by outcome", inner.fsops_steps.clone());
        registry.register(
            "fsops_step_duration_seconds",
            "Time of a pipeline step",
            inner.fsops_duration.clone(),
        );
        registry.register(
            "active_torrents",
            "Torrents in the engine's session",
            inner.active_torrents.clone(),
        );
        registry.register("queue_depth", "Torrents that wait for their turn", inner.queue_depth.clone());
        registry.register("torrents", "Torrents by state", inner.torrents.clone());
        registry.register(
            "health_degraded",
            "1 while the component is degraded",
            inner.health_degraded.clone(),
        );
        Self { inner: Arc::new(Inner { registry: Mutex::new(registry), ..inner }) }
    }

    /// Counts one answered request. `route` is the route's pattern, never the path.
    pub fn http_request(&self, method: &str, route: &str, code: u16, seconds: f64) {
        let (method, route) = (method.to_owned(), route.to_owned());
        self.inner
            .http_requests
            .get_or_create(&HttpLabels { method: method.clone(), route: route.clone(), code })
            .inc();
        self.inner.http_duration.get_or_create(&RouteLabels { method, route }).observe(seconds);
    }

    /// Counts one published event.
    pub fn event_emitted(&self, kind: &'static str) {
        self.inner.events_emitted.get_or_create(&TypeLabel { r#type: kind }).inc();
    }

    /// An event stream was opened (`1`) or closed (`-1`).
    pub fn sse_subscribers_changed(&self, by: i64) {
        self.inner.sse_subscribers.inc_by(by);
    }

    /// An event stream was cut because its reader took nothing.
    pub fn sse_dropped(&self) {
        self.inner.sse_dropped.inc();
    }

    /// Counts one pipeline step.
    pub fn fsops_step(&self, step: &'static str, status: &'static str, seconds: f64) {
        self.inner.fsops_steps.get_or_create(&StepLabels { step, status }).inc();
        self.inner.fsops_duration.get_or_create(&StepLabel { step }).observe(seconds);
    }

    /// Payload that the engine received and sent since the last call, in bytes.
    pub fn engine_bytes(&self, received: u64, sent: u64) {
        self.inner.engine_bytes_in.inc_by(received);
        self.inner.engine_bytes_out.inc_by(sent);
    }

    /// Sets the torrent gauges.
    pub fn torrents(&self, counts: &TorrentCounts) {
        self.inner.active_torrents.set(counts.active);
        self.inner.queue_depth.set(counts.queued);
        for (state, count) in &counts.by_state {
            self.inner.torrents.get_or_create(&StateLabel { state }).set(*count);
        }
    }

    /// The Prometheus text format, with the gauges of `health` as they are now.
    pub fn render(&self, health: &Health) -> String {
        let degraded = health.degraded();
        for component in Component::ALL {
            let name = component.name();
            self.inner
                .health_degraded
                .get_or_create(&ComponentLabel { component: name })
                .set(i64::from(degraded.contains(&name)));
        }
        let mut text = String::new();
        // The contract names these two without the `_total` that the encoder would add.
        for (name, help, value) in [
            ("engine_bytes_in", "Payload bytes received", self.inner.engine_bytes_in.get()),
            ("engine_bytes_out", "Payload bytes sent", self.inner.engine_bytes_out.get()),
        ] {
            let written = write!(text, "# HELP {name} {help}.\n# TYPE {name} counter\n{name} {value}\n");
            debug_assert!(written.is_ok(), "writing to a String cannot fail");
        }
        let registry = self.inner.registry.lock().unwrap_or_else(PoisonError::into_inner);
        let encoded = encode(&mut text, &registry);
        debug_assert!(encoded.is_ok(), "writing to a String cannot fail");
        text
    }
}

fn http_histogram() -> Histogram {
    Histogram::new(HTTP_BUCKETS)
}

fn step_histogram() -> Histogram {
    Histogram::new(STEP_BUCKETS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_contracts() {
        let metrics = Metrics::new();
        metrics.http_request("GET", "/v1/torrents", 200, 0.002);
        metrics.event_emitted("completed");
        metrics.fsops_step("transfer", "completed", 0.1);
        metrics.engine_bytes(3, 4);
        let text = metrics.render(&Health::new());
        for line in [
            "http_requests_total{method=\"GET\",route=\"/v1/torrents\",code=\"200\"} 1",
            "events_emitted_total{type=\"completed\"} 1",
            "fsops_steps_total{step=\"transfer\",status=\"completed\"} 1",
            "engine_bytes_in 3",
            "health_degraded{component=\"disk\"} 0",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
    }
}
