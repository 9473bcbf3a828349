//! Records the positions of the event logs in a file beside the database, every few seconds and at shutdown.

use std::time::Duration;

use crate::service::Maintenance;

/// Time between two records. Restoring a copy of the database older than this is detected.
const EVERY: Duration = Duration::from_secs(5);

impl Maintenance {
    pub(in crate::service) fn start_log_positions(&self) {
        let maintenance = self.clone();
        self.tasks.spawn("log-positions", async move {
            let soft = maintenance.tasks.soft().clone();
            while tokio::time::timeout(EVERY, soft.cancelled()).await.is_err() {
                if let Err(error) = maintenance.store.record_log_positions().await {
                    tracing::warn!(%error, "cannot read the positions of the event logs");
                }
            }
        });
    }
}
