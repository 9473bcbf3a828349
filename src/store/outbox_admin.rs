//! Queries and removals of queued messages for operators; a message that is being sent cannot be removed.

use rusqlite::params;

use super::column_codec::{parsed, time_if_any};
use super::error::StoreError;
use super::messages::Pk;
use super::tx::{Reader, Tx};
use crate::domain::clock::Millis;
use crate::domain::ids::{DeviceId, MessageId};
use crate::domain::jid::Jid;
use crate::domain::queries::WaitingKind;

/// Queue statistics of one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueRow {
    /// All queued messages, including those being sent.
    pub total: i64,
    /// Messages that are not due yet.
    pub scheduled: i64,
    /// Messages that were tried before and wait for a retry.
    pub retrying: i64,
    /// Messages sent to the network without an answer yet.
    pub under_way: i64,
    /// When the oldest due message was accepted.
    pub oldest: Option<Millis>,
}

/// Selects queued messages.
#[derive(Debug, Clone, Default)]
pub struct WaitingFilter {
    /// Only messages of this chat.
    pub chat: Option<Jid>,
    /// Only messages of this kind.
    pub kind: Option<WaitingKind>,
}

impl Reader<'_> {
    /// Queue statistics of every device with queued messages.
    ///
    /// # Errors
    /// When the store fails.
    pub fn waiting(&self, now: Millis) -> Result<Vec<(DeviceId, QueueRow)>, StoreError> {
        self.all(
            "SELECT w.*, m.stored_at AS oldest FROM (
                 SELECT device_id, count(*) AS total,
                     sum(sending_since IS NULL AND due > ?1) AS scheduled,
                     sum(sending_since IS NULL AND due <= ?1 AND attempts > 0) AS retrying,
                     sum(sending_since IS NOT NULL) AS under_way,
                     min(CASE WHEN due <= ?1 THEN message_pk END) AS first
                 FROM outbox GROUP BY device_id) w
             LEFT JOIN messages m ON m.pk = w.first",
            [now.0],
            |row| {
                let waiting = QueueRow {
                    total: row.get("total")?,
                    scheduled: row.get("scheduled")?,
                    retrying: row.get("retrying")?,
                    under_way: row.get("under_way")?,
                    oldest: time_if_any(row, "oldest")?,
                };
                Ok((parsed(row, "device_id", "device id")?, waiting))
            },
        )
    }

    /// Queued messages of a device that are not being sent, in order.
    ///
    /// # Errors
    /// When the store fails.
    pub fn waiting_messages(
        &self,
        device: &DeviceId,
        which: &WaitingFilter,
        now: Millis,
        most: usize,
    ) -> Result<Vec<MessageId>, StoreError> {
        let kind = match which.kind {
            None => 0,
            Some(WaitingKind::Queued) => 1,
            Some(WaitingKind::Scheduled) => 2,
            Some(WaitingKind::Retrying) => 3,
        };
        self.all(
            "SELECT m.id FROM outbox o JOIN messages m ON m.pk = o.message_pk
             WHERE o.device_id = ?1 AND o.sending_since IS NULL AND (?2 IS NULL OR o.chat_id = ?2) AND CASE ?3
                 WHEN 1 THEN o.due <= ?4 AND o.attempts = 0 WHEN 2 THEN o.due > ?4
                 WHEN 3 THEN o.due <= ?4 AND o.attempts > 0 ELSE 1 END
             ORDER BY o.row LIMIT ?5",
            params![
                device.as_str(),
                which.chat.as_ref().map(Jid::to_string),
                kind,
                now.0,
                i64::try_from(most).unwrap_or(i64::MAX)
            ],
            |row| parsed(row, "id", "message id"),
        )
    }

    /// Counts sends after `from` and before `to` that the network has not answered.
    ///
    /// # Errors
    /// When the store fails.
    pub fn unanswered(&self, device: &DeviceId, from: Millis, to: Millis) -> Result<i64, StoreError> {
        self.number(
            "SELECT count(*) FROM outbox WHERE device_id = ?1 AND sending_since > ?2 AND sending_since <= ?3",
            params![device.as_str(), from.0, to.0],
        )
    }
}

impl Tx<'_> {
    /// Removes a queued message unless it is being sent. Returns `false` when there is none.
    ///
    /// # Errors
    /// When the store fails.
    pub fn outbox_remove_waiting(&self, message: Pk) -> Result<bool, StoreError> {
        Ok(self.run("DELETE FROM outbox WHERE message_pk = ?1 AND sending_since IS NULL", [message])? > 0)
    }
}
