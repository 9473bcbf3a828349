//! The store's work as metrics.

use crate::store::WriterObserver;
use crate::telemetry::Metrics;

pub(super) struct StoreMetrics(pub(super) Metrics);

impl WriterObserver for StoreMetrics {
    fn committed(&self, writes: usize, seconds: f64) {
        self.0.store_write_seconds.observe(seconds);
        #[expect(clippy::cast_precision_loss, reason = "a group has at most a few hundred writes")]
        self.0.store_group_size.observe(writes as f64);
    }

    fn appended(&self, events: usize) {
        self.0.events_appended.inc_by(events as u64);
    }

    fn refused(&self) {
        self.0.store_busy.inc();
    }
}
