//! Letting go of what is old, a batch at a time, and never of what is not delivered yet.

use rusqlite::params;

use super::error::StoreError;
use super::tx::Tx;
use crate::domain::clock::Millis;

impl Tx<'_> {
    /// Removes events appended before `cutoff`; `true` while there are more. Each log keeps its newest
    /// entry, so that a client that is up to date is never told to reload.
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
                 ORDER BY e.at LIMIT ?2)",
            params![cutoff.0, batch],
        )?;
        Ok(removed > 0)
    }

    /// Removes messages stored before `cutoff` that do not wait to be sent; `true` while there are more.
    ///
    /// # Errors
    /// When the store fails.
    pub fn prune_messages(&self, cutoff: Millis, batch: i64) -> Result<bool, StoreError> {
        let removed = self.run(
            "DELETE FROM messages WHERE pk IN (
                 SELECT m.pk FROM messages m WHERE m.stored_at < ?1
                 AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.message_pk = m.pk)
                 ORDER BY m.stored_at LIMIT ?2)",
            params![cutoff.0, batch],
        )?;
        Ok(removed > 0)
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
