//! Metrics for Prometheus, as typed handles.
//!
//! Labels are bounded by construction: routes are route patterns, never paths; no label holds a
//! device, a chat or an address.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// Content type of [`Metrics::encode`].
pub const METRICS_CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All metrics of the process. Clones share the same metrics.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    handles: Handles,
    registry: Registry,
}

/// One handle per metric; every name is prefixed `wharf_`.
#[derive(Debug)]
pub struct Handles {
    /// `http_requests_total`; see [`Metrics::http_request`].
    pub http_requests: Family<HttpStatusLabels, Counter>,
    /// `http_request_seconds`; see [`Metrics::http_request`].
    pub http_request_seconds: Family<HttpLabels, Histogram, fn() -> Histogram>,
    /// `sockets`: Socket.IO sockets connected now.
    pub sockets: Gauge,
    /// `socket_cuts_total`: sockets closed by the daemon, by reason.
    pub socket_cuts: Family<ReasonLabels, Counter>,
    /// `events_appended_total`: entries added to event logs.
    pub events_appended: Counter,
    /// `messages_in_total`: incoming messages stored.
    pub messages_in: Counter,
    /// `messages_out_total`: completed sends, by outcome.
    pub messages_out: Family<OutcomeLabels, Counter>,
    /// `store_write_seconds`: from enqueueing a write to its commit.
    pub store_write_seconds: Histogram,
    /// `store_group_size`: writes in one commit.
    pub store_group_size: Histogram,
    /// `store_queue_depth`: writes waiting for the writer thread.
    pub store_queue_depth: Gauge,
    /// `store_busy_total`: writes refused because the queue was full.
    pub store_busy: Counter,
    /// `devices`: devices by state.
    pub devices: Family<DeviceLabels, Gauge>,
    /// `outbox_queued`: messages waiting to be sent.
    pub outbox_queued: Gauge,
    /// `auth_failures_total`: requests and sockets refused for their credentials.
    pub auth_failures: Counter,
    /// `engine_panics_total`: panics caught in engines.
    pub engine_panics: Counter,
    /// `webhook_attempts_total`: delivery attempts, by outcome.
    pub webhook_attempts: Family<OutcomeLabels, Counter>,
    /// `webhook_attempt_seconds`: duration of a delivery attempt.
    pub webhook_attempt_seconds: Histogram,
    /// `webhook_in_flight`: delivery attempts in flight.
    pub webhook_in_flight: Gauge,
    /// `webhook_waiting`: waiting deliveries.
    pub webhook_waiting: Gauge,
    /// `webhook_dead_total`: dead-lettered deliveries.
    pub webhook_dead: Counter,
    /// `webhook_disabled_total`: webhooks disabled for failures.
    pub webhook_disabled: Counter,
    /// `notifications_total`: emitted notifications, by kind.
    pub notifications: Family<KindLabels, Counter>,
    /// `notify_effects_total`: results of the actions show, play, run and push, by action and outcome.
    pub notify_effects: Family<EffectLabels, Counter>,
    /// `notify_command_exits_total`: finished commands, by exit code.
    pub notify_command_exits: Family<ExitLabels, Counter>,
    /// `bus_lagged_total`: wake-ups missed by slow readers; the log has their events.
    pub bus_lagged: Counter,
}

/// Labels of request durations.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub struct HttpLabels {
    /// A standard method, or `OTHER`.
    pub method: &'static str,
    /// Route pattern such as `/api/v1/devices/{id}`.
    pub route: String,
}

/// Labels of request counts.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub struct HttpStatusLabels {
    /// A standard method, or `OTHER`.
    pub method: &'static str,
    /// Route pattern.
    pub route: String,
    /// Status code of the response.
    pub status: u16,
}

/// Label of a closed socket.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub struct ReasonLabels {
    /// Reason code.
    pub reason: &'static str,
}

/// Label of a completed send or a delivery attempt.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub struct OutcomeLabels {
    /// `sent`, `transient`, `permanent` or `unknown`; of an attempt, `delivered` or an error code.
    pub outcome: &'static str,
}

/// Label of notification counts.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub struct KindLabels {
    /// Kind of notification.
    pub kind: &'static str,
}

