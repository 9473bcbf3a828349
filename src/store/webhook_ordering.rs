//! When what waits for an endpoint is due.
//!
//! A lane is what goes one after the other. Whatever takes rows out of a lane, or adds some, leaves it with one row
//! that is due: each of these operations does so within its transaction.

use rusqlite::params;

use super::error::StoreError;
use super::tx::{Reader, Tx};
use super::webhook_endpoints::EndpointKey;
use crate::domain::clock::Millis;

/// Why what waits is due sooner than was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryNowCause {
    /// Somebody changed its endpoint, or asks for it.
    Asked,
    /// Its endpoint takes events again. Once for each delivery: one that its receiver never takes must not be tried
    /// whenever another gets through.
    Recovered,
}

impl Reader<'_> {
    /// Endpoints with deliveries whose wait began later than now: the clock was set back.
    ///
    /// # Errors
    /// When the store fails.
    pub fn webhooks_ahead_of_time(&self, now: Millis) -> Result<Vec<EndpointKey>, StoreError> {
        self.all(
            "SELECT pk FROM webhook_endpoints w WHERE EXISTS (
                 SELECT 1 FROM webhook_deliveries d WHERE d.endpoint = w.pk AND d.dead_at IS NULL
                     AND d.due > ?1 AND d.decided_at > ?1)",
            [now.0],
            |row| Ok(EndpointKey(row.get(0)?)),
        )
    }
}

impl Tx<'_> {
    /// Makes the oldest of a lane due, unless one of it is.
    pub(super) fn unblock_next(&self, key: EndpointKey, lane: &str, now: Millis) -> Result<(), StoreError> {
        self.run(
            "UPDATE webhook_deliveries SET due = ?3, decided_at = ?3 WHERE pk = (
                 SELECT pk FROM webhook_deliveries WHERE endpoint = ?1 AND lane = ?2 AND dead_at IS NULL
                     AND due IS NULL ORDER BY seq, pk LIMIT 1)
                 AND NOT EXISTS (SELECT 1 FROM webhook_deliveries WHERE endpoint = ?1 AND lane = ?2
                     AND dead_at IS NULL AND due IS NOT NULL)",
            params![key.0, lane, now.0],
        )?;
        Ok(())
    }

    /// Makes some of what waits for another try due now, the soonest first; how many.
    ///
    /// # Errors
    /// When the store fails.
    pub fn retry_now(
        &self,
        key: EndpointKey,
        why: RetryNowCause,
        now: Millis,
        batch: usize,
    ) -> Result<usize, StoreError> {
        let hurried = self.run(
            "UPDATE webhook_deliveries SET due = ?2, decided_at = ?2, hurried = 1 WHERE pk IN (
                 SELECT pk FROM webhook_deliveries WHERE endpoint = ?1 AND dead_at IS NULL AND due IS NOT NULL
                     AND due > ?2 AND (?3 OR hurried = 0) ORDER BY due LIMIT ?4)",
            params![key.0, now.0, why == RetryNowCause::Asked, i64::try_from(batch).unwrap_or(i64::MAX)],
        )?;
        if hurried > 0 {
            self.note_delivery(key);
        }
        Ok(hurried)
    }

    /// Makes what waits for another try in this lane due now.
    pub(super) fn retry_key_now(&self, key: EndpointKey, lane: &str, now: Millis) -> Result<(), StoreError> {
        self.run(
            "UPDATE webhook_deliveries SET due = ?3, decided_at = ?3 WHERE endpoint = ?1 AND lane = ?2
                 AND dead_at IS NULL AND due > ?3",
            params![key.0, lane, now.0],
        )?;
        Ok(())
    }

    /// The clock was set back: some of what began to wait later than now waits as long from now on; how many.
    ///
    /// # Errors
    /// When the store fails.
    pub fn wait_from_now(&self, key: EndpointKey, now: Millis, batch: usize) -> Result<usize, StoreError> {
        let moved = self.run(
            "UPDATE webhook_deliveries SET due = ?2 + max(0, due - decided_at), decided_at = ?2 WHERE pk IN (
                 SELECT pk FROM webhook_deliveries WHERE endpoint = ?1 AND dead_at IS NULL AND due IS NOT NULL
                     AND due > ?2 AND decided_at > ?2 LIMIT ?3)",
            params![key.0, now.0, i64::try_from(batch).unwrap_or(i64::MAX)],
        )?;
        if moved > 0 {
            self.note_delivery(key);
        }
        Ok(moved)
    }
}
