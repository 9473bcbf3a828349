//! Log of sends to the network in the last 24 hours, used for send limits and delivery health.

use rusqlite::params;

use super::column_codec::{parsed, parsed_if_any, to_json};
use super::error::StoreError;
use super::messages::Pk;
use super::tx::{Reader, Tx};
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::jid::Jid;
use crate::domain::outbox::SentRecord;

const DAY_MS: i64 = 86_400_000;

/// Chats with sends, and how many of them have no receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SendReceipts {
    /// Chats with a message that the network accepted.
    pub chats: i64,
    /// Those of them without a receipt of a recipient device for any such message.
    pub silent: i64,
}

impl Reader<'_> {
    /// Sends after `from`, oldest first; only the newest `most` of them.
    ///
    /// # Errors
    /// When the store fails.
    pub fn departures(
        &self,
        device: &DeviceId,
        from: Millis,
        most: u32,
    ) -> Result<Vec<SentRecord>, StoreError> {
        self.all(
            "SELECT at, chat FROM (
                 SELECT rowid, at, CASE opens WHEN 1 THEN chat_id END AS chat FROM departures
                 WHERE device_id = ?1 AND at > ?2 ORDER BY at DESC, rowid DESC LIMIT ?3) ORDER BY at, rowid",
            params![device.as_str(), from.0, most],
            |row| Ok(SentRecord { at: Millis(row.get(0)?), opened: parsed_if_any(row, "chat", "chat id")? }),
        )
    }

    /// Those of the given chats without an earlier message in either direction.
    ///
    /// # Errors
    /// When the store fails.
    pub fn new_chats(&self, device: &DeviceId, among: &[Jid]) -> Result<Vec<Jid>, StoreError> {
        self.all(
            "SELECT value AS chat FROM json_each(?2) WHERE NOT EXISTS (
                 SELECT 1 FROM messages WHERE device_id = ?1 AND chat_id = value AND (from_me = 0 OR ack >= 1))",
            params![device.as_str(), to_json(&among, "chat ids")?],
            |row| parsed(row, "chat", "chat id"),
        )
    }

    /// Number of sends after `from`, retries included.
    ///
    /// # Errors
    /// When the store fails.
    pub fn sends_since(&self, device: &DeviceId, from: Millis) -> Result<i64, StoreError> {
        self.number(
            "SELECT count(*) FROM departures WHERE device_id = ?1 AND at > ?2",
            params![device.as_str(), from.0],
        )
    }

    /// Whether messages sent between two times arrived, judged by receipts.
    ///
    /// # Errors
    /// When the store fails.
    pub fn arrivals(&self, device: &DeviceId, from: Millis, to: Millis) -> Result<SendReceipts, StoreError> {
        let found = self.one(
            "SELECT count(*), coalesce(sum(best = 1), 0) FROM (
                 SELECT max(m.ack) AS best FROM (
                     SELECT chat_id, message_pk FROM departures
                     WHERE device_id = ?1 AND at > ?2 AND at <= ?3 ORDER BY at DESC LIMIT 1000) d
                 JOIN messages m ON m.pk = d.message_pk WHERE m.ack >= 1 GROUP BY d.chat_id)",
            params![device.as_str(), from.0, to.0],
            |row| Ok(SendReceipts { chats: row.get(0)?, silent: row.get(1)? }),
        )?;
        Ok(found.unwrap_or_default())
    }
}

impl Tx<'_> {
    /// Records that a message is being sent, and prunes entries older than a day.
    ///
    /// # Errors
    /// When the store fails.
    pub fn record_send(
        &self,
        device: &DeviceId,
        message: Pk,
        chat: &Jid,
        now: Millis,
    ) -> Result<SentRecord, StoreError> {
        let a_day_ago = now.plus(-DAY_MS);
        self.run(
            "DELETE FROM departures WHERE device_id = ?1 AND at <= ?2",
            params![device.as_str(), a_day_ago.0],
        )?;
        let opened_of_late = self.number(
            "SELECT count(*) FROM departures WHERE device_id = ?1 AND chat_id = ?2 AND opens = 1",
            params![device.as_str(), chat.to_string()],
        )? > 0;
        let opens = !opened_of_late && !self.new_chats(device, std::slice::from_ref(chat))?.is_empty();
        self.run(
            "INSERT INTO departures (device_id, at, message_pk, chat_id, opens) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![device.as_str(), now.0, message, chat.to_string(), opens],
        )?;
        self.run("UPDATE messages SET sent_at = ?2 WHERE pk = ?1", params![message, now.0])?;
        Ok(SentRecord { at: now, opened: opens.then(|| chat.clone()) })
    }
}
