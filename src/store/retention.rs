//! Letting go of what is old, a batch at a time, and never of what is not delivered yet.

use std::collections::BTreeSet;

use rusqlite::params;

use super::error::StoreError;
use super::messages::Pk;
use super::rows::parsed;
use super::tx::Tx;
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::jid::Jid;

impl Tx<'_> {
    /// Removes events appended before `cutoff`; `true` while there are more. Each log keeps its newest
    /// entry, so that a client that is up to date is never told to reload, and what a delivery still needs.
    ///
    /// # Errors
    /// When the store fails.
    pub fn prune_events(&self, cutoff: Millis, batch: i64) -> Result<bool, StoreError> {
        // By position and not by age alone: should the clock have gone back, no hole is torn into a log.
        let removed = self.run(
            "DELETE FROM events WHERE (device_id, seq) IN (
                 SELECT e.device_id, e.seq FROM events e JOIN log_heads h ON h.device_id = e.device_id
                 WHERE e.at < ?1 AND e.seq < h.last_seq AND NOT EXISTS (
                     SELECT 1 FROM events o WHERE o.device_id = e.device_id AND o.seq < e.seq AND o.at >= ?1)
                     AND NOT EXISTS (SELECT 1 FROM webhook_deliveries d
                         WHERE d.device_id = e.device_id AND d.seq <= e.seq AND d.payload IS NULL)
                 ORDER BY e.at LIMIT ?2)",
            params![cutoff.0, batch],
        )?;
        Ok(removed > 0)
    }

    /// Removes messages stored before `cutoff` that do not wait to be sent, and brings their chats' lines up to
    /// date. Which chats those are; none once there is nothing left to remove.
    ///
    /// # Errors
    /// When the store fails.
    pub fn prune_messages(&self, cutoff: Millis, batch: i64) -> Result<Vec<(DeviceId, Jid)>, StoreError> {
        let old = self.all(
            "SELECT m.pk, m.device_id, m.chat_id FROM messages m WHERE m.stored_at < ?1
                 AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.message_pk = m.pk)
             ORDER BY m.stored_at LIMIT ?2",
            params![cutoff.0, batch],
            |row| {
                let chat =
                    (parsed(row, "device_id", "device id")?, parsed::<Jid>(row, "chat_id", "chat id")?);
                Ok((row.get::<_, Pk>("pk")?, chat))
            },
        )?;
        let mut chats = BTreeSet::new();
        for (pk, chat) in old {
            self.run("DELETE FROM messages WHERE pk = ?1", [pk])?;
            chats.insert(chat);
        }
        for (device, chat) in &chats {
            self.refresh_chat(device, chat)?;
        }
        Ok(chats.into_iter().collect())
    }

    /// Forgets idempotency keys used before `cutoff`; `true` while there are more.
    ///
    /// # Errors
    /// When the store fails.
    pub fn prune_idempotency(&self, cutoff: Millis, batch: i64) -> Result<bool, StoreError> {
        let removed = self.run(
            "DELETE FROM idempotency WHERE (device_id, key) IN (
                 SELECT device_id, key FROM idempotency WHERE at < ?1 ORDER BY at LIMIT ?2)",
            params![cutoff.0, batch],
        )?;
        Ok(removed > 0)
    }

    /// Forgets hourly counts from before `cutoff`.
    ///
    /// # Errors
    /// When the store fails.
    pub fn prune_activity(&self, cutoff: Millis) -> Result<(), StoreError> {
        self.run("DELETE FROM activity WHERE hour < ?1", [cutoff.0])?;
        Ok(())
    }
}
