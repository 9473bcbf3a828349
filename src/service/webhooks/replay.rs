//! Lists dead letters, and delivers events again. Works in bounded batches.

use crate::domain::ids::DeviceId;
use crate::domain::webhook::DeadLetter;
use crate::domain::webhook::DeliveryKey;
use crate::domain::webhook::EndpointId;
use crate::service::{ServiceError, Webhooks};
use crate::store::webhook_replays::ReplayRows;

/// Maximum rows per batch.
const BATCH: usize = 200;
/// Maximum log entries per replay.
const MAX_RANGE: i64 = 100_000;

/// A page of dead letters.
#[derive(Debug)]
pub struct DeadLetters {
    /// Dead letters, newest first.
    pub page: Vec<DeadLetter>,
    /// Total number of dead letters.
    pub total: i64,
}

/// Events to deliver again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replay {
    /// One dead letter.
    One(i64),
    /// All dead letters.
    AllDead,
    /// The webhook's events in a range of a device's log, whether or not they were delivered before.
    Range {
        /// The device of the log.
        device: DeviceId,
        /// First `seq`.
        from: i64,
        /// Last `seq`.
        to: i64,
    },
}

impl Webhooks {
    /// Lists dead letters of a webhook.
    ///
    /// # Errors
    /// When there is no such webhook, or the store fails.
    pub async fn dead_letters(
        &self,
        id: &EndpointId,
        limit: usize,
        offset: usize,
    ) -> Result<DeadLetters, ServiceError> {
        let id = id.clone();
        self.store
            .read(move |store| {
                let stored = store.webhook(&id)?.ok_or(ServiceError::WebhookNotFound)?;
                let (page, total) = store.dead_deliveries(stored.key, limit, offset)?;
                Ok(DeadLetters { page, total })
            })
            .await
    }

    /// Delivers events again, with a new series of attempts and the same `webhook-id`. Returns their number.
    ///
    /// # Errors
    /// When there is no such webhook or dead letter, the webhook is disabled, or the range is too wide.
    pub async fn replay_webhook(&self, id: &EndpointId, replay: Replay) -> Result<usize, ServiceError> {
        let of = id.clone();
        let stored =
            self.store.read(move |store| store.webhook(&of)?.ok_or(ServiceError::WebhookNotFound)).await?;
        if !stored.endpoint.is_enabled() {
            let sentence = "this webhook is disabled; enable it before you replay";
            return Err(ServiceError::WrongState(sentence.to_owned()));
        }
        let (key, started) = (stored.key, self.clock.now());
        let rows = match replay {
            Replay::One(number) => ReplayRows::One(DeliveryKey::from(number)),
            Replay::AllDead => ReplayRows::AllDead,
            Replay::Range { device, from, to } => {
                if stored.endpoint.device.as_ref().is_some_and(|own| *own != device) {
                    return Err(ServiceError::invalid("deviceId", "is not the device of this webhook"));
                }
                return self.replay_range(&stored.key, device, from, to).await;
            }
        };
        let only_one = matches!(rows, ReplayRows::One(_));
        let mut count = 0;
        loop {
            let (rows, now) = (rows.clone(), self.clock.now());
            // Deliveries that are dead-lettered again during the replay are not replayed twice.
            let revived =
                self.store.write(move |tx| tx.requeue_dead_letters(key, &rows, started, now, BATCH)).await?;
            count += revived;
            if only_one || revived < BATCH {
                break;
            }
        }
        if only_one && count == 0 {
            return Err(ServiceError::DeadLetterNotFound);
        }
        Ok(count)
    }

    async fn replay_range(
        &self,
        key: &crate::store::webhook_endpoints::EndpointKey,
        device: DeviceId,
        from: i64,
        to: i64,
    ) -> Result<usize, ServiceError> {
        if from > to || to - from >= MAX_RANGE {
            let right = format!("must not be before from, and at most {MAX_RANGE} entries from it");
            return Err(ServiceError::invalid("to", right));
        }
        if !self.registry.device_exists(&device) {
            return Err(ServiceError::DeviceNotFound);
        }
        let (key, mut after, mut count) = (*key, from - 1, 0);
        loop {
            let (device, now) = (device.clone(), self.clock.now());
            let (added, last) =
                self.store.write(move |tx| tx.redeliver(key, &device, (after, to), now, BATCH)).await?;
            count += added;
            match last {
                Some(last) if last < to => after = last,
                _ => return Ok(count),
            }
        }
    }
}
