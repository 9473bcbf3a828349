//! Stores shown notifications, each operator's read marks, and the last log position processed per device.

use rusqlite::{Row, params};

use super::column_codec::{from_json, parsed, to_json};
use super::error::StoreError;
use super::notify_mutes::counted_with;
use super::tx::{Reader, Tx};
use crate::domain::clock::Millis;
use crate::domain::event::NotificationEvent;
use crate::domain::ids::DeviceId;
use crate::domain::notify::OperatorId;
use crate::domain::queries::ListedNotification;
use crate::domain::queries::NotificationQuery;

/// Stored notifications per device.
const KEPT: i64 = 1_000;
/// Read marks that an API key or a verified person may have per device: `MARKS` for "all read", `READS` for
/// single notifications.
const MARKS: i64 = 1_000;
const READS: i64 = 10_000;

/// A notification as stored.
#[derive(Debug, Clone)]
pub struct Notification {
    /// The content. Replaces a stored notification of the same id.
    pub shown: NotificationEvent,
    /// The burst to which the notification belongs.
    pub burst: String,
    /// The last log entry that the notification covers.
    pub last_seq: i64,
    /// When the notification was emitted.
    pub at: Millis,
}

const READ: &str = "(n.rev <= coalesce((SELECT m.rev FROM notification_marks m
        WHERE m.operator = ?1 AND m.device_id = n.device_id), 0)
    OR EXISTS (SELECT 1 FROM notification_reads r
        WHERE r.operator = ?1 AND r.device_id = n.device_id AND r.id = n.id AND r.rev >= n.rev))";
const OF: &str = "(?2 IS NULL OR n.device_id IN (SELECT value FROM json_each(?2)))";

