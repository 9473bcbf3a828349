//! The store's work as metrics, and its failures in the log.

use std::sync::Arc;

use crate::domain::clock::Clock;
use crate::domain::log_throttle::LogThrottle;
use crate::store::{StoreError, WriterObserver};
use crate::telemetry::Metrics;

pub(super) struct StoreMetrics {
    metrics: Metrics,
    clock: Arc<dyn Clock>,
    /// A full disk fails every write.
    failures: LogThrottle<&'static str>,
}

impl StoreMetrics {
    pub(super) fn new(metrics: Metrics, clock: Arc<dyn Clock>) -> Self {
        Self { metrics, clock, failures: LogThrottle::default() }
    }
}

impl WriterObserver for StoreMetrics {
    fn committed(&self, writes: usize, seconds: f64) {
        self.metrics.store_write_seconds.observe(seconds);
        #[expect(clippy::cast_precision_loss, reason = "a group has at most a few hundred writes")]
        self.metrics.store_group_size.observe(writes as f64);
    }

    fn appended(&self, events: usize) {
        self.metrics.events_appended.inc_by(events as u64);
    }

    fn refused(&self) {
        self.metrics.store_busy.inc();
    }

    fn failed(&self, statement: &'static str, error: &StoreError) {
        if let Some(suppressed) = self.failures.now(statement, self.clock.now()) {
            tracing::error!(statement, %error, suppressed, "writing to the database failed");
        }
    }
}
