//! Polls metrics that are read from the store instead of being counted as events happen.

use std::time::Duration;

use crate::service::{Maintenance, ServiceError};

const EVERY: Duration = Duration::from_secs(5);

impl Maintenance {
    pub(in crate::service) fn start_gauges(&self) {
        let maintenance = self.clone();
        self.tasks.spawn("gauges", async move {
            let soft = maintenance.tasks.soft().clone();
            while tokio::time::timeout(EVERY, soft.cancelled()).await.is_err() {
                maintenance.read_gauges().await;
            }
        });
    }

    async fn read_gauges(&self) {
        let metrics = &self.metrics;
        metrics.store_queue_depth.set(i64::try_from(self.store.queue_depth()).unwrap_or(i64::MAX));
        match self.store.read::<_, ServiceError, _>(|store| Ok(store.deliveries_waiting()?)).await {
            Ok(waiting) => {
                metrics.webhook_waiting.set(waiting);
            }
            Err(error) => tracing::warn!(%error, "cannot count webhook deliveries"),
        }
        match self.store.read::<_, ServiceError, _>(|store| Ok(store.outbox_lengths()?)).await {
            Ok(lengths) => {
                metrics.outbox_queued.set(lengths.iter().map(|(_, length)| length).sum());
            }
            Err(error) => tracing::warn!(%error, "cannot count queued messages"),
        }
    }
}
