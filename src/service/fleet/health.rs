//! How devices are, and how their queues are.

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
/// Fewer sends say nothing of the speed.
const LEAST_SENDS: i64 = 3;

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
    /// Why the next of them does not leave yet.
    pub held_by: Option<HoldReason>,
}

/// Whether sending now is wise, and why not.
#[derive(Debug, Clone, Serialize)]
pub struct Safety {
    /// Whether it is.
    pub safe: bool,
    /// Why not.
    pub reason: Option<String>,
}

impl Fleet {
    /// A device's health, and when it was judged.
    ///
    /// # Errors
    /// When there is no such device, or the store fails.
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
    /// When the store fails.
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
    /// When there is no such device, or the store fails.
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

    /// Judges a device from stored counters and from its liveness.
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
        // Two hours: one that is over, and what came in while it was not connected.
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