/// Labels of an action of a notification.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub struct EffectLabels {
    /// The action; `any` for all together.
    pub action: &'static str,
    /// `done`, `off`, `busy`, `failed`, `dropped` (the queue was full), `old`; of pushes also `gone`,
    /// `refused` and `rests` (paused after failures).
    pub outcome: &'static str,
}

/// Label of a finished command.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub struct ExitLabels {
    /// Its exit code, `signal` or `timeout`.
    pub exit: String,
}

/// Label of device counts.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub struct DeviceLabels {
    /// State of the device.
    pub state: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for Metrics {
    type Target = Handles;

    fn deref(&self) -> &Handles {
        &self.0.handles
    }
}

impl Metrics {
    /// Creates all metrics with zero values.
    pub fn new() -> Self {
        let mut registry = Registry::default();
        let handles = register(registry.sub_registry_with_prefix("wharf"));
        registry.register_collector(Box::new(Process));
        Self(Arc::new(Shared { handles, registry }))
    }

    /// Counts an answered request. `route` must be the route's pattern (a fixed word if none matched), never
    /// the path.
    pub fn http_request(&self, method: &str, route: &str, status: u16, took: Duration) {
        let method = method_label(method);
        let labels = HttpStatusLabels { method, route: route.to_owned(), status };
        self.http_requests.get_or_create(&labels).inc();
        let labels = HttpLabels { method, route: route.to_owned() };
        self.http_request_seconds.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// Counts a socket closed by the daemon.
    pub fn socket_cut(&self, reason: &'static str) {
        self.socket_cuts.get_or_create(&ReasonLabels { reason }).inc();
    }

    /// Counts a completed send.
    pub fn message_out(&self, outcome: &'static str) {
        self.messages_out.get_or_create(&OutcomeLabels { outcome }).inc();
    }

    /// Counts a delivery attempt.
    pub fn webhook_attempt(&self, outcome: &'static str, seconds: f64) {
        self.webhook_attempts.get_or_create(&OutcomeLabels { outcome }).inc();
        self.webhook_attempt_seconds.observe(seconds);
    }

    /// Counts an emitted notification.
    pub fn notified(&self, kind: &'static str) {
        self.notifications.get_or_create(&KindLabels { kind }).inc();
    }

    /// Counts the result of a notification's action.
    pub fn notify_effect(&self, action: &'static str, outcome: &'static str) {
        self.notify_effects.get_or_create(&EffectLabels { action, outcome }).inc();
    }

    /// Counts a finished command.
    pub fn command_exited(&self, exit: String) {
        self.notify_command_exits.get_or_create(&ExitLabels { exit }).inc();
    }

    /// Moves a device between states: `None` is before its creation and after its deletion.
    pub fn device_moved(&self, from: Option<&'static str>, to: Option<&'static str>) {
        if let Some(state) = from {
            self.devices.get_or_create(&DeviceLabels { state }).dec();
        }
        if let Some(state) = to {
            self.devices.get_or_create(&DeviceLabels { state }).inc();
        }
    }

    /// Encodes all metrics as OpenMetrics text ([`METRICS_CONTENT_TYPE`]).
    pub fn encode(&self) -> String {
        let mut text = String::new();
        match text::encode(&mut text, &self.0.registry) {
            Ok(()) => text,
            // Without its end mark, the scraper rejects the text instead of accepting a partial one.
            Err(error) => {
                tracing::error!(%error, "metrics cannot be encoded");
                String::new()
            }
        }
    }
}

fn register(registry: &mut Registry) -> Handles {
    let handles = Handles {
        http_requests: Family::default(),
        http_request_seconds: Family::new_with_constructor(request_seconds),
        sockets: Gauge::default(),
        socket_cuts: Family::default(),
        events_appended: Counter::default(),
        messages_in: Counter::default(),
        messages_out: Family::default(),
        // 0.25 ms to 8 s.
        store_write_seconds: Histogram::new(exponential_buckets(0.000_25, 2.0, 16)),
        // 1 to 256, the writer's largest group.
        store_group_size: Histogram::new(exponential_buckets(1.0, 2.0, 9)),
        store_queue_depth: Gauge::default(),
        store_busy: Counter::default(),
        devices: Family::default(),
        outbox_queued: Gauge::default(),
        auth_failures: Counter::default(),
        engine_panics: Counter::default(),
        webhook_attempts: Family::default(),
        // 1 ms to 33 s.
        webhook_attempt_seconds: Histogram::new(exponential_buckets(0.001, 2.0, 16)),
        webhook_in_flight: Gauge::default(),
        webhook_waiting: Gauge::default(),
        webhook_dead: Counter::default(),
        webhook_disabled: Counter::default(),
        notifications: Family::default(),
        notify_effects: Family::default(),
        notify_command_exits: Family::default(),
        bus_lagged: Counter::default(),
    };
    let h = &handles;
    // The registry appends `_total` to counters, and a full stop to help texts.
    registry.register("http_requests", "Answered HTTP requests", h.http_requests.clone());
    let help = "Time from an HTTP request to its answer";
    registry.register("http_request_seconds", help, h.http_request_seconds.clone());
    registry.register("sockets", "Socket.IO sockets connected now", h.sockets.clone());
    registry.register("socket_cuts", "Sockets cut by the daemon, by reason", h.socket_cuts.clone());
    registry.register("notifications", "Emitted notifications, by kind", h.notifications.clone());
    let help = "Results of notification actions";
    registry.register("notify_effects", help, h.notify_effects.clone());
    registry.register(
        "notify_command_exits",
        "Finished commands, by exit code",
        h.notify_command_exits.clone(),
    );
    registry.register("events_appended", "Entries added to event logs", h.events_appended.clone());
    registry.register("messages_in", "Incoming messages stored", h.messages_in.clone());
    registry.register("messages_out", "Completed sends, by outcome", h.messages_out.clone());
    let help = "Time from enqueueing a write to its commit";
    registry.register("store_write_seconds", help, h.store_write_seconds.clone());
    registry.register("store_group_size", "Writes in one commit", h.store_group_size.clone());
    registry.register("store_queue_depth", "Writes waiting for the writer", h.store_queue_depth.clone());
    registry.register("store_busy", "Writes refused because the queue was full", h.store_busy.clone());
    registry.register("devices", "Devices by state", h.devices.clone());
    registry.register("outbox_queued", "Messages waiting to be sent", h.outbox_queued.clone());
    registry.register("auth_failures", "Refused credentials", h.auth_failures.clone());
    registry.register("engine_panics", "Panics caught in engines", h.engine_panics.clone());
    let help = "Webhook delivery attempts, by outcome";
    registry.register("webhook_attempts", help, h.webhook_attempts.clone());
    let help = "Duration of a webhook delivery attempt";
    registry.register("webhook_attempt_seconds", help, h.webhook_attempt_seconds.clone());
    registry.register(
        "webhook_in_flight",
        "Webhook delivery attempts in flight",
        h.webhook_in_flight.clone(),
    );
    registry.register("webhook_waiting", "Waiting webhook deliveries", h.webhook_waiting.clone());
    registry.register("webhook_dead", "Dead-lettered webhook deliveries", h.webhook_dead.clone());
    registry.register("webhook_disabled", "Webhooks disabled for failing", h.webhook_disabled.clone());
    registry.register("bus_lagged", "Wake-ups missed by slow readers", h.bus_lagged.clone());
    handles
}

fn request_seconds() -> Histogram {
    // 1 ms to 33 s: the default request timeout is 30 s.
    Histogram::new(exponential_buckets(0.001, 2.0, 16))
}

fn method_label(method: &str) -> &'static str {
    const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
    METHODS.into_iter().find(|known| *known == method).unwrap_or("OTHER")
}

