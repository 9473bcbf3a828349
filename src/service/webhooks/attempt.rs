//! Runs one delivery attempt: builds the body, sends the request and classifies the answer.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use url::Url;

use super::body::{self, Outgoing};
use super::classify::Outcome;
use super::signing;
use crate::domain::clock::Millis;
use crate::domain::device::Account;
use crate::domain::ids::DeviceId;
use crate::domain::webhook::WebhookAttempt;
use crate::domain::webhook::{Endpoint, EndpointId, EndpointSecrets};
use crate::net::Post;
use crate::service::{ServiceError, Webhooks};
use crate::store::webhook_deliveries::DueDelivery;
use crate::store::webhook_endpoints::EndpointKey;

/// An attempt that takes longer moves to the pool of slow attempts, if a permit is free there.
const SLOW_AFTER: Duration = Duration::from_secs(1);
/// Event name of a test delivery.
const TEST: &str = "webhook:test";
/// Timeout of a test delivery; the API request that started it must be answered in time.
const TEST_TIMEOUT: Duration = Duration::from_secs(15);

/// An endpoint with its key and opened secrets.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) key: EndpointKey,
    pub(super) endpoint: Endpoint,
    pub(super) secrets: EndpointSecrets,
}

/// Outcome and duration of an attempt.
#[derive(Debug, Clone)]
pub(super) struct AttemptResult {
    pub(super) outcome: Outcome,
    pub(super) message_id: String,
    pub(super) began: Millis,
    pub(super) took: Duration,
}

/// Result of a test delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestReport {
    /// Whether the receiver accepted the delivery.
    pub delivered: bool,
    /// Outcome as a stable code.
    pub outcome: &'static str,
    /// HTTP status of the answer, if any.
    pub status: Option<u16>,
    /// Duration in milliseconds.
    pub duration_ms: i64,
}

/// Permit to run an attempt. A slow attempt exchanges it for one of the slow pool, if one is free.
pub(super) struct AttemptPermit {
    permit: Option<OwnedSemaphorePermit>,
    slow: Option<Arc<Semaphore>>,
}

impl AttemptPermit {
    /// Waits for a permit, of the slow pool for a failing endpoint.
    pub(super) async fn take(webhooks: &Webhooks, failing: bool) -> Self {
        let webhooks = &webhooks.state;
        let (room, slow) = match failing {
            true => (webhooks.slow_room.clone(), None),
            false => (webhooks.room.clone(), Some(webhooks.slow_room.clone())),
        };
        // The semaphore is closed only when the daemon ends.
        Self { permit: room.acquire_owned().await.ok(), slow }
    }

    fn give_up(&mut self) {
        if let Some(permit) = self.slow.take().and_then(|room| room.try_acquire_owned().ok()) {
            self.permit = Some(permit);
        }
    }
}

impl Target {
    /// Makes one attempt to deliver an event.
    pub(super) async fn push(
        &self,
        webhooks: &Webhooks,
        delivery: &DueDelivery,
        place: &mut AttemptPermit,
    ) -> AttemptResult {
        let now = webhooks.clock.now();
        let (device, name) = (&delivery.device, delivery.name.as_str());
        let Some(payload) = delivery.payload.as_deref() else {
            let id = signing::message_id(&self.endpoint.id, device, delivery.seq, name, now);
            return AttemptResult::not_made(id, now, "event_gone");
        };
        let at = body::time_of(payload).unwrap_or(now);
        let id = signing::message_id(&self.endpoint.id, device, delivery.seq, name, at);
        let event = Outgoing {
            id: &id,
            kind: &delivery.kind,
            name,
            device: device.as_str(),
            at,
            payload,
            account: delivery.account.as_ref(),
        };
        let timeout = webhooks.webhook_timeout(&self.endpoint);
        self.send(webhooks, &event, timeout, place).await
    }

    async fn send(
        &self,
        webhooks: &Webhooks,
        event: &Outgoing<'_>,
        timeout: Duration,
        place: &mut AttemptPermit,
    ) -> AttemptResult {
        let (began, started) = (webhooks.clock.now(), Instant::now());
        let (Ok(body), Ok(url)) = (body::of(self.endpoint.format, event), Url::parse(&self.secrets.url))
        else {
            return AttemptResult::not_made(event.id.to_owned(), began, "not_set_up");
        };
        let secrets: Vec<&str> = self.secrets.signing(began).collect();
        let mut headers: Vec<(String, String)> = self.secrets.headers.clone().into_iter().collect();
        headers.extend(signing::headers(self.endpoint.format, event.id, began, &body, &secrets));
        let client = webhooks.state.client(self.endpoint.custom_ca.as_deref());
        let metrics = &webhooks.metrics;
        metrics.webhook_in_flight.inc();
        let answer = {
            let mut asking = Box::pin(
                client.post(&url, Post { content_type: "application/json", headers, body, timeout }),
            );
            match tokio::time::timeout(SLOW_AFTER, &mut asking).await {
                Ok(answer) => answer,
                Err(_) => {
                    place.give_up();
                    asking.await
                }
            }
        };
        metrics.webhook_in_flight.dec();
        let outcome = Outcome::of(&answer, webhooks.clock.now().0);
        let took = started.elapsed();
        metrics.webhook_attempt(outcome.word, took.as_secs_f64());
        AttemptResult { outcome, message_id: event.id.to_owned(), began, took }
    }
}

