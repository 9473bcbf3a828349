//! Hourly counters for lists, health and statistics, so that reads do not count table rows.

use rusqlite::params;

use super::error::StoreError;
use super::tx::{Reader, Tx};
use crate::domain::clock::Millis;
use crate::domain::health::HealthInput;
use crate::domain::ids::DeviceId;

const HOUR_MS: i64 = 3_600_000;

/// An event to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counter {
    /// An inbound message was stored.
    Received,
    /// A message reached the network.
    Sent {
        /// Milliseconds from acceptance to the network.
        after_ms: i64,
    },
    /// A message could not be sent.
    Failed,
    /// The device went offline.
    Disconnected,
}

/// The counters of one clock hour, over several devices.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HourCounts {
    /// Received messages.
    pub received: i64,
    /// Sent messages.
    pub sent: i64,
    /// Messages that could not be sent.
    pub failed: i64,
    /// Lost connections.
    pub disconnections: i64,
    /// Milliseconds from acceptance to the network, over all sent messages.
    pub response_ms: i64,
}

impl Reader<'_> {
    /// The counters of these devices by clock hour, oldest first; `None` means all devices.
    ///
    /// # Errors
    /// When the store fails.
    pub fn activity_since(
        &self,
        devices: Option<&[DeviceId]>,
        from: Millis,
    ) -> Result<Vec<(Millis, HourCounts)>, StoreError> {
        let only = super::column_codec::to_json(&devices.unwrap_or_default(), "device ids")?;
        self.all(
            "SELECT hour, sum(received), sum(sent), sum(failed), sum(disconnections), sum(response_ms)
             FROM activity
             WHERE hour >= ?1 AND (?2 OR device_id IN (SELECT value FROM json_each(?3)))
             GROUP BY hour ORDER BY hour",
            params![from.0, devices.is_none(), only],
            |row| {
                let counts = HourCounts {
                    received: row.get(1)?,
                    sent: row.get(2)?,
                    failed: row.get(3)?,
                    disconnections: row.get(4)?,
                    response_ms: row.get(5)?,
                };
                Ok((Millis(row.get(0)?), counts))
            },
        )
    }

    /// Counters of the current clock hour and the whole previous one. Health is thus never judged by a few
    /// minutes alone.
    ///
    /// # Errors
    /// When the store fails.
    pub fn observed(&self, device: &DeviceId, now: Millis) -> Result<HealthInput, StoreError> {
        let from = now.0 - HOUR_MS;
        let sums = self.one(
            "SELECT coalesce(sum(received), 0), coalesce(sum(sent), 0), coalesce(sum(failed), 0),
                 coalesce(sum(disconnections), 0), coalesce(sum(response_ms), 0)
             FROM activity WHERE device_id = ?1 AND hour > ?2",
            params![device.as_str(), from - HOUR_MS],
            |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get::<_, i64>(4)?]),
        )?;
        let [received, sent, failed, disconnections, response_ms] = sums.unwrap_or_default();
        let last = self.number("SELECT last_activity FROM totals WHERE device_id = ?1", [device.as_str()])?;
        Ok(HealthInput {
            messages_last_hour: received + sent,
            sent_last_hour: sent,
            failed_last_hour: failed,
            avg_response_ms: if sent == 0 { 0 } else { response_ms / sent },
            disconnections_last_hour: disconnections,
            last_activity: (last > 0).then_some(Millis(last)),
            ..HealthInput::default()
        })
    }

    /// Whether no message arrived since the start of the last whole hour, although at least five arrived in
    /// that hour of day on three of the last seven days.
    ///
    /// # Errors
    /// When the store fails.
    pub fn receives_nothing(&self, device: &DeviceId, now: Millis) -> Result<bool, StoreError> {
        let hour = now.0 - now.0.rem_euclid(HOUR_MS) - HOUR_MS;
        let received = |from: i64, to: i64| {
            self.number(
                "SELECT sum(received) FROM activity WHERE device_id = ?1 AND hour >= ?2 AND hour <= ?3",
                params![device.as_str(), from, to],
            )
        };
        if received(hour, now.0)? > 0 {
            return Ok(false);
        }
        let usual = (1..=7).map(|days| received(hour - days * 24 * HOUR_MS, hour - days * 24 * HOUR_MS));
        let busy = usual.filter(|count| count.as_ref().map_or(true, |count| *count >= 5));
        Ok(busy.collect::<Result<Vec<_>, _>>()?.len() >= 3)
    }

    /// Counts inbound and outbound messages of these devices since `from`; `None` means all devices.
    ///
    /// # Errors
    /// When the store fails.
    pub fn traffic_since(
        &self,
        devices: Option<&[DeviceId]>,
        from: Millis,
    ) -> Result<(i64, i64), StoreError> {
        let only = super::column_codec::to_json(&devices.unwrap_or_default(), "device ids")?;
        let sums = self.one(
            "SELECT coalesce(sum(received), 0), coalesce(sum(sent), 0) FROM activity
             WHERE hour >= ?1 AND (?2 OR device_id IN (SELECT value FROM json_each(?3)))",
            params![from.0 - from.0.rem_euclid(HOUR_MS), devices.is_none(), only],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        Ok(sums.unwrap_or((0, 0)))
    }
}

impl Tx<'_> {
    /// Adds one to a counter of the current hour.
    ///
    /// # Errors
    /// When the store fails.
    pub fn count(&self, device: &DeviceId, what: Counter, now: Millis) -> Result<(), StoreError> {
        let (received, sent, failed, disconnections, response_ms) = match what {
            Counter::Received => (1, 0, 0, 0, 0),
            Counter::Sent { after_ms } => (0, 1, 0, 0, after_ms.max(0)),
            Counter::Failed => (0, 0, 1, 0, 0),
            Counter::Disconnected => (0, 0, 0, 1, 0),
        };
        let hour = now.0 - now.0.rem_euclid(HOUR_MS);
        self.run(
            "INSERT INTO activity (device_id, hour, received, sent, failed, disconnections, response_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (device_id, hour) DO UPDATE SET received = received + excluded.received,
                 sent = sent + excluded.sent, failed = failed + excluded.failed,
                 disconnections = disconnections + excluded.disconnections,
                 response_ms = response_ms + excluded.response_ms",
            params![device.as_str(), hour, received, sent, failed, disconnections, response_ms],
        )?;
        if received + sent > 0 {
            self.run(
                "INSERT INTO totals (device_id, received, sent, last_activity) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (device_id) DO UPDATE SET received = received + excluded.received,
                     sent = sent + excluded.sent, last_activity = excluded.last_activity",
                params![device.as_str(), received, sent, now.0],
            )?;
        }
        Ok(())
    }
}
