//! Use cases of webhook endpoints: create, change, delete, rotate and list.

use super::backlog::BATCH;
use super::declared::fingerprint;
use super::endpoint_types::{CreatedWebhook, NewWebhook, RotatedWebhook, WebhookChange, WebhookStatus};
use super::validate::{MASK, check_move, new_secret, shown_url};
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::webhook::WebhookAttempt;
use crate::domain::webhook::{DisabledReason, Endpoint, EndpointId, EndpointSecrets};
use crate::service::{ServiceError, Webhooks};
use crate::store::webhook_endpoints::{EndpointKey, EndpointsOf, StoredEndpoint};
use crate::store::webhook_ordering::RetryNowCause;
use crate::store::{Reader, Tx};

fn is_full(count: i64, max: usize) -> bool {
    usize::try_from(count).unwrap_or(usize::MAX) >= max
}

impl Webhooks {
    /// Validates a webhook without creating it.
    ///
    /// # Errors
    /// The first invalid field.
    pub fn check_webhook(&self, new: NewWebhook) -> Result<(), ServiceError> {
        let (endpoint, secrets) = self.drafted(new);
        self.state.check(&endpoint, &secrets)
    }

    fn drafted(&self, new: NewWebhook) -> (Endpoint, EndpointSecrets) {
        let declaration = new.declared.is_some().then(|| fingerprint(&new));
        let secret = new.secret.unwrap_or_else(|| new_secret(&*self.random));
        let now = self.clock.now();
        let (url, headers, previous) = (new.url, new.headers, Vec::new());
        let secrets = EndpointSecrets { url, headers, secret, previous, declaration };
        let endpoint = Endpoint {
            id: EndpointId::random(&*self.random),
            device: new.device,
            declared: new.declared,
            name: new.name,
            url: shown_url(&secrets.url),
            subscription: new.subscription,
            format: new.format,
            ordering: new.ordering,
            header_names: secrets.headers.keys().cloned().collect(),
            timeout_ms: new.timeout_ms,
            custom_ca: new.custom_ca,
            disabled: new.disabled.then_some((DisabledReason::Operator, now)),
            failing_since: None,
            failed_at: None,
            delivered_at: None,
            created_at: now,
        };
        (endpoint, secrets)
    }

    /// Creates a webhook.
    ///
    /// # Errors
    /// When a field is invalid, there is no such device, or the limit of webhooks is reached.
    pub async fn create_webhook(&self, new: NewWebhook) -> Result<CreatedWebhook, ServiceError> {
        let (endpoint, secrets) = self.drafted(new);
        self.state.check(&endpoint, &secrets)?;
        let sealed = self.store.seal_webhook(&endpoint.id, &secrets)?;
        let (max, stored) = (self.state.limits.max_endpoints, endpoint.clone());
        let max_per_device = self.state.limits.max_per_device;
        self.store
            .write(move |tx| {
                if let Some(device) = &stored.device {
                    tx.device(device)?.ok_or(ServiceError::DeviceNotFound)?;
                    let is_full = is_full(tx.webhook_count_of(device)?, max_per_device);
                    // The limit does not apply to device files, which only the operator writes.
                    if is_full && stored.declared.is_none() {
                        return Err(ServiceError::TooManyWebhooksOfDevice(max_per_device));
                    }
                }
                if is_full(tx.webhook_count()?, max) {
                    return Err(ServiceError::TooManyWebhooks(max));
                }
                Ok(tx.insert_webhook(&stored, &sealed)?)
            })
            .await?;
        tracing::info!(webhook = %endpoint.id, device = endpoint.device.as_ref().map(DeviceId::as_str), "webhook created");
        let status = WebhookStatus { endpoint, waiting: 0, dead: 0, previous_until: None };
        Ok(CreatedWebhook { status, secret: secrets.secret })
    }

