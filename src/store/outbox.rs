//! Messages to be sent: the durable side of the queue.

use rusqlite::{Row, params};

use super::column_codec::{parsed, time_if_any};
use super::error::StoreError;
use super::messages::Pk;
use super::tx::{Reader, Tx};
use crate::domain::clock::Millis;
use crate::domain::ids::{DeviceId, MessageId};
use crate::domain::jid::Jid;
use crate::domain::outbox::{Priority, QueuedMessage};

/// A message to be sent, with what sending it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRow {
    /// Its place.
    pub entry: QueuedMessage,
    /// The message's place in the store.
    pub message_pk: Pk,
    /// The message.
    pub message_id: MessageId,
    /// The sender's own name for it.
    pub temp_id: Option<String>,
    /// Tries so far.
    pub attempts: u32,
    /// Since when the network's answer is not known, where it was handed over.
    pub sending_since: Option<Millis>,
}

/// A message to be put into the outbox.
#[derive(Debug)]
pub struct NewOutboxRow<'a> {
    /// The message's place in the store.
    pub message_pk: Pk,
    /// Its chat.
    pub chat: &'a Jid,
    /// How urgent it is.
    pub priority: Priority,
    /// Not before this moment.
    pub due: Millis,
}

/// The `retry_at` of a message of unknown outcome that is never sent again.
pub const NEVER_RESEND: Millis = Millis(i64::MAX);

const SELECT: &str = "SELECT o.row, o.chat_id, o.priority, o.due, o.retry_at, o.message_pk, o.attempts, o.sending_since, \
     m.id, m.temp_id FROM outbox o JOIN messages m ON m.pk = o.message_pk";

impl Reader<'_> {
    /// What waits for this device in rows after `after`, in order, each as a queue entry, with since when its
    /// answer is unknown.
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
            |row| Ok((entry(row)?, time_if_any(row, "sending_since")?)),
        )
    }

    /// One message to be sent.
    ///
    /// # Errors
    /// When the store fails.
    pub fn outbox_row(&self, row: i64) -> Result<Option<OutboxRow>, StoreError> {
        self.one(&format!("{SELECT} WHERE o.row = ?1"), [row], outbox_row)
    }

    /// A message's place in the outbox, while it has one.
    ///
    /// # Errors
    /// When the store fails.
    pub fn outbox_row_of(&self, message_pk: Pk) -> Result<Option<OutboxRow>, StoreError> {
        self.one(&format!("{SELECT} WHERE o.message_pk = ?1"), [message_pk], outbox_row)
    }

    /// All messages that wait for this device, in order.
    ///
    /// # Errors
    /// When the store fails.
    pub fn outbox_rows(&self, device: &DeviceId) -> Result<Vec<OutboxRow>, StoreError> {
        self.all(&format!("{SELECT} WHERE o.device_id = ?1 ORDER BY o.row"), [device.as_str()], outbox_row)
    }

    /// How many messages wait for this device.
    ///
    /// # Errors
    /// When the store fails.
    pub fn outbox_len(&self, device: &DeviceId) -> Result<i64, StoreError> {
        self.number("SELECT count(*) FROM outbox WHERE device_id = ?1", [device.as_str()])
    }

    /// How many messages of this device reached the network since `from`, among its last 2,000 events.
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

    /// How many messages wait for each device that has any.
    ///
    /// # Errors
    /// When the store fails.
    pub fn outbox_lengths(&self) -> Result<Vec<(DeviceId, i64)>, StoreError> {
        self.all("SELECT device_id, count(*) FROM outbox GROUP BY device_id", [], |row| {
            Ok((parsed(row, "device_id", "device id")?, row.get(1)?))
        })
    }

    /// Messages whose answer has been unknown since before `cutoff`; all, or only those that are never sent again
    /// because they were removed from this account or must not be.
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
    /// Puts a message in and returns its row.
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

    /// The bytes are about to leave: from here on the answer is unknown until there is one. `false` when the
    /// row is gone.
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

    /// It did not leave, and may be tried again.
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

    /// Its outcome is unknown, and it is never sent again: it stays until a receipt comes, or until it fails.
    ///
    /// # Errors
    /// When the store fails.
    pub fn outbox_never_resend(&self, row: i64) -> Result<(), StoreError> {
        self.run("UPDATE outbox SET retry_at = ?2 WHERE row = ?1", params![row, NEVER_RESEND.0])?;
        Ok(())
    }

    /// It is out, or given up.
    ///
    /// # Errors
    /// When the store fails.
    pub fn outbox_remove(&self, message_pk: Pk) -> Result<bool, StoreError> {
        Ok(self.run("DELETE FROM outbox WHERE message_pk = ?1", [message_pk])? > 0)
    }
}

fn entry(row: &Row<'_>) -> Result<QueuedMessage, StoreError> {
    Ok(QueuedMessage {
        row: row.get("row")?,
        chat: parsed(row, "chat_id", "chat id")?,
        priority: Priority::of_rank(row.get("priority")?),
        due: Millis(row.get("due")?),
        retry_at: time_if_any(row, "retry_at")?,
    })
}

fn outbox_row(row: &Row<'_>) -> Result<OutboxRow, StoreError> {
    Ok(OutboxRow {
        entry: entry(row)?,
        message_pk: row.get("message_pk")?,
        message_id: parsed(row, "id", "message id")?,
        temp_id: row.get("temp_id")?,
        attempts: row.get("attempts")?,
        sending_since: time_if_any(row, "sending_since")?,
    })
}
