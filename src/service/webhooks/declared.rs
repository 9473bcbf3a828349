//! Webhooks that a device's file declares: made to exist, kept as the file says, and gone with it.

use std::collections::HashMap;

use super::NewWebhook;
use super::manage::WebhookChange;
use crate::domain::ids::DeviceId;
use crate::domain::webhook::EndpointSecrets;
use crate::service::{Core, ServiceError};
use crate::store::webhook_endpoints::StoredEndpoint;

impl Core {
    /// Makes a device's declared webhooks as its file says. Those that it names no more get what waits for them,
    /// and go.
    ///
    /// # Errors
    /// The first that cannot be; those before it stand.
    pub(in crate::service) async fn reconcile_webhooks(
        &self,
        device: &DeviceId,
        declared: Vec<NewWebhook>,
    ) -> Result<(), ServiceError> {
        let id = device.clone();
        let stored = self.read(move |store| Ok(store.webhooks_of(&id)?)).await?;
        let mut known: HashMap<String, StoredEndpoint> = stored
            .into_iter()
            .filter_map(|stored| Some((stored.endpoint.declared.clone()?, stored)))
            .collect();
        for new in declared {
            match new.declared.as_ref().and_then(|name| known.remove(name)) {
                Some(stored) => self.declare_webhook(stored, new).await?,
                None => drop(self.create_webhook(NewWebhook { device: Some(device.clone()), ..new }).await?),
            }
        }
        for gone in known.into_values() {
            let id = gone.endpoint.id;
            self.store().write_patiently(move |tx| tx.end_webhook(&id, true)).await?;
        }
        Ok(())
    }

    async fn declare_webhook(&self, stored: StoredEndpoint, new: NewWebhook) -> Result<(), ServiceError> {
        let before = self.store().open_webhook(&stored)?;
        let secrets = EndpointSecrets {
            url: new.url.clone(),
            headers: new.headers.clone(),
            secret: new.secret.unwrap_or(before.secret),
            previous: before.previous,
        };
        let by_operator = new.disabled;
        let change = WebhookChange {
            name: Some(new.name),
            url: Some(new.url),
            events: Some(new.subscription.events),
            exclude: Some(new.subscription.exclude),
            format: Some(new.format),
            ordering: Some(new.ordering),
            headers: Some(new.headers),
            timeout_ms: Some(new.timeout_ms),
            custom_ca: Some(new.custom_ca),
            // What its failures did to it stays until its file, or somebody, switches it off and on.
            enabled: by_operator.then_some(false).or_else(|| stored.was_switched_off().then_some(true)),
        };
        let core = self.clone();
        self.store().write_patiently(move |tx| core.configure(tx, stored, secrets, change)).await
    }
}
