//! Files: what is known of each, who refers to it, and what signs their addresses.

use rusqlite::params;

use super::error::StoreError;
use super::tx::{Reader, Tx};
use crate::domain::ids::DeviceId;

impl Reader<'_> {
    /// What signs the addresses of a device's files; `None` for a device that is gone.
    ///
    /// # Errors
    /// When the store fails.
    pub fn media_secret(&self, device: &DeviceId) -> Result<Option<Vec<u8>>, StoreError> {
        let found = self.one("SELECT media_secret FROM devices WHERE id = ?1", [device.as_str()], |row| {
            Ok(row.get::<_, Option<Vec<u8>>>(0)?)
        })?;
        Ok(found.flatten())
    }

    /// Devices whose files' addresses cannot be signed yet.
    ///
    /// # Errors
    /// When the store fails.
    pub fn devices_without_media_secret(&self) -> Result<Vec<DeviceId>, StoreError> {
        self.all("SELECT id FROM devices WHERE media_secret IS NULL", [], |row| {
            super::rows::parsed(row, "id", "device id")
        })
    }
}

impl Tx<'_> {
    /// Changes what signs the addresses of a device's files: all earlier ones are void.
    ///
    /// # Errors
    /// When the store fails.
    pub fn set_media_secret(&self, device: &DeviceId, secret: &[u8]) -> Result<(), StoreError> {
        self.run("UPDATE devices SET media_secret = ?2 WHERE id = ?1", params![device.as_str(), secret])?;
        Ok(())
    }
}
