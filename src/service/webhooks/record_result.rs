//! Records an attempt in one transaction: deletes, reschedules or dead-letters the delivery and updates the
//! webhook's health.

use std::sync::Arc;

use super::attempt::{AttemptResult, Target};
use super::backlog::BATCH;
use crate::domain::clock::Millis;
use crate::domain::event::{Event, WebhookDeadEvent, WebhookDisabledEvent};
use crate::domain::webhook::DisabledReason;
use crate::service::{ServiceError, Webhooks};
use crate::store::Tx;
use crate::store::webhook_deliveries::{AfterFailure, DueDelivery};
use crate::store::webhook_ordering::RetryNowCause;

/// Failures further apart than this do not count as one period of failing.
const LAPSE_MS: i64 = 86_400_000;

/// Records the result of an attempt.
///
/// # Errors
/// When the store fails; the delivery is then attempted again.
pub(super) async fn record_result(
    webhooks: &Webhooks,
    target: &Arc<Target>,
    delivery: DueDelivery,
    tried: AttemptResult,
) -> Result<(), ServiceError> {
    let (now, unit) = (webhooks.clock.now(), webhooks.random.unit());
    let settling = AttemptRecord {
        schedule_wait: webhooks.state.limits.schedule.wait_ms(
            delivery.attempts.saturating_add(1),
            unit,
            tried.outcome.asked_ms,
        ),
        lapse_ms: lapse_ms(webhooks),
        disable_after_ms: webhooks.state.limits.disable_after_ms,
        max_per_second: webhooks.state.limits.max_attempts_per_second,
        target: target.clone(),
        delivery,
        tried,
        now,
    };
    let end = webhooks.store.write_patiently(move |tx| settling.store(tx)).await?;
    if end.retried == BATCH {
        webhooks.retry_now(target.key, RetryNowCause::Recovered).await;
    }
    if end.dead {
        webhooks.metrics.webhook_dead.inc();
        tracing::warn!(webhook = %target.endpoint.id, "delivery dead-lettered after its last attempt");
    }
    if let Some(reason) = end.disabled {
        webhooks.metrics.webhook_disabled.inc();
        tracing::warn!(webhook = %target.endpoint.id, ?reason, "webhook disabled");
        if reason == DisabledReason::Failing {
            webhooks.dead_letter(target.key, "endpoint_failing").await;
        }
    }
    Ok(())
}

fn lapse_ms(webhooks: &Webhooks) -> i64 {
    let longest = webhooks.state.limits.schedule.longest_ms().saturating_mul(2);
    i64::try_from(longest).unwrap_or(i64::MAX).max(LAPSE_MS)
}

/// Inputs of the transaction that records an attempt.
struct AttemptRecord {
    target: Arc<Target>,
    delivery: DueDelivery,
    tried: AttemptResult,
    schedule_wait: Option<u64>,
    lapse_ms: i64,
    disable_after_ms: i64,
    max_per_second: usize,
    now: Millis,
}

/// Effects of a recorded attempt.
#[derive(Default)]
struct DeliveryResult {
    dead: bool,
    disabled: Option<DisabledReason>,
    /// Number of deliveries rescheduled because the webhook recovered.
    retried: usize,
}

impl AttemptRecord {
    fn store(&self, tx: &Tx<'_>) -> Result<DeliveryResult, ServiceError> {
        let (key, now) = (self.target.key, self.now);
        let mut end = DeliveryResult::default();
        let mut next_at = None;
        if self.tried.outcome.is_delivered() {
            tx.complete_delivery(self.delivery.key, now)?;
            if tx.record_endpoint_success(key, now)? {
                end.retried = tx.retry_now(key, RetryNowCause::Recovered, now, BATCH)?;
            }
        } else {
            let event_gone = self.delivery.payload.is_none();
            let wait = self.schedule_wait.filter(|_| !self.tried.outcome.is_gone() && !event_gone);
            next_at = wait.map(|ms| now.plus(i64::try_from(ms).unwrap_or(i64::MAX)));
            let after = next_at.map_or(AfterFailure::DeadLetter, AfterFailure::Retry);
            if tx.fail_delivery(self.delivery.key, self.tried.outcome.word, after, now)? {
                end.dead = next_at.is_none();
            }
            if !event_gone {
                let since = tx.record_endpoint_failure(key, now, self.lapse_ms)?;
                end.disabled = self.switch_off(tx, since)?;
            }
            // Dead `webhook:` events emit no event, or two failing webhooks would feed each other.
            if end.dead && !self.delivery.kind.starts_with("webhook:") {
                self.append_event(tx, &self.died())?;
            }
        }
        let number = self.delivery.attempts.saturating_add(1);
        let event = (self.delivery.device.clone(), self.delivery.seq);
        let attempt = self.tried.clone().into_attempt(Some(event), &self.delivery.name, number, next_at);
        tx.record_attempt(key, &attempt, self.max_per_second)?;
        Ok(end)
    }

    fn switch_off(&self, tx: &Tx<'_>, failing_since: Millis) -> Result<Option<DisabledReason>, ServiceError> {
        let reason = if self.tried.outcome.is_gone() {
            DisabledReason::Gone
        } else if self.now.since(failing_since) >= self.disable_after_ms {
            DisabledReason::Failing
        } else {
            return Ok(None);
        };
        if !tx.disable_webhook(self.target.key, reason, self.now)? {
            return Ok(None);
        }
        let webhook_id = self.target.endpoint.id.clone();
        self.append_event(tx, &Event::WebhookDisabled(WebhookDisabledEvent { webhook_id, reason }))?;
        Ok(Some(reason))
    }

    fn died(&self) -> Event {
        Event::WebhookDead(WebhookDeadEvent {
            webhook_id: self.target.endpoint.id.clone(),
            event: self.delivery.kind.clone(),
            event_seq: self.delivery.seq,
            attempts: self.delivery.attempts.saturating_add(1),
            error: self.tried.outcome.word.to_owned(),
            count: 1,
        })
    }

    /// Appends to the log of the event's device, unless the device was deleted.
    fn append_event(&self, tx: &Tx<'_>, event: &Event) -> Result<(), ServiceError> {
        if tx.device(&self.delivery.device)?.is_some() {
            tx.append(&self.delivery.device, event, self.now)?;
        }
        Ok(())
    }
}
