//! Starts a runner for each webhook with waiting deliveries.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::MutexGuard;

use super::WebhookState;
use super::runner::{Runner, Wake};
use crate::service::{ServiceError, Webhooks};
use crate::store::EndpointWakeup;
use crate::store::webhook_endpoints::EndpointKey;

impl WebhookState {
    pub(super) fn runners(&self) -> MutexGuard<'_, HashMap<EndpointKey, Arc<Wake>>> {
        self.runners.lock()
    }
}

impl Webhooks {
    /// Starts runners for waiting deliveries, and follows wake-ups of new ones.
    pub(in crate::service) async fn start_webhooks(&self) -> Result<(), ServiceError> {
        let waiting = self.store.read(|store| store.webhooks_waiting()).await?;
        let now = self.clock.now();
        for key in self.store.read(move |store| store.webhooks_scheduled_ahead(now)).await? {
            self.reschedule_from_now(key).await?;
        }
        waiting.into_iter().for_each(|key| self.wake_webhook(key, EndpointWakeup::Waiting));
        let webhooks = self.clone();
        self.tasks.spawn_essential("webhook-dispatcher", async move {
            let soft = webhooks.tasks.soft().clone();
            while let Some(hints) = soft.run_until_cancelled(webhooks.store.next_deliveries()).await {
                hints.into_iter().for_each(|(key, hint)| webhooks.wake_webhook(key, hint));
            }
        });
        self.start_webhook_housekeeping();
        Ok(())
    }

    /// Ensures that a runner serves the waiting deliveries.
    pub(super) fn attend_webhook(&self, key: EndpointKey) {
        if !self.state.runners().contains_key(&key) {
            self.wake_webhook(key, EndpointWakeup::Waiting);
        }
    }

    /// Wakes or starts a webhook's runner, after new deliveries or a change of the webhook.
    pub(super) fn wake_webhook(&self, key: EndpointKey, hint: EndpointWakeup) {
        let mut runners = self.state.runners();
        if let Some(wake) = runners.get(&key) {
            return wake.call(hint);
        }
        let wake = Arc::new(Wake::default());
        runners.insert(key, wake.clone());
        self.tasks.spawn("webhook-runner", Runner::new(self.clone(), key, wake).run());
    }
}
