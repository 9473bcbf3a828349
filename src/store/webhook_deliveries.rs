//! What is to be pushed where. Written in the transaction of the event itself, so that nothing gets lost in between.
//!
//! Invariants: of each lane the oldest row alone is due, all behind it wait; a row is gone only once its event was
//! delivered, or somebody removed it.

use rusqlite::{Row, params};
use serde_json::value::RawValue;

use super::error::StoreError;
use super::rows::{from_json, from_word, parsed, parsed_if_any};
use super::tx::{Reader, Tx};
use super::webhook_endpoints::{ALL_DEVICES, EndpointKey};
use crate::domain::clock::Millis;
use crate::domain::device::Account;
use crate::domain::ids::DeviceId;
use crate::domain::webhook::{EndpointId, Facts, Format, Ordering, Subscription};

/// Before the name of a lane in which something is delivered once more: it neither waits for what is new nor holds
/// it up.
const AGAIN: &str = "again ";

/// Names a delivery within the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryKey(pub(super) i64);

impl DeliveryKey {
    /// As a number that clients see.
    #[must_use]
    pub fn number(self) -> i64 {
        self.0
    }
}

impl From<i64> for DeliveryKey {
    fn from(number: i64) -> Self {
        Self(number)
    }
}

/// An event that is to be pushed now.
#[derive(Debug, Clone)]
pub struct DueDelivery {
    /// Its key.
    pub key: DeliveryKey,
    /// Whose event.
    pub device: DeviceId,
    /// Its position in that log.
    pub seq: i64,
    /// Our name of it.
    pub kind: String,
    /// The format's name of it.
    pub name: String,
    /// Tries so far.
    pub attempts: u32,
    /// The event, as it goes over the wire; `None` when it is there no more.
    pub payload: Option<Box<RawValue>>,
    /// The device's account, where it has one.
    pub account: Option<Account>,
}

/// An event that was given up.
#[derive(Debug, Clone)]
pub struct DeadDelivery {
    /// Its key.
    pub key: DeliveryKey,
    /// Whose event.
    pub device: DeviceId,
    /// Its position in that log.
    pub seq: i64,
    /// The format's name of it.
    pub name: String,
    /// Tries.
    pub attempts: u32,
    /// What the last try came to.
    pub last_error: Option<String>,
    /// Since when.
    pub dead_at: Millis,
}

/// What becomes of a delivery that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterFailure {
    /// It is tried again then.
    Again(Millis),
    /// It is given up.
    GivenUp,
}

/// What is delivered once more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplayRows {
    /// This dead one.
    One(DeliveryKey),
    /// All dead ones.
    AllDead,
}

struct Wanting {
    key: i64,
    id: EndpointId,
    format: Format,
    ordering: Ordering,
    subscription: Subscription,
}

