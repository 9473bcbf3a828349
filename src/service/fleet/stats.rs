//! Counts devices, messages and sockets. A key sees the numbers of its devices only.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::service::{Fleet, ServiceError};
use crate::store::hourly_counters::HourCounts;

/// The numbers of all devices, or of a key's devices.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// Number of devices.
    pub devices: usize,
    /// Devices by state.
    pub devices_by_state: BTreeMap<String, usize>,
    /// Messages since midnight, UTC.
    pub messages_today: Traffic,
    /// Queued messages, in total and by device.
    pub queued_messages: i64,
    /// By device, for devices with queued messages.
    pub queues: BTreeMap<String, i64>,
    /// Connected sockets of these devices; of all devices, also those of `/devices`.
    pub sockets: i64,
}

/// Messages by direction.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Traffic {
    /// Messages received.
    pub received: i64,
    /// Messages sent.
    pub sent: i64,
}

/// The activity of one clock hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HourOfActivity {
    /// The start of the hour.
    pub hour: Millis,
    /// The counters.
    pub counts: HourCounts,
}

const DAY_MS: i64 = 86_400_000;
const HOUR_MS: i64 = 3_600_000;

impl Fleet {
    /// The numbers of these devices, or of all.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn stats(&self, only: Option<&[DeviceId]>) -> Result<Stats, ServiceError> {
        let now = self.clock.now();
        let midnight = now.plus(-now.0.rem_euclid(DAY_MS));
        let sockets = match only {
            Some(devices) => self.registry.sockets.of(devices),
            None => self.metrics.sockets.get(),
        };
        let only = only.map(<[DeviceId]>::to_vec);
        self.store
            .read(move |store| {
                let seen = |id: &DeviceId| only.as_ref().is_none_or(|ids| ids.contains(id));
                let mut devices_by_state = BTreeMap::new();
                let mut devices = 0;
                for device in store.devices()?.into_iter().filter(|device| seen(&device.id)) {
                    devices += 1;
                    *devices_by_state.entry(device.state.name().to_owned()).or_default() += 1;
                }
                let (received, sent) = store.traffic_since(only.as_deref(), midnight)?;
                let lengths = store.outbox_lengths()?.into_iter().filter(|(id, _)| seen(id));
                let queues: BTreeMap<String, i64> =
                    lengths.map(|(id, length)| (id.to_string(), length)).collect();
                Ok(Stats {
                    devices,
                    devices_by_state,
                    messages_today: Traffic { received, sent },
                    queued_messages: queues.values().sum(),
                    queues,
                    sockets,
                })
            })
            .await
    }

    /// The activity of these devices, or all, in the last clock hours including the current one, oldest first.
    /// Hours without activity are included.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn history(
        &self,
        only: Option<&[DeviceId]>,
        hours: u32,
    ) -> Result<Vec<HourOfActivity>, ServiceError> {
        let now = self.clock.now();
        let current = now.0 - now.0.rem_euclid(HOUR_MS);
        let from = current - (i64::from(hours) - 1) * HOUR_MS;
        let only = only.map(<[DeviceId]>::to_vec);
        let counted =
            self.store.read(move |store| store.activity_since(only.as_deref(), Millis(from))).await?;
        let counted: BTreeMap<i64, HourCounts> =
            counted.into_iter().map(|(hour, counts)| (hour.0, counts)).collect();
        let starts = (0..i64::from(hours)).map(|n| from + n * HOUR_MS);
        let activity = starts.map(|hour| HourOfActivity {
            hour: Millis(hour),
            counts: counted.get(&hour).copied().unwrap_or_default(),
        });
        Ok(activity.collect())
    }
}
