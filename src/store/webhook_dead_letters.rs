//! Dead letters: deliveries that were given up, kept until they are requeued or pruned.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::params;

use super::column_codec::parsed;
use super::error::StoreError;
use super::tx::{Reader, Tx};
use super::webhook_endpoints::EndpointKey;
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::webhook::DeadLetter;
use crate::domain::webhook::DeliveryKey;

/// Events of one device that were dead-lettered together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overflow {
    /// Number of events.
    pub count: u32,
    /// Log position of the oldest event.
    pub seq: i64,
    /// Wharf's name of the oldest event.
    pub kind: String,
    /// Attempts made for the oldest event.
    pub attempts: u32,
}

/// Result of trimming an endpoint's queue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OverflowResult {
    /// Number of dead-lettered deliveries.
    pub count: usize,
    /// The same per device, without events about webhooks.
    pub told: BTreeMap<DeviceId, Overflow>,
}

struct DeadLetterBatch {
    lane: Option<String>,
    device: DeviceId,
    seq: i64,
    kind: String,
    attempts: u32,
}

impl Reader<'_> {
    /// Dead deliveries of an endpoint, newest first, and their total count.
    ///
    /// # Errors
    /// When the store fails.
    pub fn dead_deliveries(
        &self,
        key: EndpointKey,
        limit: usize,
        offset: usize,
    ) -> Result<(Vec<DeadLetter>, i64), StoreError> {
        let total = self.number(
            "SELECT count(*) FROM webhook_deliveries WHERE endpoint = ?1 AND dead_at IS NOT NULL",
            [key.0],
        )?;
        let page = self.all(
            "SELECT pk, device_id, seq, name, attempts, last_error, dead_at FROM webhook_deliveries
             WHERE endpoint = ?1 AND dead_at IS NOT NULL ORDER BY dead_at DESC, pk DESC LIMIT ?2 OFFSET ?3",
            params![
                key.0,
                i64::try_from(limit).unwrap_or(i64::MAX),
                i64::try_from(offset).unwrap_or(i64::MAX)
            ],
            |row| {
                Ok(DeadLetter {
                    key: DeliveryKey(row.get("pk")?),
                    device: parsed(row, "device_id", "device id")?,
                    seq: row.get("seq")?,
                    name: row.get("name")?,
                    attempts: row.get("attempts")?,
                    last_error: row.get("last_error")?,
                    dead_at: Millis(row.get("dead_at")?),
                })
            },
        )?;
        Ok((page, total))
    }

    /// Endpoints that were disabled by failures and still have waiting deliveries.
    ///
    /// # Errors
    /// When the store fails.
    pub fn webhooks_to_dead_letter(&self) -> Result<Vec<EndpointKey>, StoreError> {
        self.all(
            "SELECT pk FROM webhook_endpoints w WHERE disabled_reason IN ('gone', 'failing') AND EXISTS (
                 SELECT 1 FROM webhook_deliveries d WHERE d.endpoint = w.pk AND d.dead_at IS NULL)",
            [],
            |row| Ok(EndpointKey(row.get(0)?)),
        )
    }
}