impl Reader<'_> {
    /// What is due for an endpoint, the longest due first, at most `limit`.
    ///
    /// # Errors
    /// When the store fails.
    pub fn deliveries_due(
        &self,
        key: EndpointKey,
        now: Millis,
        limit: usize,
    ) -> Result<Vec<DueDelivery>, StoreError> {
        self.all(
            "SELECT d.pk, d.device_id, d.seq, d.kind, d.name, d.attempts, coalesce(d.payload, e.payload) AS payload,
                 v.phone_number, v.client_name
             FROM webhook_deliveries d
             LEFT JOIN events e ON e.device_id = d.device_id AND e.seq = d.seq
             LEFT JOIN devices v ON v.id = d.device_id
             WHERE d.endpoint = ?1 AND d.dead_at IS NULL AND d.due IS NOT NULL AND d.due <= ?2
             ORDER BY d.due, d.pk LIMIT ?3",
            params![key.0, now.0, i64::try_from(limit).unwrap_or(i64::MAX)],
            due,
        )
    }

    /// When something that is not due yet is due for an endpoint; `None` when there is nothing.
    ///
    /// # Errors
    /// When the store fails.
    pub fn next_delivery(&self, key: EndpointKey, now: Millis) -> Result<Option<Millis>, StoreError> {
        let next = self.one(
            "SELECT min(due) FROM webhook_deliveries WHERE endpoint = ?1 AND dead_at IS NULL
                 AND due IS NOT NULL AND due > ?2",
            [key.0, now.0],
            |row| Ok(row.get::<_, Option<i64>>(0)?),
        )?;
        Ok(next.flatten().map(Millis))
    }

    /// Endpoints for which something waits.
    ///
    /// # Errors
    /// When the store fails.
    pub fn webhooks_waiting(&self) -> Result<Vec<EndpointKey>, StoreError> {
        self.all(
            "SELECT pk FROM webhook_endpoints w WHERE EXISTS (
                 SELECT 1 FROM webhook_deliveries d
                 WHERE d.endpoint = w.pk AND d.dead_at IS NULL AND d.due IS NOT NULL)",
            [],
            |row| Ok(EndpointKey(row.get(0)?)),
        )
    }

    /// How many deliveries wait, and how many are dead, of one endpoint.
    ///
    /// # Errors
    /// When the store fails.
    pub fn delivery_counts(&self, id: &EndpointId) -> Result<(i64, i64), StoreError> {
        let key = EndpointKey(self.number("SELECT pk FROM webhook_endpoints WHERE id = ?1", [id.as_str()])?);
        let dead = self.number(
            "SELECT count(*) FROM webhook_deliveries WHERE endpoint = ?1 AND dead_at IS NOT NULL",
            [key.0],
        )?;
        Ok((self.waiting_for(key)?, dead))
    }

    /// Each of the two conditions has its index.
    fn waiting_for(&self, key: EndpointKey) -> Result<i64, StoreError> {
        self.number(
            "SELECT (SELECT count(*) FROM webhook_deliveries
                     WHERE endpoint = ?1 AND dead_at IS NULL AND due IS NOT NULL)
                  + (SELECT count(*) FROM webhook_deliveries
                     WHERE endpoint = ?1 AND dead_at IS NULL AND lane IS NOT NULL AND due IS NULL)",
            [key.0],
        )
    }

    /// How many deliveries wait in all.
    ///
    /// # Errors
    /// When the store fails.
    pub fn deliveries_waiting(&self) -> Result<i64, StoreError> {
        self.number("SELECT count(*) FROM webhook_deliveries WHERE dead_at IS NULL", [])
    }

    /// Dead deliveries of an endpoint, the newest first, and how many there are.
    ///
    /// # Errors
    /// When the store fails.
    pub fn dead_deliveries(
        &self,
        key: EndpointKey,
        limit: usize,
        offset: usize,
    ) -> Result<(Vec<DeadDelivery>, i64), StoreError> {
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
                Ok(DeadDelivery {
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

    fn wanting(&self, device: &DeviceId) -> Result<Vec<Wanting>, StoreError> {
        self.all(
            "SELECT pk, id, format, ordering, events, exclude FROM webhook_endpoints
             WHERE device_id IN (?1, ?2) AND disabled_at IS NULL AND ending = 0",
            params![ALL_DEVICES, device.as_str()],
            |row| {
                Ok(Wanting {
                    key: row.get("pk")?,
                    id: parsed(row, "id", "webhook id")?,
                    format: from_word(row.get("format")?, "webhook's format")?,
                    ordering: from_word(row.get("ordering")?, "webhook's ordering")?,
                    subscription: Subscription {
                        events: from_json(&row.get::<_, String>("events")?, "webhook's events")?,
                        exclude: from_json(&row.get::<_, String>("exclude")?, "webhook's exclusions")?,
                    },
                })
            },
        )
    }
}

impl Tx<'_> {
    /// Notes for every endpoint that wants an event that it is to get it. Called where events are appended.
    pub(super) fn call_for_deliveries(
        &self,
        device: &DeviceId,
        seq: i64,
        kind: &str,
        payload: &str,
        now: Millis,
    ) -> Result<(), StoreError> {
        let wanting = self.wanting(device)?;
        if wanting.is_empty() {
            return Ok(());
        }
        let facts = Facts::of(kind, payload);
        let about = about_webhook(kind, payload);
        // What is told of an endpoint is not told to it: it would go the way of what it tells of.
        for endpoint in wanting.into_iter().filter(|endpoint| about.as_ref() != Some(&endpoint.id)) {
            let lane = endpoint.ordering.lane(device, &facts);
            for name in endpoint.format.names(&facts) {
                if endpoint.subscription.wants(name, &facts) {
                    self.insert_delivery(endpoint.key, (device, seq), (kind, name), lane.as_deref(), now)?;
                }
            }
        }
        Ok(())
    }

    /// `true` when it is new.
    fn insert_delivery(
        &self,
        key: i64,
        (device, seq): (&DeviceId, i64),
        (kind, name): (&str, &str),
        lane: Option<&str>,
        now: Millis,
    ) -> Result<bool, StoreError> {
        let added = self.run(
            "INSERT OR IGNORE INTO webhook_deliveries (endpoint, device_id, seq, kind, name, lane, due)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, CASE WHEN ?6 IS NOT NULL AND EXISTS (
                 SELECT 1 FROM webhook_deliveries WHERE endpoint = ?1 AND lane = ?6 AND dead_at IS NULL
             ) THEN NULL ELSE ?7 END)",
            params![key, device.as_str(), seq, kind, name, lane, now.0],
        )?;
        self.note_delivery(EndpointKey(key));
        Ok(added > 0)
    }

    /// It was delivered. The next of its lane is due now.
    ///
    /// # Errors
    /// When the store fails.
    pub fn delivered(&self, key: DeliveryKey, now: Millis) -> Result<(), StoreError> {
        let gone = self.one(
            "DELETE FROM webhook_deliveries WHERE pk = ?1 RETURNING endpoint, lane",
            [key.0],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        let gone: Option<(i64, Option<String>)> = gone;
        match gone {
            Some((endpoint, Some(lane))) => self.free_lane(endpoint, &lane, now),
            _ => Ok(()),
        }
    }

    /// It was not delivered. `false` when it is there no more.
    ///
    /// # Errors
    /// When the store fails.
    pub fn not_delivered(
        &self,
        key: DeliveryKey,
        error: &str,
        after: AfterFailure,
        now: Millis,
    ) -> Result<bool, StoreError> {
        let (due, dead_at) = match after {
            AfterFailure::Again(at) => (Some(at.0), None),
            AfterFailure::GivenUp => (None, Some(now.0)),
        };
        let row: Option<(i64, Option<String>)> = self.one(
            "UPDATE webhook_deliveries SET attempts = attempts + 1, last_error = ?2, due = ?3, dead_at = ?4
             WHERE pk = ?1 AND dead_at IS NULL RETURNING endpoint, lane",
            params![key.0, error, due, dead_at],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        let Some((endpoint, lane)) = row else { return Ok(false) };
        if let (AfterFailure::GivenUp, Some(lane)) = (after, lane) {
            self.free_lane(endpoint, &lane, now)?;
        }
        Ok(true)
    }

    fn free_lane(&self, endpoint: i64, lane: &str, now: Millis) -> Result<(), StoreError> {
        self.run(
            "UPDATE webhook_deliveries SET due = ?3 WHERE due IS NULL AND pk = (
                 SELECT min(pk) FROM webhook_deliveries WHERE endpoint = ?1 AND lane = ?2 AND dead_at IS NULL)",
            params![endpoint, lane, now.0],
        )?;
        Ok(())
    }

    /// Gives up some of what waits for an endpoint; `true` while there is more.
    ///
    /// # Errors
    /// When the store fails.
    pub fn bury_some(
        &self,
        key: EndpointKey,
        error: &str,
        now: Millis,
        batch: usize,
    ) -> Result<bool, StoreError> {
        let batch = i64::try_from(batch).unwrap_or(i64::MAX);
        let mut buried = 0;
        // Each of the two conditions has its index.
        for which in ["due IS NOT NULL", "lane IS NOT NULL AND due IS NULL"] {
            buried += self.run(
                &format!(
                    "UPDATE webhook_deliveries SET due = NULL, dead_at = ?2, last_error = coalesce(last_error, ?3)
                     WHERE pk IN (SELECT pk FROM webhook_deliveries
                         WHERE endpoint = ?1 AND dead_at IS NULL AND {which} LIMIT ?4)"
                ),
                params![key.0, now.0, error, batch],
            )?;
        }
        Ok(buried > 0)
    }

    /// Gives up what waits for an endpoint beyond the newest `most`, some at a time; how many.
    ///
    /// # Errors
    /// When the store fails.
    pub fn bury_beyond(
        &self,
        key: EndpointKey,
        most: usize,
        now: Millis,
        batch: usize,
    ) -> Result<usize, StoreError> {
        if usize::try_from(self.waiting_for(key)?).unwrap_or(0) <= most {
            return Ok(0);
        }
        let lanes: Vec<Option<String>> = self.all(
            "UPDATE webhook_deliveries SET due = NULL, dead_at = ?2, last_error = 'too_many_waiting'
             WHERE pk IN (SELECT pk FROM (
                 SELECT pk FROM webhook_deliveries WHERE endpoint = ?1 AND dead_at IS NULL
                 ORDER BY pk DESC LIMIT -1 OFFSET ?3) ORDER BY pk LIMIT ?4) RETURNING lane",
            params![
                key.0,
                now.0,
                i64::try_from(most).unwrap_or(i64::MAX),
                i64::try_from(batch).unwrap_or(i64::MAX)
            ],
            |row| Ok(row.get(0)?),
        )?;
        let count = lanes.len();
        let distinct: std::collections::BTreeSet<String> = lanes.into_iter().flatten().collect();
        distinct.iter().try_for_each(|lane| self.free_lane(key.0, lane, now))?;
        Ok(count)
    }

    /// Puts some dead deliveries back, each to be tried as if for the first time; how many.
    ///
    /// # Errors
    /// When the store fails.
    pub fn revive(
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
                 AND (?3 IS NULL OR pk = ?3) ORDER BY pk LIMIT ?4",
            params![key.0, up_to.0, only, i64::try_from(batch).unwrap_or(i64::MAX)],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        for (pk, lane) in &rows {
            let lane = lane.as_deref().map(again);
            self.run(
                "UPDATE webhook_deliveries SET dead_at = NULL, attempts = 0, last_error = NULL, lane = ?3,
                     due = CASE WHEN ?3 IS NOT NULL AND EXISTS (
                         SELECT 1 FROM webhook_deliveries WHERE endpoint = ?2 AND lane = ?3 AND dead_at IS NULL
                     ) THEN NULL ELSE ?4 END
                 WHERE pk = ?1",
                params![pk, key.0, lane, now.0],
            )?;
        }
        self.note_delivery(key);
        Ok(rows.len())
    }

    /// Delivers events of a log once more, those in `seqs` that the endpoint wants, at most `batch` of the log.
    /// How many, and the last that was looked at; `None` at the end.
    ///
    /// # Errors
    /// When the store fails.
    pub fn deliver_again(
        &self,
        key: EndpointKey,
        device: &DeviceId,
        (after, up_to): (i64, i64),
        now: Millis,
        batch: usize,
    ) -> Result<(usize, Option<i64>), StoreError> {
        let found = self.one(
            "SELECT pk, format, ordering, events, exclude FROM webhook_endpoints WHERE pk = ?1",
            [key.0],
            |row| {
                let format: Format = from_word(row.get("format")?, "webhook's format")?;
                let ordering: Ordering = from_word(row.get("ordering")?, "webhook's ordering")?;
                let events = from_json(&row.get::<_, String>("events")?, "webhook's events")?;
                let exclude = from_json(&row.get::<_, String>("exclude")?, "webhook's exclusions")?;
                Ok((format, ordering, Subscription { events, exclude }))
            },
        )?;
        let Some((format, ordering, subscription)) = found else { return Ok((0, None)) };
        let page = self.events_after(device, after, batch)?;
        let (mut count, mut last) = (0, None);
        for entry in page.iter().take_while(|entry| entry.seq <= up_to) {
            last = Some(entry.seq);
            let facts = Facts::of(&entry.kind, entry.payload.get());
            let lane = ordering.lane(device, &facts).map(|lane| again(&lane));
            for name in format.names(&facts).into_iter().filter(|name| subscription.wants(name, &facts)) {
                let event = (device, entry.seq);
                // One that is dead goes on as it is; one that waits waits.
                let dead: Option<i64> = self.one(
                    "SELECT pk FROM webhook_deliveries WHERE device_id = ?1 AND seq = ?2 AND endpoint = ?3
                         AND name = ?4 AND dead_at IS NOT NULL",
                    params![device.as_str(), entry.seq, key.0, name],
                    |row| Ok(row.get(0)?),
                )?;
                let added = match dead {
                    Some(pk) => self.revive(key, &ReplayRows::One(DeliveryKey(pk)), now, now, 1)? > 0,
                    None => self.insert_delivery(key.0, event, (&entry.kind, name), lane.as_deref(), now)?,
                };
                count += usize::from(added);
            }
        }
        Ok((count, last))
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

    /// Keeps with the deliveries what they need of a log that is about to go, as far as this entry.
    pub(super) fn keep_for_deliveries(&self, device: &DeviceId, up_to: i64) -> Result<(), StoreError> {
        self.run(
            "UPDATE webhook_deliveries SET payload = (
                 SELECT payload FROM events e WHERE e.device_id = webhook_deliveries.device_id AND e.seq = webhook_deliveries.seq)
             WHERE device_id = ?1 AND seq <= ?2 AND payload IS NULL",
            params![device.as_str(), up_to],
        )?;
        Ok(())
    }
}