/// Metrics of the process, read at each scrape.
#[derive(Debug)]
struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        let Some(bytes) = resident_bytes() else {
            return Ok(());
        };
        let gauge = ConstGauge::new(bytes);
        let (help, unit) = ("Resident memory", Some(&Unit::Bytes));
        let metric = encoder.encode_descriptor("process_resident_memory", help, unit, gauge.metric_type())?;
        gauge.encode(metric)
    }
}

/// Reads `VmRSS` of `/proc/self/status`, which is in kB regardless of the page size (`statm` counts pages).
fn resident_bytes() -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Metrics with at least one series each, because others are not in the text.
    fn filled() -> Metrics {
        let metrics = Metrics::new();
        metrics.http_request("GET", "/api/v1/devices/{id}", 200, Duration::from_millis(3));
        metrics.http_request("BREW", "/healthz", 405, Duration::ZERO);
        metrics.socket_cut("slow_client");
        metrics.message_out("sent");
        metrics.webhook_attempt("delivered", 0.01);
        metrics.notified("message");
        metrics.notify_effect("sound", "done");
        metrics.command_exited("0".to_owned());
        metrics.device_moved(None, Some("created"));
        metrics.device_moved(Some("created"), Some("ready"));
        metrics.sockets.inc();
        metrics.store_write_seconds.observe(0.001);
        metrics
    }

    /// The metric names in the expressions of a file of assets/monitoring.
    fn named(text: &str) -> BTreeSet<&str> {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        words.filter(|word| word.starts_with("wharf_") || word.starts_with("process_")).collect()
    }

    #[test]
    fn monitoring_files_name_existing_metrics() {
        let text = filled().encode();
        let samples: BTreeSet<&str> = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.split(['{', ' ']).next())
            .collect();
        for (file, content) in [
            ("alerts.yaml", include_str!("../../assets/monitoring/alerts.yaml")),
            ("alerts.test.yaml", include_str!("../../assets/monitoring/alerts.test.yaml")),
            ("grafana/wharf.json", include_str!("../../assets/monitoring/grafana/wharf.json")),
        ] {
            let names = named(content);
            assert!(names.len() > 5, "{file}: {names:?}");
            let unknown: Vec<&&str> = names.difference(&samples).collect();
            assert!(unknown.is_empty(), "{file} names metrics that do not exist: {unknown:?}");
        }
    }

    #[test]
    fn every_metric_has_documented_name() {
        let text = filled().encode();
        for line in [
            r#"wharf_http_requests_total{method="GET",route="/api/v1/devices/{id}",status="200"} 1"#,
            r#"wharf_http_requests_total{method="OTHER",route="/healthz",status="405"} 1"#,
            r#"wharf_http_request_seconds_count{method="GET",route="/api/v1/devices/{id}"} 1"#,
            "wharf_sockets 1",
            r#"wharf_socket_cuts_total{reason="slow_client"} 1"#,
            "wharf_events_appended_total 0",
            "wharf_messages_in_total 0",
            r#"wharf_messages_out_total{outcome="sent"} 1"#,
            "wharf_store_write_seconds_count 1",
            "wharf_store_group_size_count 0",
            "wharf_store_queue_depth 0",
            "wharf_store_busy_total 0",
            r#"wharf_devices{state="created"} 0"#,
            r#"wharf_devices{state="ready"} 1"#,
            "wharf_outbox_queued 0",
            "wharf_auth_failures_total 0",
            "wharf_engine_panics_total 0",
            "wharf_bus_lagged_total 0",
            r#"wharf_notifications_total{kind="message"} 1"#,
            r#"wharf_notify_effects_total{action="sound",outcome="done"} 1"#,
            r#"wharf_notify_command_exits_total{exit="0"} 1"#,
            r#"wharf_webhook_attempts_total{outcome="delivered"} 1"#,
            "wharf_webhook_attempt_seconds_count 1",
            "wharf_webhook_in_flight 0",
            "wharf_webhook_waiting 0",
            "wharf_webhook_dead_total 0",
            "wharf_webhook_disabled_total 0",
            "process_resident_memory_bytes ",
        ] {
            assert!(text.lines().any(|found| found.starts_with(line)), "{line} is not in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn cloned_metrics_share_counts() {
        let metrics = Metrics::new();
        metrics.clone().auth_failures.inc();
        assert!(metrics.encode().contains("wharf_auth_failures_total 1"));
    }

    #[test]
    fn resident_memory_is_plausible() {
        let bytes = resident_bytes().unwrap();
        assert!((1 << 20..1 << 34).contains(&bytes), "{bytes}");
    }
}
