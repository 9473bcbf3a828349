//! The durable outbox: queued outbound messages with their state.

use rusqlite::{Row, params};

use super::column_codec::{parsed, time_if_any};
use super::error::StoreError;
use super::messages::Pk;
use super::tx::{Reader, Tx};
use crate::domain::clock::Millis;
use crate::domain::ids::{DeviceId, MessageId};
use crate::domain::jid::Jid;
use crate::domain::outbox::{Priority, QueuedMessage};

/// A queued message and its delivery state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRow {
    /// Its entry in the in-memory queue.
    pub entry: QueuedMessage,
    /// Row id of the message.
    pub message_pk: Pk,
    /// Id of the message.
    pub message_id: MessageId,
    /// The client's own id for the message.
    pub temp_id: Option<String>,
    /// Attempts so far.
    pub attempts: u32,
    /// When the message was sent to the network, while the network has not answered.
    pub sending_since: Option<Millis>,
}

/// A message to be queued.
#[derive(Debug)]
pub struct NewOutboxRow<'a> {
    /// Row id of the message.
    pub message_pk: Pk,
    /// The chat of the message.
    pub chat: &'a Jid,
    /// Priority within the device's queue.
    pub priority: Priority,
    /// Earliest time of sending.
    pub due: Millis,
}

/// `retry_at` of a message whose outcome is unknown and that is never resent.
pub const NEVER_RESEND: Millis = Millis(i64::MAX);

/// [`entry`] and [`outbox_row`] read the columns by position.
const SELECT: &str = "SELECT o.row, o.chat_id, o.priority, o.due, o.retry_at, o.message_pk, o.attempts, o.sending_since, \
     m.id, m.temp_id FROM outbox o JOIN messages m ON m.pk = o.message_pk";

impl Reader<'_> {
    /// Queue entries of a device in rows after `after`, in order, each with the time since when its answer is
    /// outstanding.
    ///
    /// # Errors
    /// When the store fails.
    pub fn outbox_entries(
        &self,
        device: &DeviceId,
        after: i64,
    ) -> Result<Vec<(QueuedMessage, Option<Millis>)>, StoreError> {
        self.all(
            "SELECT row, chat_id, priority, due, retry_at, sending_since FROM outbox
             WHERE device_id = ?1 AND row > ?2 ORDER BY row",
            params![device.as_str(), after],
            |row| Ok((entry(row)?, time_if_any(row, 5)?)),
        )
    }

    /// One queued message.
    ///
    /// # Errors
    /// When the store fails.
    pub fn outbox_row(&self, row: i64) -> Result<Option<OutboxRow>, StoreError> {
        self.one(&format!("{SELECT} WHERE o.row = ?1"), [row], outbox_row)
    }

    /// The outbox row of a message, while it is queued.
    ///
    /// # Errors
    /// When the store fails.
    pub fn outbox_row_of(&self, message_pk: Pk) -> Result<Option<OutboxRow>, StoreError> {
        self.one(&format!("{SELECT} WHERE o.message_pk = ?1"), [message_pk], outbox_row)
    }

    /// All queued messages of a device, in order.
    ///
    /// # Errors
    /// When the store fails.
    pub fn outbox_rows(&self, device: &DeviceId) -> Result<Vec<OutboxRow>, StoreError> {
        self.all(&format!("{SELECT} WHERE o.device_id = ?1 ORDER BY o.row"), [device.as_str()], outbox_row)
    }

    /// Number of queued messages of a device.
    ///
    /// # Errors
    /// When the store fails.
    pub fn outbox_len(&self, device: &DeviceId) -> Result<i64, StoreError> {
        self.number("SELECT messages FROM outbox_sizes WHERE device_id = ?1", [device.as_str()])
    }

    /// Counts messages of a device that reached the network since `from`, among its last 2,000 events.
    ///
    /// # Errors
    /// When the store fails.
    pub fn sent_since(&self, device: &DeviceId, from: Millis) -> Result<i64, StoreError> {
        self.number(
            "SELECT count(*) FROM (
                 SELECT type, at, payload FROM events WHERE device_id = ?1 ORDER BY seq DESC LIMIT 2000)
             WHERE type = 'message:ack' AND at >= ?2 AND json_extract(payload, '$.ack') = 1",
            params![device.as_str(), from.0],
        )
    }

    /// Queue lengths of all devices with queued messages.
    ///
    /// # Errors
    /// When the store fails.
    pub fn outbox_lengths(&self) -> Result<Vec<(DeviceId, i64)>, StoreError> {
        self.all("SELECT device_id, messages FROM outbox_sizes WHERE messages > 0", [], |row| {
            Ok((parsed(row, "device_id", "device id")?, row.get(1)?))
        })
    }

    /// Messages whose answer has been outstanding since before `cutoff`; either all of them or only those
    /// that are never resent, because they left this account or must not be repeated.
    ///
    /// # Errors
    /// When the store fails.
    pub fn outbox_unknown_before(
        &self,
        device: &DeviceId,
        cutoff: Millis,
        only_removed: bool,
    ) -> Result<Vec<OutboxRow>, StoreError> {
        self.all(
            &format!(
                "{SELECT} WHERE o.device_id = ?1 AND o.sending_since < ?2
                 AND (?3 = 0 OR m.hidden = 1 OR o.retry_at = ?4)"
            ),
            params![device.as_str(), cutoff.0, only_removed, NEVER_RESEND.0],
            outbox_row,
        )
    }
}

