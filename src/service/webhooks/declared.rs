//! Reconciles the webhooks that a device's file declares with the stored ones.

use std::collections::HashMap;

use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::NewWebhook;
use super::endpoint_types::WebhookChange;
use crate::domain::ids::DeviceId;
use crate::domain::webhook::SECRET_OVERLAP_MS;
use crate::service::{ServiceError, Webhooks};
use crate::store::Tx;
use crate::store::webhook_endpoints::StoredEndpoint;

impl Webhooks {
    /// Creates and updates a device's declared webhooks. Those removed from the file are deleted after their
    /// waiting deliveries.
    ///
    /// # Errors
    /// The first declaration that is invalid or cannot be stored; earlier ones stay applied.
    pub(in crate::service) async fn reconcile_webhooks(
        &self,
        device: &DeviceId,
        declared: Vec<NewWebhook>,
    ) -> Result<(), ServiceError> {
        let id = device.clone();
        let stored = self.store.read(move |store| store.webhooks_of(&id)).await?;
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
            self.store.write_patiently(move |tx| tx.end_webhook(&id, true)).await?;
        }
        Ok(())
    }

    async fn declare_webhook(&self, stored: StoredEndpoint, new: NewWebhook) -> Result<(), ServiceError> {
        let now = self.clock.now();
        let mut secrets = self.store.open_webhook(&stored)?;
        let declaration = fingerprint(&new);
        let is_changed = secrets.declaration.as_ref() != Some(&declaration);
        secrets.declaration = Some(declaration);
        if let Some(secret) = new.secret {
            secrets.replace_secret(secret, now, now.plus(SECRET_OVERLAP_MS));
        }
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
            // A state set by an operator or by failures stays until its declaration changes.
            enabled: is_changed.then_some(!new.disabled),
        };
        let webhooks = self.clone();
        let write =
            move |tx: &Tx<'_>| webhooks.configure(tx, stored.clone(), secrets.clone(), change.clone());
        let more = self.store.write_patiently(write).await?;
        self.hurry_more(more).await;
        Ok(())
    }
}

/// Fingerprint of a declaration, stored with the secrets because it is derived from them.
pub(super) fn fingerprint(new: &NewWebhook) -> String {
    let said = json!({
        "url": new.url,
        "events": new.subscription.events,
        "exclude": new.subscription.exclude,
        "format": new.format,
        "ordering": new.ordering,
        "headers": new.headers,
        "secret": new.secret,
        "timeoutMs": new.timeout_ms,
        "customCa": new.custom_ca,
        "disabled": new.disabled,
    });
    hex::encode(Sha256::digest(said.to_string().as_bytes()))
}
