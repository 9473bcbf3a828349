//! Log of webhook delivery attempts, pruned by age.

use rusqlite::params;

use super::column_codec::parsed_if_any;
use super::error::StoreError;
use super::tx::{Reader, Tx};
use super::webhook_endpoints::EndpointKey;
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::webhook::WebhookAttempt;

impl Reader<'_> {
    /// Attempts of an endpoint, newest first: those before the given one, at most `limit`.
    ///
    /// # Errors
    /// When the store fails.
    pub fn webhook_attempts(
        &self,
        key: EndpointKey,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<WebhookAttempt>, StoreError> {
        self.all(
            "SELECT pk, at, device_id, seq, name, message_id, attempt, outcome, status, duration_ms, next_at
             FROM webhook_attempts WHERE endpoint = ?1 AND pk < ?2 ORDER BY pk DESC LIMIT ?3",
            params![key.0, before.unwrap_or(i64::MAX), i64::try_from(limit).unwrap_or(i64::MAX)],
            |row| {
                let device: Option<DeviceId> = parsed_if_any(row, "device_id", "device id")?;
                Ok(WebhookAttempt {
                    id: row.get("pk")?,
                    at: Millis(row.get("at")?),
                    event: device.zip(row.get("seq")?),
                    name: row.get("name")?,
                    message_id: row.get("message_id")?,
                    attempt: row.get("attempt")?,
                    outcome: row.get("outcome")?,
                    status: row.get("status")?,
                    duration_ms: row.get("duration_ms")?,
                    next_at: row.get::<_, Option<i64>>("next_at")?.map(Millis),
                })
            },
        )
    }
}

impl Tx<'_> {
    /// Records an attempt, unless its endpoint was removed or has `max_per_second` attempts in the same second.
    ///
    /// # Errors
    /// When the store fails.
    pub fn record_attempt(
        &self,
        key: EndpointKey,
        attempt: &WebhookAttempt,
        max_per_second: usize,
    ) -> Result<(), StoreError> {
        let (device, seq) =
            attempt.event.as_ref().map_or((None, None), |(id, seq)| (Some(id.as_str()), Some(*seq)));
        self.run(
            "INSERT INTO webhook_attempts (endpoint, at, device_id, seq, name, message_id, attempt, outcome, status,
                 duration_ms, next_at)
             SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11
             WHERE EXISTS (SELECT 1 FROM webhook_endpoints WHERE pk = ?1)
                 AND NOT EXISTS (
                     SELECT 1 FROM (
                         SELECT at FROM webhook_attempts WHERE endpoint = ?1 ORDER BY pk DESC LIMIT 1 OFFSET ?12
                     ) AS nth WHERE nth.at / 1000 = ?2 / 1000
                 )",
            params![
                key.0,
                attempt.at.0,
                device,
                seq,
                attempt.name,
                attempt.message_id,
                attempt.attempt,
                attempt.outcome,
                attempt.status,
                attempt.duration_ms,
                attempt.next_at.map(|at| at.0),
                i64::try_from(max_per_second.saturating_sub(1)).unwrap_or(i64::MAX),
            ],
        )?;
        Ok(())
    }

    /// Prunes attempts from before `cutoff`; returns `true` while there are more.
    ///
    /// # Errors
    /// When the store fails.
    pub fn prune_attempts(&self, cutoff: Millis, batch: i64) -> Result<bool, StoreError> {
        let removed = self.run(
            "DELETE FROM webhook_attempts WHERE pk IN (SELECT pk FROM webhook_attempts WHERE at < ?1 LIMIT ?2)",
            params![cutoff.0, batch],
        )?;
        Ok(removed > 0)
    }
}
