//! The event log: one per device; `seq` grows by one without a gap and is never reset.

use std::borrow::Cow;

use rusqlite::{Row, params};
use serde_json::value::{RawValue, to_raw_value};

use super::column_codec::{parsed, to_word};
use super::error::StoreError;
use super::tx::{Reader, Tx};
use crate::domain::clock::Millis;
use crate::domain::event::{CallEvent, Event, Stamped};
use crate::domain::ids::DeviceId;
use crate::domain::queries::LogRange;

/// A log entry as stored: its payload is the bytes sent over the wire.
#[derive(Debug, Clone)]
pub struct LogRow {
    /// The position in the log.
    pub seq: i64,
    /// The event's name.
    pub kind: Cow<'static, str>,
    /// When the entry was appended.
    pub at: Millis,
    /// The whole payload, including `deviceId`, `timestamp` and `seq`.
    pub payload: Box<RawValue>,
}

impl Reader<'_> {
    /// Entries with `seq > after`, in order, at most `limit`.
    ///
    /// # Errors
    /// When the store fails.
    pub fn events_after(
        &self,
        device: &DeviceId,
        after: i64,
        limit: usize,
    ) -> Result<Vec<LogRow>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.all(
            "SELECT seq, type, at, payload FROM events WHERE device_id = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3",
            params![device.as_str(), after, limit],
            logged,
        )
    }

    /// Whether the log contains this step of a call after the given entry.
    ///
    /// # Errors
    /// When the store fails.
    pub fn has_call_event(
        &self,
        device: &DeviceId,
        call: &CallEvent,
        after: i64,
    ) -> Result<bool, StoreError> {
        let count = self.number(
            "SELECT count(*) FROM events WHERE device_id = ?1 AND seq > ?2 AND type = 'call'
                 AND json_extract(payload, '$.callId') = ?3 AND json_extract(payload, '$.status') = ?4",
            params![device.as_str(), after, call.call_id, to_word(&call.status, "call status")?],
        )?;
        Ok(count > 0)
    }

    /// The last position in each log.
    ///
    /// # Errors
    /// When the store fails.
    pub fn log_heads(&self) -> Result<Vec<(DeviceId, i64)>, StoreError> {
        self.all("SELECT device_id, last_seq FROM log_heads", [], |row| {
            Ok((parsed(row, "device_id", "device id")?, row.get("last_seq")?))
        })
    }

    /// First and last position in the log.
    ///
    /// # Errors
    /// When the store fails.
    pub fn log_range(&self, device: &DeviceId) -> Result<LogRange, StoreError> {
        let newest = self.number("SELECT last_seq FROM log_heads WHERE device_id = ?1", [device.as_str()])?;
        let oldest = self.number("SELECT min(seq) FROM events WHERE device_id = ?1", [device.as_str()])?;
        Ok(LogRange { oldest: if oldest == 0 { newest + 1 } else { oldest }, newest })
    }
}

impl Tx<'_> {
    /// Appends an event and returns its `seq`.
    ///
    /// # Errors
    /// When the store fails.
    pub fn append(&self, device: &DeviceId, event: &Event, now: Millis) -> Result<i64, StoreError> {
        let (seq, payload) = self.append_undelivered(device, event, now)?;
        self.enqueue_deliveries(device, seq, event.name(), payload.get(), now)?;
        Ok(seq)
    }

    /// Like [`Tx::append`], but no webhook receives the event. Returns its `seq` and payload.
    ///
    /// # Errors
    /// When the store fails.
    pub fn append_undelivered(
        &self,
        device: &DeviceId,
        event: &Event,
        now: Millis,
    ) -> Result<(i64, Box<RawValue>), StoreError> {
        let seq = self.next_seq(device)?;
        let stamped = Stamped { device_id: device, timestamp: now, seq: Some(seq), body: event };
        let payload = to_raw_value(&stamped).map_err(|_| StoreError::Unreadable("event"))?;
        self.run(
            "INSERT INTO events (device_id, seq, type, at, payload) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![device.as_str(), seq, event.name(), now.0, payload.get()],
        )?;
        let kind = Cow::Borrowed(event.name());
        self.note_appended(device, LogRow { seq, kind, at: now, payload: payload.clone() });
        Ok((seq, payload))
    }

    /// Takes the next position of a log. Two statements cost less than one with `RETURNING`, for which SQLite makes
    /// a temporary table.
    fn next_seq(&self, device: &DeviceId) -> Result<i64, StoreError> {
        let advanced =
            self.run("UPDATE log_heads SET last_seq = last_seq + 1 WHERE device_id = ?1", [device.as_str()])?;
        if advanced == 0 {
            self.run("INSERT INTO log_heads (device_id, last_seq) VALUES (?1, 1)", [device.as_str()])?;
            return Ok(1);
        }
        self.number("SELECT last_seq FROM log_heads WHERE device_id = ?1", [device.as_str()])
    }
}

fn logged(row: &Row<'_>) -> Result<LogRow, StoreError> {
    let payload: String = row.get("payload")?;
    Ok(LogRow {
        seq: row.get("seq")?,
        kind: Cow::Owned(row.get("type")?),
        at: Millis(row.get("at")?),
        payload: RawValue::from_string(payload).map_err(|_| StoreError::Unreadable("event"))?,
    })
}
