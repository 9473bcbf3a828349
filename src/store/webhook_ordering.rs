//! Decides when a waiting delivery becomes due.
//!
//! A lane is a sequence of deliveries that are sent one after another. Each operation that removes or adds
//! rows leaves exactly one due row in the lane, within the same transaction.

use rusqlite::params;

use super::error::StoreError;
use super::tx::{Reader, Tx};
use super::webhook_endpoints::EndpointKey;
use crate::domain::clock::Millis;

/// Why waiting deliveries are retried before their scheduled time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryNowCause {
    /// The endpoint was changed, or an operator requested it.
    Asked,
    /// The endpoint accepts deliveries again. Applies once per delivery, so that a delivery that its receiver
    /// always rejects is not retried after every success.
    Recovered,
}

impl Reader<'_> {
    /// Endpoints with deliveries that were scheduled at a time later than now: the clock was set back.
    ///
    /// # Errors
    /// When the store fails.
    pub fn webhooks_scheduled_ahead(&self, now: Millis) -> Result<Vec<EndpointKey>, StoreError> {
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
    /// Makes the oldest row of a lane due, unless a row of it is due already.
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

    /// Makes a batch of deliveries that wait for a retry due now, the soonest first. Returns how many.
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
        let rescheduled = self.run(
            "UPDATE webhook_deliveries SET due = ?2, decided_at = ?2, hurried = 1 WHERE pk IN (
                 SELECT pk FROM webhook_deliveries WHERE endpoint = ?1 AND dead_at IS NULL AND due IS NOT NULL
                     AND due > ?2 AND (?3 OR hurried = 0) ORDER BY due LIMIT ?4)",
            params![key.0, now.0, why == RetryNowCause::Asked, i64::try_from(batch).unwrap_or(i64::MAX)],
        )?;
        if rescheduled > 0 {
            self.note_delivery(key);
        }
        Ok(rescheduled)
    }

    /// Makes the deliveries of this lane that wait for a retry due now.
    pub(super) fn retry_key_now(&self, key: EndpointKey, lane: &str, now: Millis) -> Result<(), StoreError> {
        self.run(
            "UPDATE webhook_deliveries SET due = ?3, decided_at = ?3 WHERE endpoint = ?1 AND lane = ?2
                 AND dead_at IS NULL AND due > ?3",
            params![key.0, lane, now.0],
        )?;
        Ok(())
    }

    /// After the clock was set back: restarts from now the waits that began later than now. Returns how many.
    ///
    /// # Errors
    /// When the store fails.
    pub fn reschedule_after_pause(
        &self,
        key: EndpointKey,
        now: Millis,
        batch: usize,
    ) -> Result<usize, StoreError> {
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
