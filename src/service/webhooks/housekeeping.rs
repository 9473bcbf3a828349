//! What has to be done now and then: endpoints that end, queues that are too long, what is too old.

use std::time::Duration;

use super::runner::BATCH;
use crate::service::{Core, ServiceError};

/// Between two rounds.
const EVERY: Duration = Duration::from_secs(30);
/// The pause between two writes.
const PAUSE: Duration = Duration::from_millis(20);

impl Core {
    pub(super) fn start_webhook_housekeeping(&self) {
        let core = self.clone();
        self.tasks().spawn("webhook-housekeeping", async move {
            let soft = core.tasks().soft().clone();
            loop {
                if let Err(error) = core.keep_webhooks().await {
                    tracing::warn!(%error, "the housekeeping of webhooks did not finish; it goes on with the next round");
                }
                if tokio::time::timeout(EVERY, soft.cancelled()).await.is_ok() {
                    return;
                }
            }
        });
    }

    /// Removes what was deleted, soon.
    pub(super) fn remove_ended_webhooks(&self) {
        let core = self.clone();
        self.tasks().spawn("webhook-removal", async move {
            if let Err(error) = core.remove_ended().await {
                tracing::warn!(%error, "what is left of a deleted webhook stays until the next housekeeping");
            }
        });
    }

    async fn keep_webhooks(&self) -> Result<(), ServiceError> {
        self.remove_ended().await?;
        for key in self.read(|store| Ok(store.webhooks_to_bury()?)).await? {
            self.bury(key, "endpoint_disabled").await;
        }
        let most = self.inner.webhooks.limits.max_waiting;
        for key in self.read(|store| Ok(store.webhooks_waiting()?)).await? {
            let now = self.now();
            let buried =
                self.store().write_patiently(move |tx| tx.bury_beyond(key, most, now, BATCH)).await?;
            if buried > 0 {
                tracing::warn!(
                    buried,
                    "too much waits for a webhook; the oldest deliveries are dead letters now"
                );
                self.metrics().webhook_dead.inc_by(buried as u64);
                self.wake_webhook(key);
            }
            self.attend_webhook(key);
        }
        let limits = &self.inner.webhooks.limits;
        if limits.dead_letters_ms > 0 {
            let cutoff = self.now().plus(-limits.dead_letters_ms);
            while self.store().write_patiently(move |tx| tx.prune_dead_deliveries(cutoff, 500)).await? {
                if self.draining(PAUSE).await {
                    return Ok(());
                }
            }
        }
        if limits.attempts_ms > 0 {
            let cutoff = self.now().plus(-limits.attempts_ms);
            while self.store().write_patiently(move |tx| tx.prune_attempts(cutoff, 500)).await? {
                if self.draining(PAUSE).await {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    async fn remove_ended(&self) -> Result<(), ServiceError> {
        for key in self.read(|store| Ok(store.webhooks_ending()?)).await? {
            while self.store().write_patiently(move |tx| tx.remove_some_webhook(key, BATCH)).await? {
                if self.draining(PAUSE).await {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    async fn draining(&self, pause: Duration) -> bool {
        tokio::time::timeout(pause, self.tasks().soft().cancelled()).await.is_ok()
    }
}
