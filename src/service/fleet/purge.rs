//! Removes the data of deleted devices in small writes, so that other devices are not delayed. It continues after a
//! restart.

use std::time::Duration;

use crate::domain::ids::DeviceId;
use crate::service::{Fleet, ServiceError};

/// Time for the followers of a deleted device to read its last event.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// Rows of each table removed in one write.
const BATCH: usize = 500;
/// The pause between two writes.
const PAUSE: Duration = Duration::from_millis(20);

impl Fleet {
    /// Continues removals that an earlier run of the daemon did not finish.
    pub(in crate::service) async fn start_purges(&self) -> Result<(), ServiceError> {
        for id in self.store.read(|store| store.purges()).await? {
            self.end_feed_and_purge(&id, true);
        }
        Ok(())
    }

    pub(in crate::service) fn end_feed_and_purge(&self, id: &DeviceId, purge: bool) {
        let (fleet, id) = (self.clone(), id.clone());
        self.tasks.spawn("purge", async move {
            let drained = tokio::time::timeout(LAST_WORDS, fleet.tasks.soft().cancelled()).await.is_ok();
            fleet.logs.close(&id);
            if purge && !drained {
                fleet.purge(&id).await;
            }
        });
    }

    async fn purge(&self, id: &DeviceId) {
        loop {
            let device = id.clone();
            match self.store.write_patiently(move |tx| tx.purge_some(&device, BATCH)).await {
                Ok(true) => {}
                Ok(false) => {
                    tracing::info!(device = %id, "data of deleted device removed");
                    break;
                }
                Err(error) => {
                    return tracing::warn!(device = %id, %error, "data of deleted device not removed; the next start retries");
                }
            }
            if tokio::time::timeout(PAUSE, self.tasks.soft().cancelled()).await.is_ok() {
                return;
            }
        }
        let now = self.clock.now();
        if let Err(error) = self.media.remove_unused(now.plus(1)).await {
            tracing::warn!(device = %id, %error, "files of deleted device not removed; the next sweep retries");
        }
    }
}