fn again(lane: &str) -> String {
    if lane.starts_with(AGAIN) { lane.to_owned() } else { format!("{AGAIN}{lane}") }
}

/// The endpoint that an event tells of.
fn about_webhook(kind: &str, payload: &str) -> Option<EndpointId> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct About {
        webhook_id: EndpointId,
    }
    if !kind.starts_with("webhook:") {
        return None;
    }
    serde_json::from_str::<About>(payload).ok().map(|about| about.webhook_id)
}

fn due(row: &Row<'_>) -> Result<DueDelivery, StoreError> {
    let payload: Option<String> = row.get("payload")?;
    let client_name: Option<String> = row.get("client_name")?;
    let phone_number: Option<String> = parsed_if_any(row, "phone_number", "phone number")?;
    Ok(DueDelivery {
        key: DeliveryKey(row.get("pk")?),
        device: parsed(row, "device_id", "device id")?,
        seq: row.get("seq")?,
        kind: row.get("kind")?,
        name: row.get("name")?,
        attempts: row.get("attempts")?,
        payload: payload
            .map(RawValue::from_string)
            .transpose()
            .map_err(|_| StoreError::Unreadable("event"))?,
        account: phone_number
            .map(|phone_number| Account { phone_number, client_name: client_name.unwrap_or_default() }),
    })
}
