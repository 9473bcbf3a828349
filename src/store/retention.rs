//! Prunes old rows in batches, so that each write stays short.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::params;

use super::column_codec::parsed;
use super::error::StoreError;
use super::messages::Pk;
use super::tx::Tx;
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::jid::Jid;

impl Tx<'_> {
    /// Prunes events appended before `cutoff`; returns `true` while there are more. Each log keeps its newest
    /// entry, so that an up-to-date client never has to resync. Payloads that deliveries still need are
    /// copied to them, so that a waiting delivery or dead letter does not delay pruning.
    ///
    /// # Errors
    /// When the store fails.
    pub fn prune_events(&self, cutoff: Millis, batch: i64) -> Result<bool, StoreError> {
        // By position as well as by age: a clock set back must not leave a gap in a log.
        let old: Vec<(DeviceId, i64)> = self.all(
            "SELECT e.device_id, e.seq FROM events e JOIN log_heads h ON h.device_id = e.device_id
             WHERE e.at < ?1 AND e.seq < h.last_seq AND NOT EXISTS (
                 SELECT 1 FROM events o WHERE o.device_id = e.device_id AND o.seq < e.seq AND o.at >= ?1)
             ORDER BY e.at LIMIT ?2",
            params![cutoff.0, batch],
            |row| Ok((parsed(row, "device_id", "device id")?, row.get("seq")?)),
        )?;
        let mut parts: BTreeMap<&DeviceId, (i64, i64)> = BTreeMap::new();
        for (device, seq) in &old {
            let part = parts.entry(device).or_insert((*seq, *seq));
            *part = (part.0.min(*seq), part.1.max(*seq));
        }
        parts.into_iter().try_for_each(|(device, part)| self.copy_payloads_to_deliveries(device, part))?;
        for (device, seq) in &old {
            self.run("DELETE FROM events WHERE device_id = ?1 AND seq = ?2", params![device.as_str(), seq])?;
        }
        Ok(!old.is_empty())
    }

    /// Prunes messages stored before `cutoff` that are not queued for sending, and updates their chats' last
    /// messages. Returns the changed chats; empty once nothing remains.
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

    /// Prunes idempotency keys last used before `cutoff`; returns `true` while there are more.
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

    /// Prunes hourly counters from before `cutoff`.
    ///
    /// # Errors
    /// When the store fails.
    pub fn prune_activity(&self, cutoff: Millis) -> Result<(), StoreError> {
        self.run("DELETE FROM activity WHERE hour < ?1", [cutoff.0])?;
        Ok(())
    }
}
