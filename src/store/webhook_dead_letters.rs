//! Dead letters: what was given up, until it is delivered once more or forgotten.

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

/// Events of one device that were given up together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overflow {
    /// How many.
    pub count: u32,
    /// Where the oldest stands in its log.
    pub seq: i64,
    /// Our name of it.
    pub kind: String,
    /// Tries of it.
    pub attempts: u32,
}

/// What became of a queue that was too long.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overflown {
    /// How many were given up.
    pub count: usize,
    /// Of each device, without what tells of webhooks.
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
    /// Dead deliveries of an endpoint, the newest first, and how many there are.
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

    /// Endpoints that their failures disabled while something waited for them.
    ///
    /// # Errors
    /// When the store fails.
    pub fn webhooks_to_bury(&self) -> Result<Vec<EndpointKey>, StoreError> {
        self.all(
            "SELECT pk FROM webhook_endpoints w WHERE disabled_reason IN ('gone', 'failing') AND EXISTS (
                 SELECT 1 FROM webhook_deliveries d WHERE d.endpoint = w.pk AND d.dead_at IS NULL)",
            [],
            |row| Ok(EndpointKey(row.get(0)?)),
        )
    }
}

impl Tx<'_> {
    /// Gives up some of what waits for an endpoint that its failures disabled, the oldest first; `true` while there
    /// is more. What is left goes on as it should, whether the rest follows or the endpoint is enabled in between.
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

    /// Gives up what waits for an endpoint beyond the newest `most`, the oldest first and some at a time. What is due
    /// in a lane may be under way, and stays: the next of the lane must not overtake it.
    ///
    /// # Errors
    /// When the store fails.
    pub fn dead_letter_overflow(
        &self,
        key: EndpointKey,
        most: usize,
        now: Millis,
        batch: usize,
    ) -> Result<Overflown, StoreError> {
        let beyond = usize::try_from(self.waiting_for(key)?).unwrap_or(0).saturating_sub(most);
        if beyond == 0 {
            return Ok(Overflown::default());
        }
        let buried = self.all(
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
        let overflown = overflown(&buried);
        self.free_lanes(key, buried.into_iter().map(|row| row.lane), now)?;
        Ok(overflown)
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

    /// Forgets deliveries that died before `cutoff`; `true` while there are more.
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

/// A dead letter of news about webhooks makes no news, or two dead webhooks would feed each other.
fn overflown(buried: &[DeadLetterBatch]) -> Overflown {
    let mut told: BTreeMap<DeviceId, Overflow> = BTreeMap::new();
    for row in buried.iter().filter(|row| !row.kind.starts_with("webhook:")) {
        let (count, oldest) = told.get(&row.device).map_or((0, None), |known| (known.count, Some(known.seq)));
        if oldest.is_none_or(|oldest| row.seq < oldest) {
            let first = Overflow { count: 0, seq: row.seq, kind: row.kind.clone(), attempts: row.attempts };
            told.insert(row.device.clone(), first);
        }
        if let Some(overflow) = told.get_mut(&row.device) {
            overflow.count = count + 1;
        }
    }
    Overflown { count: buried.len(), told }
}
