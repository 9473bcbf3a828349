//! Queue of webhook deliveries. Rows are written in the transaction of their event, so no delivery is lost.
//!
//! Invariants: in each lane only the oldest row is due; later rows wait (`store::webhook_lanes`). A row is
//! deleted only after delivery or by an explicit removal.

use rusqlite::{Row, params};
use serde_json::value::RawValue;

use super::column_codec::{from_json, from_word, parsed, parsed_if_any, text};
use super::error::StoreError;
use super::tx::{Reader, Tx};
use super::webhook_endpoints::{ALL_DEVICES, EndpointKey};
use crate::domain::clock::Millis;
use crate::domain::device::Account;
use crate::domain::ids::DeviceId;
use crate::domain::webhook::DeliveryKey;
use crate::domain::webhook::{EndpointId, FilterInput, Format, Ordering, Subscription};

/// A delivery that is due.
#[derive(Debug, Clone)]
pub struct DueDelivery {
    /// Row id of the delivery.
    pub key: DeliveryKey,
    /// The device that emitted the event.
    pub device: DeviceId,
    /// The event's position in the device's log.
    pub seq: i64,
    /// Wharf's name of the event.
    pub kind: String,
    /// The event's name in the endpoint's payload format.
    pub name: String,
    /// Attempts so far.
    pub attempts: u32,
    /// The event as sent over the wire; `None` when the log no longer contains it.
    pub payload: Option<Box<RawValue>>,
    /// The device's account, if it is linked.
    pub account: Option<Account>,
}

/// State of a delivery after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterFailure {
    /// Retried at this time.
    Retry(Millis),
    /// Dead-lettered; not retried automatically.
    DeadLetter,
}

/// The event filter and format of an endpoint.
pub(super) struct EndpointMatch {
    pub(super) key: EndpointKey,
    pub(super) id: EndpointId,
    pub(super) format: Format,
    pub(super) ordering: Ordering,
    pub(super) subscription: Subscription,
    pub(super) created_at: Millis,
}

impl Reader<'_> {
    /// Due deliveries of an endpoint, at most `limit`; the longest due come first.
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

    /// When the endpoint's next delivery becomes due; `None` when no delivery is scheduled.
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

    /// Endpoints with waiting deliveries.
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

    /// Counts of an endpoint's waiting and dead deliveries.
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

    /// Number of deliveries waiting for an endpoint.
    ///
    /// # Errors
    /// When the store fails.
    pub fn waiting_for(&self, key: EndpointKey) -> Result<i64, StoreError> {
        self.number(
            "SELECT count(*) FROM webhook_deliveries WHERE endpoint = ?1 AND dead_at IS NULL",
            [key.0],
        )
    }

    /// Number of waiting deliveries of all endpoints.
    ///
    /// # Errors
    /// When the store fails.
    pub fn deliveries_waiting(&self) -> Result<i64, StoreError> {
        self.number("SELECT count(*) FROM webhook_deliveries WHERE dead_at IS NULL", [])
    }

    /// Whether an endpoint subscribes to events of operator chat.
    ///
    /// # Errors
    /// When the store fails.
    pub fn has_conversation_webhooks(&self) -> Result<bool, StoreError> {
        let found = self.number(
            r#"SELECT EXISTS (SELECT 1 FROM webhook_endpoints INDEXED BY webhook_endpoints_of_conversations
                 WHERE disabled_at IS NULL AND ending = 0
                     AND (instr(events, '"conversation:') > 0 OR instr(events, '"chat:message"') > 0))"#,
            [],
        )?;
        Ok(found == 1)
    }

    /// The entry of the chat log up to which webhooks got their deliveries.
    ///
    /// # Errors
    /// When the store fails.
    pub fn conversation_webhook_position(&self) -> Result<i64, StoreError> {
        self.number("SELECT position FROM chat_webhook_position", [])
    }

    fn subscribed_endpoints(&self, device: &DeviceId) -> Result<Vec<EndpointMatch>, StoreError> {
        self.all(
            "SELECT pk, id, format, ordering, events, exclude, created_at FROM webhook_endpoints
             WHERE device_id IN (?1, ?2) AND disabled_at IS NULL AND ending = 0",
            params![ALL_DEVICES, device.as_str()],
            endpoint_match,
        )
    }

    pub(super) fn matching_endpoints(&self, key: EndpointKey) -> Result<Option<EndpointMatch>, StoreError> {
        self.one(
            "SELECT pk, id, format, ordering, events, exclude, created_at FROM webhook_endpoints WHERE pk = ?1",
            [key.0],
            endpoint_match,
        )
    }
}

