//! Logs on standard error and metrics for Prometheus. Neither contains secrets, bodies or numbers of people.

mod logs;
mod metrics;

pub use logs::{LogError, init_logs, init_logs_to};
pub use metrics::{
    DeviceLabels, Handles, HttpLabels, HttpStatusLabels, METRICS_CONTENT_TYPE, Metrics, OutcomeLabels,
    ReasonLabels,
};
