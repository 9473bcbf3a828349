//! Prunes old data and fails messages whose outcome stayed unknown too long.

use std::time::Duration;

use crate::domain::clock::Millis;
use crate::engine::SendError;
use crate::service::messaging::outbox::store_failed;
use crate::service::{Maintenance, ServiceError};
use crate::store::{StoreError, Tx};

/// Maximum rows removed per batch.
const BATCH: i64 = 500;
/// Pause between two batches.
const PAUSE: Duration = Duration::from_millis(20);
/// Retention of hourly counters.
const ACTIVITY_MS: i64 = 90 * 86_400_000;

impl Maintenance {
    pub(in crate::service) fn start_retention(&self) {
        let maintenance = self.clone();
        self.tasks.spawn("retention", async move {
            if let Err(error) = maintenance.media.remove_stray_files().await {
                tracing::warn!(%error, "cannot remove orphaned files; the next sweep tries again");
            }
            let every = Duration::from_millis(maintenance.limits.retention.sweep_interval_ms);
            let soft = maintenance.tasks.soft().clone();
            while tokio::time::timeout(every, soft.cancelled()).await.is_err() {
                if let Err(error) = maintenance.sweep().await {
                    tracing::error!(%error, "retention sweep failed; it continues with the next sweep");
                }
            }
        });
    }

    /// Runs one sweep.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn sweep(&self) -> Result<(), ServiceError> {
        let now = self.clock.now();
        let limits = self.limits.clone();
        self.fail_unknown(now).await?;
        if limits.retention.events_ms > 0 {
            let cutoff = now.plus(-limits.retention.events_ms);
            self.in_batches(move |tx| tx.prune_events(cutoff, BATCH)).await?;
        }
        if limits.retention.messages_ms > 0 {
            let cutoff = now.plus(-limits.retention.messages_ms);
            self.prune_messages(cutoff).await?;
        }
        let cutoff = now.plus(-limits.idempotency_ttl_ms);
        self.in_batches(move |tx| tx.prune_idempotency(cutoff, BATCH)).await?;
        let cutoff = now.plus(-ACTIVITY_MS);
        self.store.write_patiently(move |tx| tx.prune_activity(cutoff)).await?;
        // Last, because the media store may be remote and not answer.
        self.media.sweep_media().await
    }

    async fn prune_messages(&self, cutoff: Millis) -> Result<(), ServiceError> {
        loop {
            let chats = self.store.write_patiently(move |tx| tx.prune_messages(cutoff, BATCH)).await?;
            chats.iter().for_each(|(device, chat)| self.messaging.chat_changed(device, chat));
            let drained = tokio::time::timeout(PAUSE, self.tasks.soft().cancelled()).await.is_ok();
            if chats.is_empty() || drained {
                return Ok(());
            }
        }
    }

    async fn in_batches(
        &self,
        prune: impl Fn(&Tx<'_>) -> Result<bool, StoreError> + Copy + Send + 'static,
    ) -> Result<(), ServiceError> {
        while self.store.write_patiently(prune).await? {
            if tokio::time::timeout(PAUSE, self.tasks.soft().cancelled()).await.is_ok() {
                break;
            }
        }
        Ok(())
    }

    /// Fails messages whose outcome stayed unknown too long. Such a message is never sent again if the
    /// network does not deduplicate, or if it was removed here.
    async fn fail_unknown(&self, now: Millis) -> Result<(), ServiceError> {
        let cutoff = now.plus(-self.limits.outbox.unknown_after_ms);
        for id in self.registry.device_ids() {
            let Ok(engine) = self.registry.engine_of(&id) else { continue };
            let tried_again = self.registry.capabilities(&engine).is_none_or(|c| c.deduplicates);
            self.store
                .write_patiently(move |tx| {
                    let error = SendError {
                        code: "outcome_unknown",
                        message:
                            "the connection was lost while sending, and the network never reported the outcome"
                                .into(),
                    };
                    let rows = tx.outbox_unknown_before(&id, cutoff, tried_again)?;
                    rows.iter().try_for_each(|row| store_failed(tx, &id, row, &error, now))
                })
                .await?;
        }
        Ok(())
    }
}
