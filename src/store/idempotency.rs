//! Idempotency keys: a repeated request receives the answer of the first one.

use rusqlite::params;

use super::column_codec::parsed;
use super::error::StoreError;
use super::tx::{Reader, Tx};
use crate::domain::clock::Millis;
use crate::domain::ids::{DeviceId, MessageId};

/// The request and answer that belong to an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAnswer {
    /// A hash of the request.
    pub fingerprint: Vec<u8>,
    /// The message that the request created.
    pub message_id: MessageId,
}

impl Reader<'_> {
    /// The answer stored for this key since `not_before`.
    ///
    /// # Errors
    /// When the store fails.
    pub fn stored_answer(
        &self,
        device: &DeviceId,
        key: &str,
        not_before: Millis,
    ) -> Result<Option<StoredAnswer>, StoreError> {
        self.one(
            "SELECT fingerprint, message_id FROM idempotency WHERE device_id = ?1 AND key = ?2 AND at >= ?3",
            params![device.as_str(), key, not_before.0],
            |row| {
                Ok(StoredAnswer {
                    fingerprint: row.get("fingerprint")?,
                    message_id: parsed(row, "message_id", "message id")?,
                })
            },
        )
    }
}

impl Tx<'_> {
    /// Stores the answer of a key.
    ///
    /// # Errors
    /// When the store fails.
    pub fn store_answer(
        &self,
        device: &DeviceId,
        key: &str,
        what: &StoredAnswer,
        now: Millis,
    ) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO idempotency (device_id, key, fingerprint, message_id, at) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (device_id, key) DO UPDATE SET fingerprint = excluded.fingerprint,
                 message_id = excluded.message_id, at = excluded.at",
            params![device.as_str(), key, what.fingerprint, what.message_id.to_string(), now.0],
        )?;
        Ok(())
    }
}