    /// Lists webhooks, oldest first: those of the given devices, or all.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn webhooks(&self, of: Option<&[DeviceId]>) -> Result<Vec<WebhookStatus>, ServiceError> {
        let of = of.map_or(EndpointsOf::All, |ids| EndpointsOf::Devices(ids.to_vec()));
        let webhooks = self.clone();
        self.store
            .read(move |store| {
                let endpoints = store.webhooks(&of)?;
                endpoints.into_iter().map(|endpoint| webhooks.status(store, &endpoint.id)).collect()
            })
            .await
    }

    /// Returns one webhook.
    ///
    /// # Errors
    /// When there is no such webhook, or the store fails.
    pub async fn webhook(&self, id: &EndpointId) -> Result<WebhookStatus, ServiceError> {
        let (webhooks, id) = (self.clone(), id.clone());
        self.store.read(move |store| webhooks.status(store, &id)).await
    }

    fn status(&self, store: &Reader<'_>, id: &EndpointId) -> Result<WebhookStatus, ServiceError> {
        let stored = store.webhook(id)?.ok_or(ServiceError::WebhookNotFound)?;
        let (waiting, dead) = store.delivery_counts(id)?;
        let now = self.clock.now();
        let secrets = self.store.open_webhook(&stored)?;
        let previous_until = secrets.previous.iter().map(|old| old.until).filter(|until| *until > now).max();
        Ok(WebhookStatus { endpoint: stored.endpoint, waiting, dead, previous_until })
    }

    /// Changes a webhook for later attempts. A declared webhook can only be enabled and disabled, until its
    /// declaration changes.
    ///
    /// # Errors
    /// When a field is invalid or set by a file, or there is no such webhook.
    pub async fn change_webhook(
        &self,
        id: &EndpointId,
        change: WebhookChange,
    ) -> Result<WebhookStatus, ServiceError> {
        let (webhooks, of) = (self.clone(), id.clone());
        let more = self
            .store
            .write(move |tx| {
                let stored = match change.only_switches() {
                    true => tx.webhook(&of)?.ok_or(ServiceError::WebhookNotFound)?,
                    false => undeclared(tx, &of)?,
                };
                let secrets = webhooks.store.open_webhook(&stored)?;
                check_move(&stored.endpoint, &secrets, &change)?;
                webhooks.configure(tx, stored, secrets, change.clone())
            })
            .await?;
        self.hurry_more(more).await;
        self.webhook(id).await
    }

    /// Applies a change. Returns the endpoint if it has more deliveries to reschedule than one batch holds.
    pub(super) fn configure(
        &self,
        tx: &Tx<'_>,
        stored: StoredEndpoint,
        mut secrets: EndpointSecrets,
        change: WebhookChange,
    ) -> Result<Option<EndpointKey>, ServiceError> {
        let (key, was_enabled, now) = (stored.key, stored.endpoint.is_enabled(), self.clock.now());
        let before = self.store.open_webhook(&stored)?.url;
        let mut endpoint = stored.endpoint;
        apply(&mut endpoint, &mut secrets, change, now);
        let moved = before != secrets.url;
        if moved {
            // Failures of the previous URL do not apply to the new one.
            (endpoint.failing_since, endpoint.failed_at) = (None, None);
        }
        self.state.check(&endpoint, &secrets)?;
        let sealed = self.store.seal_webhook(&endpoint.id, &secrets)?;
        tx.configure_webhook(key, &endpoint, &sealed)?;
        let goes_on = endpoint.is_enabled() && (moved || !was_enabled);
        let retried = if goes_on { tx.retry_now(key, RetryNowCause::Asked, now, BATCH)? } else { 0 };
        Ok((retried == BATCH).then_some(key))
    }

    /// Reschedules the deliveries that [`Webhooks::configure`] left.
    pub(super) async fn hurry_more(&self, more: Option<EndpointKey>) {
        if let Some(key) = more {
            self.retry_now(key, RetryNowCause::Asked).await;
        }
    }

    /// Deletes a webhook and its waiting deliveries.
    ///
    /// # Errors
    /// When there is no such webhook, or a file declares it.
    pub async fn delete_webhook(&self, id: &EndpointId) -> Result<(), ServiceError> {
        let of = id.clone();
        self.store
            .write(move |tx| {
                undeclared(tx, &of)?;
                Ok::<_, ServiceError>(tx.end_webhook(&of, false)?)
            })
            .await?;
        tracing::info!(webhook = %id, "webhook deleted");
        self.remove_ended_webhooks();
        Ok(())
    }

    /// Replaces a webhook's secret. The previous one signs too for `keep_ms`.
    ///
    /// # Errors
    /// When the secret is invalid or set by a file, or there is no such webhook.
    pub async fn rotate_webhook(
        &self,
        id: &EndpointId,
        secret: Option<String>,
        keep_ms: i64,
    ) -> Result<RotatedWebhook, ServiceError> {
        let secret = secret.unwrap_or_else(|| new_secret(&*self.random));
        let now = self.clock.now();
        let previous_until = now.plus(keep_ms);
        let (webhooks, of, new) = (self.clone(), id.clone(), secret.clone());
        self.store
            .write(move |tx| {
                let stored = undeclared(tx, &of)?;
                let mut secrets = webhooks.store.open_webhook(&stored)?;
                secrets.replace_secret(new.clone(), now, previous_until);
                webhooks.configure(tx, stored, secrets, WebhookChange::default())
            })
            .await?;
        tracing::info!(webhook = %id, "webhook secret rotated");
        Ok(RotatedWebhook { secret, previous_until })
    }

    /// Lists a webhook's attempts before the given one, newest first.
    ///
    /// # Errors
    /// When there is no such webhook, or the store fails.
    pub async fn webhook_attempts(
        &self,
        id: &EndpointId,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<WebhookAttempt>, ServiceError> {
        let id = id.clone();
        self.store
            .read(move |store| {
                let stored = store.webhook(&id)?.ok_or(ServiceError::WebhookNotFound)?;
                Ok(store.webhook_attempts(stored.key, before, limit)?)
            })
            .await
    }
}

