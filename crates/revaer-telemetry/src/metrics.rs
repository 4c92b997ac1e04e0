//! The metrics registry. Names are the contract's; labels are bounded (never a torrent's name or hash).

use std::{
    fmt::Write as _,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
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

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct GuardLabel {
    guard: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ActionLabel {
    action: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

/// How settings arrive, as the health document tells it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ConfigFigures {
    /// Milliseconds from a commit to the snapshot in memory, the last time.
    pub watch_latency_ms: f64,
    /// Milliseconds from a commit to the last subscriber's word, the last time.
    pub apply_latency_ms: f64,
    /// Settings that could not be read or put in force.
    pub update_failures: u64,
    /// Settings that took longer than 2 s.
    pub slow: u64,
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
    event_queue_depth: Gauge<u64, AtomicU64>,
    active_torrents: Gauge<u64, AtomicU64>,
    queue_depth: Gauge<u64, AtomicU64>,
    torrents: Family<StateLabel, Gauge<u64, AtomicU64>>,
    engine_bytes_in: Counter,
    engine_bytes_out: Counter,
    health_degraded: Family<ComponentLabel, Gauge<i64, AtomicI64>>,
    health_degraded_times: Family<ComponentLabel, Counter>,
    config_watch_latency_ms: Gauge<f64, AtomicU64>,
    config_apply_latency_ms: Gauge<f64, AtomicU64>,
    config_watch_failing: Gauge<i64, AtomicI64>,
    config_update_failures: Counter,
    config_watch_slow: Counter,
    guardrail_violations: Family<GuardLabel, Counter>,
    guardrail_violations_all: Counter,
    rate_limit_throttled: Counter,
    api_auth_failures: Family<ReasonLabel, Counter>,
    api_keys_changes: Family<ActionLabel, Counter>,
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
            event_queue_depth: Gauge::default(),
            active_torrents: Gauge::default(),
            queue_depth: Gauge::default(),
            torrents: Family::default(),
            engine_bytes_in: Counter::default(),
            engine_bytes_out: Counter::default(),
            health_degraded: Family::default(),
            health_degraded_times: Family::default(),
            config_watch_latency_ms: Gauge::default(),
            config_apply_latency_ms: Gauge::default(),
            config_watch_failing: Gauge::default(),
            config_update_failures: Counter::default(),
            config_watch_slow: Counter::default(),
            guardrail_violations: Family::default(),
            guardrail_violations_all: Counter::default(),
            rate_limit_throttled: Counter::default(),
            api_auth_failures: Family::default(),
            api_keys_changes: Family::default(),
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
        inner.register_control_plane(&mut registry);
        Self { inner: Arc::new(Inner { registry: Mutex::new(registry), ..inner }) }
    }

    /// A settings snapshot is in memory, so many milliseconds after its commit.
    pub fn config_watched(&self, latency_ms: f64) {
        self.inner.config_watch_latency_ms.set(latency_ms);
    }

    /// Every subscriber has said that it works by a settings snapshot, so many milliseconds after its commit.
    pub fn config_applied(&self, latency_ms: f64) {
        self.inner.config_apply_latency_ms.set(latency_ms);
    }

    /// Whether the settings can be read.
    pub fn config_watch_failing(&self, failing: bool) {
        self.inner.config_watch_failing.set(i64::from(failing));
    }

    /// Settings could not be read or put in force.
    pub fn config_update_failed(&self) {
        self.inner.config_update_failures.inc();
    }

    /// Settings took longer than they may.
    pub fn config_watch_slow(&self) {
        self.inner.config_watch_slow.inc();
    }

    /// How settings arrive.
    pub fn config_figures(&self) -> ConfigFigures {
        ConfigFigures {
            watch_latency_ms: self.inner.config_watch_latency_ms.get(),
            apply_latency_ms: self.inner.config_apply_latency_ms.get(),
            update_failures: self.inner.config_update_failures.get(),
            slow: self.inner.config_watch_slow.get(),
        }
    }

    /// Shows the guard with the count that it has, though it be 0.
    pub(crate) fn guardrail_known(&self, guard: &'static str) {
        self.inner.guardrail_violations.get_or_create(&GuardLabel { guard }).inc_by(0);
    }

    /// Counts a guard rail that was touched.
    pub(crate) fn guardrail_violated(&self, guard: &'static str) {
        self.inner.guardrail_violations.get_or_create(&GuardLabel { guard }).inc();
        self.inner.guardrail_violations_all.inc();
    }

    /// Guard rails that were touched, all together.
    pub fn guardrail_violations(&self) -> u64 {
        self.inner.guardrail_violations_all.get()
    }

    /// Counts a request that was refused for its rate.
    pub fn rate_limit_throttled(&self) {
        self.inner.rate_limit_throttled.inc();
    }

    /// Requests that were refused for their rate.
    pub fn rate_limit_throttled_total(&self) -> u64 {
        self.inner.rate_limit_throttled.get()
    }

    /// Counts a request whose caller was not taken for the holder of a key: `missing`, `malformed`, `rejected`,
    /// `disabled`, `expired` or `busy`.
    pub fn api_auth_failed(&self, reason: &'static str) {
        self.inner.api_auth_failures.get_or_create(&ReasonLabel { reason }).inc();
    }

    /// Counts a change of API keys: `issued`, `rotated`, `revoked`, `updated` or `expired`.
    pub fn api_key_changed(&self, action: &'static str) {
        self.inner.api_keys_changes.get_or_create(&ActionLabel { action }).inc();
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

    /// Items that wait for the writer of the event log.
    pub fn event_queue_depth(&self, waiting: usize) {
        self.inner.event_queue_depth.set(u64::try_from(waiting).unwrap_or(u64::MAX));
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
            let times = self.inner.health_degraded_times.get_or_create(&ComponentLabel { component: name });
            times.inner().store(health.times_degraded(component), Ordering::Relaxed);
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

impl Inner {
    fn register_control_plane(&self, registry: &mut Registry) {
        registry.register(
            "health_degraded",
            "Times that the component became degraded",
            self.health_degraded_times.clone(),
        );
        registry.register(
            "event_queue_depth",
            "Items that wait for the writer of the event log",
            self.event_queue_depth.clone(),
        );
        registry.register(
            "config_watch_latency_ms",
            "Milliseconds from a settings commit to the snapshot in memory, the last time",
            self.config_watch_latency_ms.clone(),
        );
        registry.register(
            "config_apply_latency_ms",
            "Milliseconds from a settings commit to the last subscriber's word, the last time",
            self.config_apply_latency_ms.clone(),
        );
        registry.register(
            "config_watch_failing",
            "1 while the settings cannot be read",
            self.config_watch_failing.clone(),
        );
        registry.register(
            "config_update_failures",
            "Settings that could not be read or put in force",
            self.config_update_failures.clone(),
        );
        registry.register(
            "config_watch_slow",
            "Settings that took longer than 2 s to be in force",
            self.config_watch_slow.clone(),
        );
        registry.register(
            "config_guardrail_violations",
            "Guard rails that were touched",
            self.guardrail_violations.clone(),
        );
        registry.register(
            "api_rate_limit_throttled",
            "Requests refused for their key's rate",
            self.rate_limit_throttled.clone(),
        );
        registry.register(
            "api_auth_failures",
            "Requests refused for their API key, or for having none",
            self.api_auth_failures.clone(),
        );
        registry.register("api_keys_changes", "Changes of API keys", self.api_keys_changes.clone());
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
        metrics.config_applied(1.5);
        metrics.guardrail_violated("loopback");
        metrics.api_key_changed("issued");
        metrics.api_auth_failed("rejected");
        let text = metrics.render(&Health::new());
        for line in [
            "http_requests_total{method=\"GET\",route=\"/v1/torrents\",code=\"200\"} 1",
            "events_emitted_total{type=\"completed\"} 1",
            "fsops_steps_total{step=\"transfer\",status=\"completed\"} 1",
            "engine_bytes_in 3",
            "health_degraded{component=\"disk\"} 0",
            "health_degraded_total{component=\"disk\"} 0",
            "config_watch_latency_ms 0.0",
            "config_apply_latency_ms 1.5",
            "config_watch_failing 0",
            "event_queue_depth 0",
            "config_update_failures_total 0",
            "config_watch_slow_total 0",
            "config_guardrail_violations_total{guard=\"loopback\"} 1",
            "api_rate_limit_throttled_total 0",
            "api_keys_changes_total{action=\"issued\"} 1",
            "api_auth_failures_total{reason=\"rejected\"} 1",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
    }
}