impl Tx<'_> {
    /// Dead-letters a batch of an endpoint that was disabled by failures, oldest first; returns `true` while
    /// there are more. Lanes stay consistent between batches, also if the endpoint is enabled again.
    ///
    /// # Errors
    /// When the store fails.
    pub fn dead_letter_batch(
        &self,
        key: EndpointKey,
        error: &str,
        now: Millis,
        batch: usize,
    ) -> Result<bool, StoreError> {
        let lanes: Vec<Option<String>> = self.all(
            "UPDATE webhook_deliveries SET due = NULL, dead_at = ?2, last_error = coalesce(last_error, ?3)
             WHERE pk IN (SELECT pk FROM webhook_deliveries WHERE endpoint = ?1 AND dead_at IS NULL
                 ORDER BY pk LIMIT ?4)
                 AND EXISTS (SELECT 1 FROM webhook_endpoints
                     WHERE pk = ?1 AND disabled_reason IN ('gone', 'failing'))
             RETURNING lane",
            params![key.0, now.0, error, i64::try_from(batch).unwrap_or(i64::MAX)],
            |row| Ok(row.get(0)?),
        )?;
        let any = !lanes.is_empty();
        self.free_lanes(key, lanes, now)?;
        Ok(any)
    }

    /// Dead-letters a batch of deliveries beyond the newest `most`, oldest first. The due row of a lane
    /// stays: it may be in progress, and the next one must not overtake it.
    ///
    /// # Errors
    /// When the store fails.
    pub fn dead_letter_overflow(
        &self,
        key: EndpointKey,
        most: usize,
        now: Millis,
        batch: usize,
    ) -> Result<OverflowResult, StoreError> {
        let beyond = usize::try_from(self.waiting_for(key)?).unwrap_or(0).saturating_sub(most);
        if beyond == 0 {
            return Ok(OverflowResult::default());
        }
        let rows = self.all(
            "UPDATE webhook_deliveries SET due = NULL, dead_at = ?2, last_error = 'too_many_waiting'
             WHERE pk IN (SELECT pk FROM webhook_deliveries WHERE endpoint = ?1 AND dead_at IS NULL
                 AND (lane IS NULL OR due IS NULL OR due > ?2) ORDER BY pk LIMIT ?3)
             RETURNING lane, device_id, seq, kind, attempts",
            params![key.0, now.0, i64::try_from(beyond.min(batch)).unwrap_or(i64::MAX)],
            |row| {
                Ok(DeadLetterBatch {
                    lane: row.get("lane")?,
                    device: parsed(row, "device_id", "device id")?,
                    seq: row.get("seq")?,
                    kind: row.get("kind")?,
                    attempts: row.get("attempts")?,
                })
            },
        )?;
        let overflow_result = overflow_result(&rows);
        self.free_lanes(key, rows.into_iter().map(|row| row.lane), now)?;
        Ok(overflow_result)
    }

    fn free_lanes(
        &self,
        key: EndpointKey,
        lanes: impl IntoIterator<Item = Option<String>>,
        now: Millis,
    ) -> Result<(), StoreError> {
        let distinct: BTreeSet<String> = lanes.into_iter().flatten().collect();
        if !distinct.is_empty() {
            self.note_delivery(key);
        }
        distinct.iter().try_for_each(|lane| self.unblock_next(key, lane, now))
    }

    /// Prunes deliveries that were dead-lettered before `cutoff`; returns `true` while there are more.
    ///
    /// # Errors
    /// When the store fails.
    pub fn prune_dead_deliveries(&self, cutoff: Millis, batch: i64) -> Result<bool, StoreError> {
        let removed = self.run(
            "DELETE FROM webhook_deliveries WHERE pk IN (
                 SELECT pk FROM webhook_deliveries WHERE dead_at < ?1 LIMIT ?2)",
            params![cutoff.0, batch],
        )?;
        Ok(removed > 0)
    }
}

/// Dead letters of webhook events emit no event: two failing webhooks would otherwise cause endless events.
fn overflow_result(rows: &[DeadLetterBatch]) -> OverflowResult {
    let mut by_device: BTreeMap<DeviceId, Overflow> = BTreeMap::new();
    for row in rows.iter().filter(|row| !row.kind.starts_with("webhook:")) {
        let (count, oldest) =
            by_device.get(&row.device).map_or((0, None), |found| (found.count, Some(found.seq)));
        if oldest.is_none_or(|oldest| row.seq < oldest) {
            let first = Overflow { count: 0, seq: row.seq, kind: row.kind.clone(), attempts: row.attempts };
            by_device.insert(row.device.clone(), first);
        }
        if let Some(overflow) = by_device.get_mut(&row.device) {
            overflow.count = count + 1;
        }
    }
    OverflowResult { count: rows.len(), told: by_device }
}
