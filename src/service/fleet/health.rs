//! The health of devices and the state of their queues, from counters and liveness. Nothing is stored.

use serde::Serialize;

use crate::domain::clock::Millis;
use crate::domain::device::Device;
use crate::domain::health::{Health, Network, UNANSWERED_AFTER_MS, UNDELIVERED_AFTER_MS, compute_health};
use crate::domain::ids::DeviceId;
use crate::domain::state::State;
use crate::service::messaging::outbox::settings::limits_of;
use crate::service::{DeviceView, Fleet, HoldReason, ServiceError};
use crate::store::Reader;

const HOUR_MS: i64 = 3_600_000;
/// Minimum sends for a meaningful mean time.
const LEAST_SENDS: i64 = 3;

/// A device's queue, as REST shows it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QueueStatus {
    /// The queue.
    pub queue: Queue,
    /// The device's health.
    pub health: Health,
    /// Whether sending is advisable now.
    pub safety: Safety,
    /// The recommended pause between messages, in milliseconds.
    pub recommended_delay: u64,
}

/// Numbers of a queue.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Queue {
    /// Messages that reached the network in the last minute.
    pub messages_in_last60s: i64,
    /// The time of the last message in either direction.
    pub last_message_time: Option<Millis>,
    /// Queued messages.
    pub queued_messages: i64,
    /// The reason for the delay of the next message.
    pub held_by: Option<HoldReason>,
}

/// Whether sending is advisable now, with reasons.
#[derive(Debug, Clone, Serialize)]
pub struct Safety {
    /// Whether sending is advisable.
    pub safe: bool,
    /// The reasons against it.
    pub reason: Option<String>,
}

impl Fleet {
    /// A device's health, and the time of the assessment.
    ///
    /// # Errors
    /// If there is no such device, or the store fails.
    pub async fn health(&self, device: &DeviceId) -> Result<(Health, Millis), ServiceError> {
        let (fleet, device, now) = (self.clone(), device.clone(), self.clock.now());
        let health = self
            .store
            .read(move |store| {
                let found = store.device(&device)?.ok_or(ServiceError::DeviceNotFound)?;
                fleet.compute_health(store, &found, now)
            })
            .await?;
        Ok((health, now))
    }

    /// The health of these devices, or of all.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn fleet_health(
        &self,
        only: Option<&[DeviceId]>,
    ) -> Result<Vec<(DeviceView, Health)>, ServiceError> {
        let (fleet, now) = (self.clone(), self.clock.now());
        let views = self.devices(only).await?;
        self.store
            .read(move |store| {
                let judged = views.into_iter().map(|view| {
                    let health = fleet.compute_health(store, &view.device, now)?;
                    Ok((view, health))
                });
                judged.collect()
            })
            .await
    }

    /// A device's queue.
    ///
    /// # Errors
    /// If there is no such device, or the store fails.
    pub async fn queue_status(&self, device: &DeviceId) -> Result<QueueStatus, ServiceError> {
        let (fleet, device, now) = (self.clone(), device.clone(), self.clock.now());
        self.store
            .read(move |store| {
                let found = store.device(&device)?.ok_or(ServiceError::DeviceNotFound)?;
                let health = fleet.compute_health(store, &found, now)?;
                let pace = limits_of(&fleet.limits.outbox, &found).rules.pace_at(now);
                let by_minute = 60_000_u32.checked_div(pace.messages_per_minute).unwrap_or(0);
                let queued_messages = store.outbox_len(&device)?;
                let reason = match (found.state.is_ready(), health.warnings.first()) {
                    (_, Some(warning)) => Some(warning.message.clone()),
                    (false, None) => Some("the device is not ready".to_owned()),
                    (true, None) => None,
                };
                Ok(QueueStatus {
                    queue: Queue {
                        messages_in_last60s: store.sent_since(&device, now.plus(-60_000))?,
                        last_message_time: health.metrics.last_activity,
                        queued_messages,
                        held_by: fleet.messaging.held(&found, queued_messages),
                    },
                    safety: Safety { safe: reason.is_none(), reason },
                    recommended_delay: u64::from(pace.min_delay.midpoint(pace.max_delay).max(by_minute)),
                    health,
                })
            })
            .await
    }

    /// Assesses a device from stored counters and its liveness.
    fn compute_health(
        &self,
        store: &Reader<'_>,
        device: &Device,
        now: Millis,
    ) -> Result<Health, ServiceError> {
        let mut seen = store.observed(&device.id, now)?;
        seen.warmup = limits_of(&self.limits.outbox, device).rules.phase(now);
        if let State::Ready { since, .. } = &device.state {
            seen.network = self.network(store, device, *since, now)?;
        }
        Ok(compute_health(&device.state, &seen))
    }

    fn network(
        &self,
        store: &Reader<'_>,
        device: &Device,
        ready_since: Millis,
        now: Millis,
    ) -> Result<Network, ServiceError> {
        let id = &device.id;
        let delivered_by = now.plus(-UNDELIVERED_AFTER_MS);
        let arrivals = store.arrivals(id, delivered_by.plus(-HOUR_MS), delivered_by)?;
        let live = self.registry.live(id).ok();
        let speed = live.as_ref().map(|live| live.liveness.speed());
        let alive_at =
            live.and_then(|live| live.liveness.alive_at()).map_or(ready_since, |at| at.max(ready_since));
        // Two hours: the last complete one and the current one.
        let connected_long = now.since(ready_since) > 2 * HOUR_MS;
        Ok(Network {
            silent_ms: self.too_long_silent(device, alive_at, now),
            unanswered: store.unanswered(id, now.plus(-HOUR_MS), now.plus(-UNANSWERED_AFTER_MS))?,
            chats_sent_to: arrivals.chats,
            chats_without_receipt: arrivals.silent,
            send_ms: speed.filter(|(_, sends)| *sends >= LEAST_SENDS).map(|(ms, _)| ms),
            receives_nothing: connected_long && store.receives_nothing(id, now)?,
        })
    }

    fn too_long_silent(&self, device: &Device, alive_at: Millis, now: Millis) -> Option<i64> {
        let limit = self.limits.degraded_after_ms;
        let proves = |driver: &std::sync::Arc<dyn crate::engine::Driver>| driver.proves_liveness();
        let expected = limit > 0 && self.registry.driver(device.engine.as_str()).is_some_and(proves);
        Some(now.since(alive_at)).filter(|silent| expected && *silent >= limit)
    }
}
