//! How devices are, and how their queues are.

use serde::Serialize;

use super::{Core, DeviceView, ServiceError};
use crate::domain::clock::Millis;
use crate::domain::health::{Health, judge};
use crate::domain::ids::DeviceId;
use crate::store::Reader;

/// A device's queue, as REST shows it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QueueStatus {
    /// The queue.
    pub queue: Queue,
    /// The device's health.
    pub health: Health,
    /// Whether sending now is wise.
    pub safety: Safety,
    /// A pause in milliseconds that suits the pace.
    pub recommended_delay: u64,
}

/// Numbers of a queue.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Queue {
    /// Messages that reached the network in the last minute.
    pub messages_in_last60s: i64,
    /// When the last message of either direction was.
    pub last_message_time: Option<Millis>,
    /// Messages that wait.
    pub queued_messages: i64,
}

/// Whether sending now is wise, and why not.
#[derive(Debug, Clone, Serialize)]
pub struct Safety {
    /// Whether it is.
    pub safe: bool,
    /// Why not.
    pub reason: Option<String>,
}

impl Core {
    /// A device's health, and when it was judged.
    ///
    /// # Errors
    /// When there is no such device, or the store fails.
    pub async fn health(&self, device: &DeviceId) -> Result<(Health, Millis), ServiceError> {
        let (device, now) = (device.clone(), self.now());
        let health = self.read(move |store| judge_device(store, &device, now)).await?;
        Ok((health, now))
    }

    /// The health of these devices, or of all.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn fleet_health(
        &self,
        only: Option<&[DeviceId]>,
    ) -> Result<Vec<(DeviceView, Health)>, ServiceError> {
        let now = self.now();
        let views = self.devices(only).await?;
        self.read(move |store| {
            let judged = views.into_iter().map(|view| {
                let seen = store.observed(&view.device.id, now)?;
                let health = judge(&view.device.state, &seen);
                Ok((view, health))
            });
            judged.collect()
        })
        .await
    }

    /// A device's queue.
    ///
    /// # Errors
    /// When there is no such device, or the store fails.
    pub async fn queue_status(&self, device: &DeviceId) -> Result<QueueStatus, ServiceError> {
        let (device, now) = (device.clone(), self.now());
        let defaults = self.limits().outbox.clone();
        self.read(move |store| {
            let health = judge_device(store, &device, now)?;
            let found = store.device(&device)?.ok_or(ServiceError::DeviceNotFound)?;
            let pace = super::devices::outbox_limits(&defaults, &found.settings).pace;
            let reason = match (found.state.is_ready(), health.warnings.first()) {
                (_, Some(warning)) => Some(warning.message.clone()),
                (false, None) => Some("the device is not ready".to_owned()),
                (true, None) => None,
            };
            Ok(QueueStatus {
                queue: Queue {
                    messages_in_last60s: store.sent_since(&device, now.plus(-60_000))?,
                    last_message_time: health.metrics.last_activity,
                    queued_messages: store.outbox_len(&device)?,
                },
                safety: Safety { safe: reason.is_none(), reason },
                recommended_delay: u64::from(pace.min_delay.midpoint(pace.max_delay)),
                health,
            })
        })
        .await
    }
}

fn judge_device(store: &Reader<'_>, device: &DeviceId, now: Millis) -> Result<Health, ServiceError> {
    let found = store.device(device)?.ok_or(ServiceError::DeviceNotFound)?;
    Ok(judge(&found.state, &store.observed(device, now)?))
}
