//! Prunes old data and fails messages whose outcome stayed unknown too long.

use std::time::Duration;

use crate::domain::clock::Millis;
use crate::engine::SendError;
use crate::service::messaging::outbox::store_failed;
use crate::service::{Maintenance, ServiceError};
use crate::store::{StoreError, Tx};

/// Rows removed in one write.
const BATCH: i64 = 500;
/// The pause between two writes.
const PAUSE: Duration = Duration::from_millis(20);
/// Hourly counts are kept for this long.
const ACTIVITY_MS: i64 = 90 * 86_400_000;

impl Maintenance {
    pub(in crate::service) fn start_retention(&self) {
        let maintenance = self.clone();
        self.tasks.spawn("retention", async move {
            if let Err(error) = maintenance.media.remove_stray_files().await {
                tracing::warn!(%error, "files that belong to nothing stay until the next sweep");
            }
            let every = Duration::from_millis(maintenance.limits.retention.sweep_interval_ms);
            let soft = maintenance.tasks.soft().clone();
            while tokio::time::timeout(every, soft.cancelled()).await.is_err() {
                if let Err(error) = maintenance.sweep().await {
                    tracing::error!(%error, "housekeeping did not finish; it goes on with the next sweep");
                }
            }
        });
    }

    /// One round of housekeeping.
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
        // Last: what keeps the files may be elsewhere and not answer.
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

    /// Where the network keeps no second copy out, an unknown outcome is never tried again, and nowhere that
    /// of a message which was removed here: it fails when no status has come in time.
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
                            "the link broke while it was sent, and the network never said whether it arrived"
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
