//! What engines keep: bytes under `(device, space, key)`.

use rusqlite::params;

use super::error::StoreError;
use super::tx::{Reader, Tx};
use crate::domain::ids::DeviceId;

impl Reader<'_> {
    /// One value.
    ///
    /// # Errors
    /// When the store fails.
    pub fn vault_get(
        &self,
        device: &DeviceId,
        space: &str,
        key: &str,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        self.one(
            "SELECT value FROM vault WHERE device_id = ?1 AND space = ?2 AND key = ?3",
            params![device.as_str(), space, key],
            |row| Ok(row.get(0)?),
        )
    }
}

impl Tx<'_> {
    /// Writes one value, or removes it.
    ///
    /// # Errors
    /// When the store fails.
    pub fn vault_put(
        &self,
        device: &DeviceId,
        space: &str,
        key: &str,
        value: Option<&[u8]>,
    ) -> Result<(), StoreError> {
        match value {
            Some(value) => self.run(
                "INSERT OR REPLACE INTO vault (device_id, space, key, value) VALUES (?1, ?2, ?3, ?4)",
                params![device.as_str(), space, key, value],
            )?,
            None => self.run(
                "DELETE FROM vault WHERE device_id = ?1 AND space = ?2 AND key = ?3",
                params![device.as_str(), space, key],
            )?,
        };
        Ok(())
    }

    /// Removes all that an engine keeps for a device.
    ///
    /// # Errors
    /// When the store fails.
    pub fn vault_clear(&self, device: &DeviceId) -> Result<(), StoreError> {
        self.run("DELETE FROM vault WHERE device_id = ?1", [device.as_str()])?;
        Ok(())
    }
}
