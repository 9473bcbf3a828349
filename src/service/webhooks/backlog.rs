//! Changes all waiting deliveries of an endpoint: dead-letters, retries or reschedules them. Works in bounded
//! batches.

use std::time::Duration;

use crate::domain::clock::Millis;
use crate::domain::event::{Event, WebhookDeadEvent};
use crate::domain::ids::DeviceId;
use crate::domain::webhook::EndpointId;
use crate::service::{ServiceError, Webhooks};
use crate::store::Tx;
use crate::store::webhook_dead_letters::Overflow;
use crate::store::webhook_endpoints::EndpointKey;
use crate::store::webhook_ordering::RetryNowCause;

/// Pause between two batches.
pub(super) const PAUSE: Duration = Duration::from_millis(20);
/// Maximum deliveries per batch.
pub(super) const BATCH: usize = 500;
/// Error of deliveries that exceed the queue limit.
const TOO_MANY: &str = "too_many_waiting";

impl Webhooks {
    /// Dead-letters all waiting deliveries of a disabled endpoint.
    pub(super) async fn dead_letter(&self, key: EndpointKey, error: &'static str) {
        loop {
            let now = self.clock.now();
            match self.store.write_patiently(move |tx| tx.dead_letter_batch(key, error, now, BATCH)).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    return tracing::warn!(%error, "cannot dead-letter the deliveries of a disabled webhook; housekeeping tries again");
                }
            }
        }
    }

    /// Dead-letters the oldest waiting deliveries of an endpoint down to the limit. Each batch reports its
    /// count in an event.
    pub(super) async fn shorten_queue(&self, key: EndpointKey) -> Result<(), ServiceError> {
        let most = self.state.limits.max_waiting;
        let mut dead_lettered = 0;
        loop {
            let now = self.clock.now();
            let count = self.store.write_patiently(move |tx| dead_letter_beyond(tx, key, most, now)).await?;
            dead_lettered += count;
            self.metrics.webhook_dead.inc_by(count as u64);
            if count == 0 || self.draining(PAUSE).await {
                break;
            }
        }
        if dead_lettered > 0 {
            tracing::warn!(
                dead_lettered,
                "too many deliveries wait for a webhook; the oldest were dead-lettered"
            );
        }
        Ok(())
    }

    /// Retries deliveries that wait for a later attempt now.
    pub(super) async fn retry_now(&self, key: EndpointKey, why: RetryNowCause) {
        loop {
            let now = self.clock.now();
            match self.store.write_patiently(move |tx| tx.retry_now(key, why, now, BATCH)).await {
                Ok(BATCH) => {}
                Ok(_) => return,
                Err(error) => {
                    return tracing::warn!(%error, "cannot retry deliveries now; they stay scheduled");
                }
            }
        }
    }

    /// Reschedules waiting deliveries after the clock was set back, so that none waits longer than planned.
    pub(super) async fn reschedule_from_now(&self, key: EndpointKey) -> Result<(), ServiceError> {
        loop {
            let now = self.clock.now();
            let moved =
                self.store.write_patiently(move |tx| tx.reschedule_after_pause(key, now, BATCH)).await?;
            if moved < BATCH {
                return Ok(());
            }
        }
    }
}

/// Dead-letters one batch and returns its size.
fn dead_letter_beyond(
    tx: &Tx<'_>,
    key: EndpointKey,
    most: usize,
    now: Millis,
) -> Result<usize, ServiceError> {
    let overflown = tx.dead_letter_overflow(key, most, now, BATCH)?;
    let Some(webhook) = tx.webhook_id(key)? else { return Ok(overflown.count) };
    for (device, overflow) in overflown.told {
        append_overflow_event(tx, &webhook, &device, overflow, now)?;
    }
    Ok(overflown.count)
}

/// Appends to the log of the events' device, unless the device was deleted.
fn append_overflow_event(
    tx: &Tx<'_>,
    webhook: &EndpointId,
    device: &DeviceId,
    overflow: Overflow,
    now: Millis,
) -> Result<(), ServiceError> {
    if tx.device(device)?.is_none() {
        return Ok(());
    }
    let event = Event::WebhookDead(WebhookDeadEvent {
        webhook_id: webhook.clone(),
        event: overflow.kind,
        event_seq: overflow.seq,
        attempts: overflow.attempts,
        error: TOO_MANY.to_owned(),
        count: overflow.count,
    });
    tx.append(device, &event, now)?;
    Ok(())
}