impl Reader<'_> {
    /// The last log position of a device that was processed for notifications; 0 at first.
    ///
    /// # Errors
    /// When the store fails.
    pub fn notify_position(&self, device: &DeviceId) -> Result<i64, StoreError> {
        self.number("SELECT seq FROM notify_positions WHERE device_id = ?1", [device.as_str()])
    }

    /// Devices with log entries that were not processed for notifications.
    ///
    /// # Errors
    /// When the store fails.
    pub fn notify_behind(&self) -> Result<Vec<DeviceId>, StoreError> {
        self.all(
            "SELECT h.device_id FROM log_heads h JOIN devices d ON d.id = h.device_id
                 LEFT JOIN notify_positions p ON p.device_id = h.device_id WHERE h.last_seq > coalesce(p.seq, 0)",
            [],
            |row| parsed(row, "device_id", "device id"),
        )
    }

    /// Notified bursts with entries after this position, each with its last covered entry.
    ///
    /// # Errors
    /// When the store fails.
    pub fn notified_after(&self, device: &DeviceId, seq: i64) -> Result<Vec<(String, i64)>, StoreError> {
        self.all(
            "SELECT tag, max(last_seq) FROM notifications WHERE device_id = ?1 AND last_seq > ?2 GROUP BY tag",
            params![device.as_str(), seq],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
    }

    /// Lists notifications, newest first.
    ///
    /// # Errors
    /// When the store fails.
    pub fn notifications(&self, query: &NotificationQuery) -> Result<Vec<ListedNotification>, StoreError> {
        let devices = query.devices.as_ref().map(|ids| to_json(ids, "devices")).transpose()?;
        let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        self.all(
            &format!(
                "SELECT n.device_id, n.body, n.at, {READ} AS read FROM notifications n
                 WHERE {OF} AND (?3 = 0 OR NOT {READ}) ORDER BY n.at DESC, n.rev DESC LIMIT ?4 OFFSET ?5"
            ),
            params![
                query.operator.as_str(),
                devices,
                query.unread,
                number(query.limit),
                number(query.offset)
            ],
            listed,
        )
    }

    /// Counts all notifications and those that the operator has not read.
    ///
    /// # Errors
    /// When the store fails.
    pub fn notification_counts(&self, query: &NotificationQuery) -> Result<(i64, i64), StoreError> {
        let devices = query.devices.as_ref().map(|ids| to_json(ids, "devices")).transpose()?;
        let counts = self.one(
            &format!("SELECT count(*), coalesce(sum(NOT {READ}), 0) FROM notifications n WHERE {OF}"),
            params![query.operator.as_str(), devices],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        Ok(counts.unwrap_or_default())
    }
}

impl Tx<'_> {
    /// Records the last log position that was processed for notifications.
    ///
    /// # Errors
    /// When the store fails.
    pub fn set_notify_position(&self, device: &DeviceId, seq: i64) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO notify_positions (device_id, seq) VALUES (?1, ?2)
             ON CONFLICT (device_id) DO UPDATE SET seq = max(seq, excluded.seq)",
            params![device.as_str(), seq],
        )?;
        Ok(())
    }

    /// Adds a notification, or replaces the one of the same id and makes it unread. Older ones beyond the
    /// limit are pruned.
    ///
    /// # Errors
    /// When the store fails.
    pub fn put_notification(&self, device: &DeviceId, notification: &Notification) -> Result<(), StoreError> {
        let Notification { shown, burst, last_seq, at } = notification;
        let rev = self.number(
            "INSERT INTO notify_positions (device_id, seq, rev) VALUES (?1, 0, 1)
             ON CONFLICT (device_id) DO UPDATE SET rev = rev + 1 RETURNING rev",
            [device.as_str()],
        )?;
        self.run(
            "INSERT OR REPLACE INTO notifications (device_id, id, rev, tag, last_seq, chat_id, at, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                device.as_str(),
                shown.id,
                rev,
                burst,
                last_seq,
                shown.chat_id.as_ref().map(ToString::to_string),
                at.0,
                to_json(shown, "notification")?
            ],
        )?;
        self.run(
            "DELETE FROM notifications WHERE device_id = ?1 AND rev <= ?2",
            params![device.as_str(), rev - KEPT],
        )?;
        Ok(())
    }

    /// Marks these notifications, or all of them, as read by an operator. Read marks per API key are bounded:
    /// the furthest behind are evicted, and their operators then see everything as unread.
    ///
    /// # Errors
    /// When the store fails.
    pub fn read_notifications(
        &self,
        operator: &OperatorId,
        device: &DeviceId,
        ids: Option<&[String]>,
    ) -> Result<(), StoreError> {
        let (from, to) = counted_with(operator);
        let (operator, device) = (operator.as_str(), device.as_str());
        if let Some(ids) = ids {
            self.run(
                "INSERT OR REPLACE INTO notification_reads (operator, device_id, id, rev)
                 SELECT ?1, device_id, id, rev FROM notifications
                 WHERE device_id = ?2 AND id IN (SELECT value FROM json_each(?3))",
                params![operator, device, to_json(&ids, "ids")?],
            )?;
        } else {
            self.run(
                "INSERT OR REPLACE INTO notification_marks (operator, device_id, rev)
                 SELECT ?1, device_id, rev FROM notify_positions WHERE device_id = ?2",
                params![operator, device],
            )?;
        }
        self.run(
            "DELETE FROM notification_reads WHERE operator = ?1 AND device_id = ?2 AND NOT EXISTS (
                 SELECT 1 FROM notifications n WHERE n.device_id = notification_reads.device_id
                     AND n.id = notification_reads.id AND n.rev > coalesce((SELECT m.rev FROM notification_marks m
                         WHERE m.operator = ?1 AND m.device_id = ?2), 0))",
            params![operator, device],
        )?;
        self.bound_reads("notification_marks", (&from, &to), operator, device, MARKS)?;
        self.bound_reads("notification_reads", (&from, &to), operator, device, READS)
    }

    fn bound_reads(
        &self,
        table: &str,
        (from, to): (&str, &str),
        operator: &str,
        device: &str,
        most: i64,
    ) -> Result<(), StoreError> {
        self.run(
            &format!(
                "DELETE FROM {table} WHERE rowid IN (
                     SELECT rowid FROM {table} WHERE operator >= ?1 AND operator < ?2 AND device_id = ?3
                     ORDER BY operator = ?4 DESC, rev DESC LIMIT -1 OFFSET ?5)"
            ),
            params![from, to, device, operator, most],
        )?;
        Ok(())
    }
}

fn listed(row: &Row<'_>) -> Result<ListedNotification, StoreError> {
    Ok(ListedNotification {
        device: parsed(row, "device_id", "device id")?,
        shown: from_json(&row.get::<_, String>("body")?, "notification")?,
        at: Millis(row.get("at")?),
        read: row.get("read")?,
    })
}
