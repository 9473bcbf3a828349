//! Periodic work on webhooks: removes deleted endpoints, enforces queue limits and prunes old records.

use std::time::Duration;

use super::backlog::{BATCH, PAUSE};
use crate::service::{ServiceError, Webhooks};

/// Time between two rounds.
const EVERY: Duration = Duration::from_secs(30);

impl Webhooks {
    pub(super) fn start_webhook_housekeeping(&self) {
        let webhooks = self.clone();
        self.tasks.spawn("webhook-housekeeping", async move {
            let soft = webhooks.tasks.soft().clone();
            loop {
                if let Err(error) = webhooks.run_housekeeping().await {
                    tracing::warn!(%error, "housekeeping of webhooks failed; it continues in the next round");
                }
                if tokio::time::timeout(EVERY, soft.cancelled()).await.is_ok() {
                    return;
                }
            }
        });
    }

    /// Starts removing deleted endpoints in the background.
    pub(super) fn remove_ended_webhooks(&self) {
        let webhooks = self.clone();
        self.tasks.spawn("webhook-removal", async move {
            if let Err(error) = webhooks.remove_ended().await {
                tracing::warn!(%error, "cannot remove a deleted webhook completely; housekeeping tries again");
            }
        });
    }

    async fn run_housekeeping(&self) -> Result<(), ServiceError> {
        self.remove_ended().await?;
        for key in self.store.read(|store| store.webhooks_to_dead_letter()).await? {
            self.dead_letter(key, "endpoint_disabled").await;
        }
        let most = self.state.limits.max_waiting;
        let waiting = self.store.read::<_, ServiceError, _>(move |store| {
            let keys = store.webhooks_waiting()?;
            let mut waiting = Vec::with_capacity(keys.len());
            for key in keys {
                waiting.push((key, usize::try_from(store.waiting_for(key)?).unwrap_or(0) > most));
            }
            Ok(waiting)
        });
        for (key, too_long) in waiting.await? {
            if too_long {
                self.shorten_queue(key).await?;
            }
            self.attend_webhook(key);
        }
        let limits = &self.state.limits;
        if limits.dead_letters_ms > 0 {
            let cutoff = self.clock.now().plus(-limits.dead_letters_ms);
            while self.store.write_patiently(move |tx| tx.prune_dead_deliveries(cutoff, 500)).await? {
                if self.draining(PAUSE).await {
                    return Ok(());
                }
            }
        }
        if limits.attempts_ms > 0 {
            let cutoff = self.clock.now().plus(-limits.attempts_ms);
            while self.store.write_patiently(move |tx| tx.prune_attempts(cutoff, 500)).await? {
                if self.draining(PAUSE).await {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    async fn remove_ended(&self) -> Result<(), ServiceError> {
        for key in self.store.read(|store| store.webhooks_ending()).await? {
            while self.store.write_patiently(move |tx| tx.remove_some_webhook(key, BATCH)).await? {
                if self.draining(PAUSE).await {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    pub(super) async fn draining(&self, pause: Duration) -> bool {
        tokio::time::timeout(pause, self.tasks.soft().cancelled()).await.is_ok()
    }
}
