//! Redelivers logged events and dead deliveries to webhooks, in the order of the log.

use std::collections::BTreeSet;

use rusqlite::params;

use super::error::StoreError;
use super::events::LogRow;
use super::tx::Tx;
use super::webhook_deliveries::EndpointMatch;
use super::webhook_endpoints::EndpointKey;
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::webhook::DeliveryKey;
use crate::domain::webhook::FilterInput;

/// Prefix of replay lanes. A redelivery neither waits for new events of its lane nor delays them.
const REPLAY_PREFIX: &str = "again ";

/// Selects the dead deliveries to requeue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplayRows {
    /// One dead delivery.
    One(DeliveryKey),
    /// All dead deliveries of the endpoint.
    AllDead,
}

/// An existing delivery of an event to an endpoint.
struct DeliveryState {
    pk: i64,
    lane: Option<String>,
    dead: bool,
}

impl Tx<'_> {
    /// Requeues dead deliveries with a new count of attempts. Returns how many.
    ///
    /// # Errors
    /// When the store fails.
    pub fn requeue_dead_letters(
        &self,
        key: EndpointKey,
        what: &ReplayRows,
        up_to: Millis,
        now: Millis,
        batch: usize,
    ) -> Result<usize, StoreError> {
        let only = match what {
            ReplayRows::One(delivery) => Some(delivery.0),
            ReplayRows::AllDead => None,
        };
        let rows: Vec<(i64, Option<String>)> = self.all(
            "SELECT pk, lane FROM webhook_deliveries WHERE endpoint = ?1 AND dead_at IS NOT NULL AND dead_at <= ?2
                 AND (?3 IS NULL OR pk = ?3) ORDER BY device_id, seq, pk LIMIT ?4",
            params![key.0, up_to.0, only, i64::try_from(batch).unwrap_or(i64::MAX)],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        let mut lanes = BTreeSet::new();
        for (pk, lane) in &rows {
            lanes.extend(self.requeue_row(*pk, lane.as_deref(), now)?);
        }
        self.wake_lanes(key, &lanes, now)?;
        Ok(rows.len())
    }

    /// Requeues one row. Returns its replay lane, if any; the caller makes the first row of that lane due.
    fn requeue_row(&self, pk: i64, lane: Option<&str>, now: Millis) -> Result<Option<String>, StoreError> {
        let lane = lane.map(replay_lane);
        self.run(
            "UPDATE webhook_deliveries SET dead_at = NULL, attempts = 0, last_error = NULL, hurried = 0, lane = ?2,
                 due = CASE WHEN ?2 IS NULL THEN ?3 END, decided_at = ?3
             WHERE pk = ?1",
            params![pk, lane, now.0],
        )?;
        Ok(lane)
    }

    /// Makes the first rows of these lanes due now, even if they wait for a retry.
    fn wake_lanes(&self, key: EndpointKey, lanes: &BTreeSet<String>, now: Millis) -> Result<(), StoreError> {
        for lane in lanes {
            self.unblock_next(key, lane, now)?;
            self.retry_key_now(key, lane, now)?;
        }
        self.note_delivery(key);
        Ok(())
    }

    /// Redelivers those events in `seqs` that the endpoint subscribes to, at most `batch` log entries.
    /// Waiting deliveries become due now. Returns the count and the last entry read; `None` at the end of the
    /// range.
    ///
    /// # Errors
    /// When the store fails.
    pub fn redeliver(
        &self,
        key: EndpointKey,
        device: &DeviceId,
        (after, up_to): (i64, i64),
        now: Millis,
        batch: usize,
    ) -> Result<(usize, Option<i64>), StoreError> {
        let Some(endpoint) = self.matching_endpoints(key)? else { return Ok((0, None)) };
        let page = self.events_after(device, after, batch)?;
        let (mut count, mut last) = (0, None);
        let mut lanes = BTreeSet::new();
        for entry in page.iter().take_while(|entry| entry.seq <= up_to) {
            last = Some(entry.seq);
            count += self.deliver_entry(&endpoint, device, entry, &mut lanes, now)?;
        }
        self.wake_lanes(key, &lanes, now)?;
        Ok((count, last))
    }

    fn deliver_entry(
        &self,
        endpoint: &EndpointMatch,
        device: &DeviceId,
        entry: &LogRow,
        lanes: &mut BTreeSet<String>,
        now: Millis,
    ) -> Result<usize, StoreError> {
        let facts = FilterInput::of(&entry.kind, entry.payload.get());
        let lane = endpoint.ordering.lane(device, &facts).map(|lane| replay_lane(&lane));
        let mut count = 0;
        for name in endpoint.format.names(&facts) {
            if !endpoint.subscription.selects(name, &facts) {
                continue;
            }
            count += 1;
            match self.existing_delivery(endpoint.key, device, entry.seq, name)? {
                // A dead delivery is requeued, also in its lane.
                Some(existing) if existing.dead => {
                    lanes.extend(self.requeue_row(existing.pk, existing.lane.as_deref(), now)?);
                }
                Some(existing) => match existing.lane {
                    Some(lane) => drop(lanes.insert(lane)),
                    None => self.hurry_row(existing.pk, now)?,
                },
                None => {
                    let (event, names) = ((device, entry.seq), (&*entry.kind, name));
                    self.insert_delivery(endpoint.key, event, names, lane.as_deref(), now)?;
                }
            }
        }
        Ok(count)
    }

    fn existing_delivery(
        &self,
        key: EndpointKey,
        device: &DeviceId,
        seq: i64,
        name: &str,
    ) -> Result<Option<DeliveryState>, StoreError> {
        self.one(
            "SELECT pk, lane, dead_at IS NOT NULL AS dead FROM webhook_deliveries
             WHERE device_id = ?1 AND seq = ?2 AND endpoint = ?3 AND name = ?4",
            params![device.as_str(), seq, key.0, name],
            |row| Ok(DeliveryState { pk: row.get("pk")?, lane: row.get("lane")?, dead: row.get("dead")? }),
        )
    }

    fn hurry_row(&self, pk: i64, now: Millis) -> Result<(), StoreError> {
        self.run(
            "UPDATE webhook_deliveries SET due = ?2, decided_at = ?2 WHERE pk = ?1 AND due > ?2",
            params![pk, now.0],
        )?;
        Ok(())
    }
}

fn replay_lane(lane: &str) -> String {
    if lane.starts_with(REPLAY_PREFIX) { lane.to_owned() } else { format!("{REPLAY_PREFIX}{lane}") }
}
