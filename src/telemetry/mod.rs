//! What the daemon says about itself: logs on standard error, metrics for Prometheus.

mod logs;
mod metrics;

pub use logs::{LogError, init_logs, init_logs_to};
pub use metrics::{
    DeviceLabels, Handles, HttpLabels, HttpStatusLabels, METRICS_CONTENT_TYPE, Metrics, OutcomeLabels,
    ReasonLabels,
};