impl Tx<'_> {
    /// Queues a message and returns its row.
    ///
    /// # Errors
    /// When the store fails.
    pub fn enqueue(&self, device: &DeviceId, new: &NewOutboxRow<'_>) -> Result<i64, StoreError> {
        self.run(
            "INSERT INTO outbox (device_id, message_pk, chat_id, priority, due) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![device.as_str(), new.message_pk, new.chat.to_string(), new.priority.rank(), new.due.0],
        )?;
        Ok(self.last_row())
    }

    /// Records that sending starts: from now on the outcome is unknown until the network answers. Returns
    /// `false` when the row is gone.
    ///
    /// # Errors
    /// When the store fails.
    pub fn outbox_sending(&self, row: i64, now: Millis) -> Result<bool, StoreError> {
        let marked = self.run(
            "UPDATE outbox SET sending_since = coalesce(sending_since, ?2), attempts = attempts + 1, retry_at = NULL WHERE row = ?1",
            params![row, now.0],
        )?;
        Ok(marked > 0)
    }

    /// Reschedules a message that was certainly not sent.
    ///
    /// # Errors
    /// When the store fails.
    pub fn outbox_retry(&self, row: i64, retry_at: Millis) -> Result<(), StoreError> {
        self.run(
            "UPDATE outbox SET sending_since = NULL, retry_at = ?2 WHERE row = ?1",
            params![row, retry_at.0],
        )?;
        Ok(())
    }

    /// Marks a message of unknown outcome as never to be resent. It stays until a receipt arrives or it
    /// fails.
    ///
    /// # Errors
    /// When the store fails.
    pub fn outbox_never_resend(&self, row: i64) -> Result<(), StoreError> {
        self.run("UPDATE outbox SET retry_at = ?2 WHERE row = ?1", params![row, NEVER_RESEND.0])?;
        Ok(())
    }

    /// Removes a message that was sent or has failed.
    ///
    /// # Errors
    /// When the store fails.
    pub fn outbox_remove(&self, message_pk: Pk) -> Result<bool, StoreError> {
        Ok(self.run("DELETE FROM outbox WHERE message_pk = ?1", [message_pk])? > 0)
    }
}

fn entry(row: &Row<'_>) -> Result<QueuedMessage, StoreError> {
    Ok(QueuedMessage {
        row: row.get(0)?,
        chat: parsed(row, 1, "chat id")?,
        priority: Priority::of_rank(row.get(2)?),
        due: Millis(row.get(3)?),
        retry_at: time_if_any(row, 4)?,
    })
}

fn outbox_row(row: &Row<'_>) -> Result<OutboxRow, StoreError> {
    Ok(OutboxRow {
        entry: entry(row)?,
        message_pk: row.get(5)?,
        message_id: parsed(row, 8, "message id")?,
        temp_id: row.get(9)?,
        attempts: row.get(6)?,
        sending_since: time_if_any(row, 7)?,
    })
}