/// Returns a webhook, unless a file declares it.
fn undeclared(tx: &Tx<'_>, id: &EndpointId) -> Result<StoredEndpoint, ServiceError> {
    let stored = tx.webhook(id)?.ok_or(ServiceError::WebhookNotFound)?;
    match stored.endpoint.declared {
        Some(_) => Err(ServiceError::SetByFile("this webhook".to_owned())),
        None => Ok(stored),
    }
}

fn apply(endpoint: &mut Endpoint, secrets: &mut EndpointSecrets, change: WebhookChange, now: Millis) {
    endpoint.name = change.name.unwrap_or(std::mem::take(&mut endpoint.name));
    if let Some(url) = change.url.filter(|url| *url != endpoint.url) {
        endpoint.url = shown_url(&url);
        secrets.url = url;
    }
    if let Some(events) = change.events {
        endpoint.subscription.events = events;
    }
    if let Some(exclude) = change.exclude {
        endpoint.subscription.exclude = exclude;
    }
    endpoint.format = change.format.unwrap_or(endpoint.format);
    endpoint.ordering = change.ordering.unwrap_or(endpoint.ordering);
    if let Some(mut headers) = change.headers {
        for (name, value) in &mut headers {
            if value == MASK
                && let Some(kept) = secrets.headers.get(name)
            {
                value.clone_from(kept);
            }
        }
        endpoint.header_names = headers.keys().cloned().collect();
        secrets.headers = headers;
    }
    endpoint.timeout_ms = change.timeout_ms.unwrap_or(endpoint.timeout_ms);
    if let Some(custom_ca) = change.custom_ca {
        endpoint.custom_ca = custom_ca;
    }
    match change.enabled {
        Some(true) if endpoint.disabled.is_some() => {
            (endpoint.disabled, endpoint.failing_since, endpoint.failed_at) = (None, None, None);
        }
        Some(false) if endpoint.disabled.is_none() => {
            endpoint.disabled = Some((DisabledReason::Operator, now));
        }
        _ => {}
    }
}