impl Tx<'_> {
    /// Queues an event for every endpoint that subscribes to it. Called where events are appended.
    pub(super) fn enqueue_deliveries(
        &self,
        device: &DeviceId,
        seq: i64,
        kind: &str,
        payload: &str,
        now: Millis,
    ) -> Result<(), StoreError> {
        let endpoints = self.subscribed_endpoints(device)?;
        if endpoints.is_empty() {
            return Ok(());
        }
        let facts = FilterInput::of(kind, payload);
        let about = about_webhook(kind, payload);
        // An endpoint does not receive events about itself: each delivery would cause further ones.
        for endpoint in endpoints.into_iter().filter(|endpoint| about.as_ref() != Some(&endpoint.id)) {
            let lane = endpoint.ordering.lane(device, &facts);
            for name in endpoint.format.names(&facts) {
                if endpoint.subscription.selects(name, &facts) {
                    self.insert_delivery(endpoint.key, (device, seq), (kind, name), lane.as_deref(), now)?;
                }
            }
        }
        Ok(())
    }

    /// Queues an event of operator chat, which happened at `at`, for every endpoint that existed then and subscribes
    /// to it by name.
    ///
    /// # Errors
    /// When the store fails.
    pub fn enqueue_conversation_deliveries(
        &self,
        (device, seq): (&DeviceId, i64),
        name: &str,
        payload: &str,
        at: Millis,
        now: Millis,
    ) -> Result<(), StoreError> {
        let facts = FilterInput::of(name, payload);
        for endpoint in self.subscribed_endpoints(device)? {
            let is_selected = endpoint.format == Format::Wharf
                && endpoint.created_at <= at
                && endpoint.subscription.selects_by_name(name, &facts);
            if !is_selected {
                continue;
            }
            let lane = endpoint.ordering.lane(device, &facts);
            if self.insert_delivery(endpoint.key, (device, seq), (name, name), lane.as_deref(), now)? {
                self.run(
                    "UPDATE webhook_deliveries SET payload = ?5
                     WHERE device_id = ?1 AND seq = ?2 AND endpoint = ?3 AND name = ?4",
                    params![device.as_str(), seq, endpoint.key.0, name, payload],
                )?;
            }
        }
        Ok(())
    }

    /// Records the entry of the chat log up to which webhooks got their deliveries.
    ///
    /// # Errors
    /// When the store fails.
    pub fn set_conversation_webhook_position(&self, position: i64) -> Result<(), StoreError> {
        self.run("UPDATE chat_webhook_position SET position = ?1", [position])?;
        Ok(())
    }

    /// Returns `true` when the delivery is new.
    pub(super) fn insert_delivery(
        &self,
        key: EndpointKey,
        (device, seq): (&DeviceId, i64),
        (kind, name): (&str, &str),
        lane: Option<&str>,
        now: Millis,
    ) -> Result<bool, StoreError> {
        let added = self.run(
            "INSERT OR IGNORE INTO webhook_deliveries (endpoint, device_id, seq, kind, name, lane, decided_at, due)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, CASE WHEN ?6 IS NOT NULL AND EXISTS (
                 SELECT 1 FROM webhook_deliveries WHERE endpoint = ?1 AND lane = ?6 AND dead_at IS NULL
             ) THEN NULL ELSE ?7 END)",
            params![key.0, device.as_str(), seq, kind, name, lane, now.0],
        )?;
        self.note_delivery(key);
        Ok(added > 0)
    }

    /// Deletes a delivered row and makes the next row of its lane due.
    ///
    /// # Errors
    /// When the store fails.
    pub fn complete_delivery(&self, key: DeliveryKey, now: Millis) -> Result<(), StoreError> {
        let gone = self.one(
            "DELETE FROM webhook_deliveries WHERE pk = ?1 RETURNING endpoint, lane",
            [key.0],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        let gone: Option<(i64, Option<String>)> = gone;
        match gone {
            Some((endpoint, Some(lane))) => self.unblock_next(EndpointKey(endpoint), &lane, now),
            _ => Ok(()),
        }
    }

    /// Records a failed attempt. Returns `false` when the delivery no longer exists.
    ///
    /// # Errors
    /// When the store fails.
    pub fn fail_delivery(
        &self,
        key: DeliveryKey,
        error: &str,
        after: AfterFailure,
        now: Millis,
    ) -> Result<bool, StoreError> {
        let (due, dead_at) = match after {
            AfterFailure::Retry(at) => (Some(at.0), None),
            AfterFailure::DeadLetter => (None, Some(now.0)),
        };
        let row: Option<(i64, Option<String>)> = self.one(
            "UPDATE webhook_deliveries SET attempts = attempts + 1, last_error = ?2, due = ?3, dead_at = ?4,
                 decided_at = ?5
             WHERE pk = ?1 AND dead_at IS NULL RETURNING endpoint, lane",
            params![key.0, error, due, dead_at, now.0],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        let Some((endpoint, lane)) = row else { return Ok(false) };
        if let (AfterFailure::DeadLetter, Some(lane)) = (after, lane) {
            self.unblock_next(EndpointKey(endpoint), &lane, now)?;
        }
        Ok(true)
    }

    /// Copies the payloads that deliveries still need before a part of the log is pruned.
    pub(super) fn copy_payloads_to_deliveries(
        &self,
        device: &DeviceId,
        (from, to): (i64, i64),
    ) -> Result<(), StoreError> {
        self.run(
            "UPDATE webhook_deliveries SET payload = (
                 SELECT payload FROM events e WHERE e.device_id = webhook_deliveries.device_id AND e.seq = webhook_deliveries.seq)
             WHERE device_id = ?1 AND seq BETWEEN ?2 AND ?3 AND payload IS NULL",
            params![device.as_str(), from, to],
        )?;
        Ok(())
    }
}

fn endpoint_match(row: &Row<'_>) -> Result<EndpointMatch, StoreError> {
    Ok(EndpointMatch {
        key: EndpointKey(row.get("pk")?),
        id: parsed(row, "id", "webhook id")?,
        format: from_word(text(row, "format")?, "webhook's format")?,
        ordering: from_word(text(row, "ordering")?, "webhook's ordering")?,
        subscription: Subscription {
            events: from_json(&row.get::<_, String>("events")?, "webhook's events")?,
            exclude: from_json(&row.get::<_, String>("exclude")?, "webhook's exclusions")?,
        },
        created_at: Millis(row.get("created_at")?),
    })
}

/// The endpoint that a webhook event is about.
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
