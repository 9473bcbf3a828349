//! Keeps changes (reactions, votes, edits, revocations) that arrive before their message, until it arrives.

use rusqlite::params;

use super::error::StoreError;
use super::tx::Tx;
use crate::domain::clock::Millis;
use crate::domain::ids::{DeviceId, MessageId};

/// Maximum entries per device; beyond that the oldest are evicted.
const KEPT: i64 = 1_000;
/// Lifetime of an entry: as long as upstreams retry the delivery of a message.
const KEPT_MS: i64 = 7 * 86_400_000;

/// A change that waits for its message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrphanChange {
    /// The change as JSON.
    pub change: String,
    /// Whether it happened while the device was linked, so that applying it emits an event.
    pub is_live: bool,
}

impl Tx<'_> {
    /// Stores a change until its message arrives. Repeated deliveries of the change are stored once; one live
    /// delivery makes it live.
    ///
    /// # Errors
    /// When the store fails.
    pub fn store_orphan_change(
        &self,
        device: &DeviceId,
        message: &MessageId,
        orphan: &OrphanChange,
        now: Millis,
    ) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO early_changes (device_id, message_id, change, at, is_live) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (device_id, message_id, change) DO UPDATE SET is_live = max(is_live, excluded.is_live)",
            params![device.as_str(), message.to_string(), orphan.change, now.0, orphan.is_live],
        )?;
        self.run(
            "DELETE FROM early_changes WHERE device_id = ?1 AND (at < ?2 OR pk <= (
                 SELECT pk FROM early_changes WHERE device_id = ?1 ORDER BY pk DESC LIMIT 1 OFFSET ?3))",
            params![device.as_str(), now.plus(-KEPT_MS).0, KEPT],
        )?;
        Ok(())
    }

    /// Removes and returns the changes stored for a message, in their order.
    ///
    /// # Errors
    /// When the store fails.
    pub fn take_orphan_changes(
        &self,
        device: &DeviceId,
        message: &MessageId,
    ) -> Result<Vec<OrphanChange>, StoreError> {
        let of = params![device.as_str(), message.to_string()];
        let changes = self.all(
            "SELECT change, is_live FROM early_changes WHERE device_id = ?1 AND message_id = ?2 ORDER BY pk",
            of,
            |row| Ok(OrphanChange { change: row.get(0)?, is_live: row.get(1)? }),
        )?;
        if !changes.is_empty() {
            self.run("DELETE FROM early_changes WHERE device_id = ?1 AND message_id = ?2", of)?;
        }
        Ok(changes)
    }
}