impl AttemptResult {
    fn not_made(message_id: String, began: Millis, word: &'static str) -> Self {
        Self { outcome: Outcome::not_made(word), message_id, began, took: Duration::ZERO }
    }

    pub(super) fn duration_ms(&self) -> i64 {
        i64::try_from(self.took.as_millis()).unwrap_or(i64::MAX)
    }

    /// Logs an attempt on one line, without its body or URL.
    pub(super) fn log(&self, endpoint: &EndpointId, event: &str, attempt: u32) {
        tracing::info!(webhook = %endpoint, delivery = %self.message_id, event, attempt, outcome = self.outcome.word,
            status = self.outcome.status, ms = self.duration_ms(), "webhook tried");
    }

    pub(super) fn into_attempt(
        self,
        event: Option<(DeviceId, i64)>,
        name: &str,
        attempt: u32,
        next_at: Option<Millis>,
    ) -> WebhookAttempt {
        WebhookAttempt {
            id: 0,
            at: self.began,
            event,
            name: name.to_owned(),
            duration_ms: self.duration_ms(),
            message_id: self.message_id,
            attempt,
            outcome: self.outcome.word.to_owned(),
            status: self.outcome.status,
            next_at,
        }
    }
}

impl Webhooks {
    fn webhook_timeout(&self, endpoint: &Endpoint) -> Duration {
        let ms = endpoint.timeout_ms.map_or(self.state.limits.timeout_ms, u64::from);
        Duration::from_millis(ms)
    }

    /// Delivers a test event once and immediately, even while the webhook is disabled.
    ///
    /// # Errors
    /// When there is no such webhook, too many tests are running, or its device had too many in the last minute.
    pub async fn test_webhook(&self, id: &EndpointId) -> Result<TestReport, ServiceError> {
        let of = id.clone();
        let (stored, account) = self
            .store
            .read::<_, ServiceError, _>(move |store| {
                let stored = store.webhook(&of)?.ok_or(ServiceError::WebhookNotFound)?;
                let device =
                    stored.endpoint.device.as_ref().map(|id| store.device(id)).transpose()?.flatten();
                Ok((stored, device.and_then(|device| device.account)))
            })
            .await?;
        // Until the attempt is recorded: the receiver decides how long it takes.
        let _permit = self.state.tests.admit(stored.endpoint.device.clone(), self.clock.now())?;
        let secrets = self.store.open_webhook(&stored)?;
        let target = Target { key: stored.key, endpoint: stored.endpoint, secrets };
        let mut place = AttemptPermit { permit: None, slow: None };
        let tried = self.push_test(&target, account.as_ref(), &mut place).await;
        tried.log(&target.endpoint.id, TEST, 1);
        let report = TestReport {
            delivered: tried.outcome.is_delivered(),
            outcome: tried.outcome.word,
            status: tried.outcome.status,
            duration_ms: tried.duration_ms(),
        };
        let (key, attempt) = (target.key, tried.into_attempt(None, TEST, 1, None));
        let max = self.state.limits.max_attempts_per_second;
        self.store.write_patiently(move |tx| tx.record_attempt(key, &attempt, max)).await?;
        Ok(report)
    }

    async fn push_test(
        &self,
        target: &Target,
        account: Option<&Account>,
        place: &mut AttemptPermit,
    ) -> AttemptResult {
        let now = self.clock.now();
        let endpoint = &target.endpoint;
        let mut unique = [0_u8; 8];
        self.random.fill(&mut unique);
        let nowhere = DeviceId::random(&*self.random);
        let device = endpoint.device.as_ref();
        let id = signing::message_id(&endpoint.id, &nowhere, i64::from_le_bytes(unique), TEST, now);
        let Ok(payload) = body::test_payload(device, now) else {
            return AttemptResult::not_made(id, now, "not_set_up");
        };
        let event = Outgoing {
            id: &id,
            kind: TEST,
            name: TEST,
            device: device.map_or("", DeviceId::as_str),
            at: now,
            payload: &payload,
            account,
        };
        let timeout = self.webhook_timeout(endpoint).min(TEST_TIMEOUT);
        target.send(self, &event, timeout, place).await
    }
}
