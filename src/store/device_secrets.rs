//! Secrets within the settings of devices: apart from what is shown, and sealed as the vault is.

use rusqlite::params;

use super::Store;
use super::column_codec::to_json;
use super::error::StoreError;
use super::seal::SealContext;
use super::tx::{Reader, Tx};
use crate::domain::ids::DeviceId;
use crate::domain::secret_settings::Secrets;

/// A device's secrets as they stand in the store.
#[derive(Debug, Clone)]
pub struct SealedSettings {
    bytes: Vec<u8>,
    sealed: bool,
}

impl Store {
    /// Makes a device's secrets ready to be stored.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn seal_settings(&self, device: &DeviceId, secrets: &Secrets) -> Result<SealedSettings, StoreError> {
        let bytes = to_json(secrets, "device's secrets")?.into_bytes();
        let (bytes, sealed) = self.inner.seal.close(place(device), bytes)?;
        Ok(SealedSettings { bytes, sealed })
    }

    /// The other way round; none for a device that has none.
    ///
    /// # Errors
    /// When they are not what was written.
    pub fn open_settings(
        &self,
        device: &DeviceId,
        stored: Option<SealedSettings>,
    ) -> Result<Secrets, StoreError> {
        let Some(SealedSettings { bytes, sealed }) = stored else { return Ok(Secrets::new()) };
        let bytes = self.inner.seal.open(place(device), sealed, bytes)?;
        serde_json::from_slice(&bytes).map_err(|_| StoreError::Unreadable("device's secrets"))
    }
}

/// Beside the vault: no engine's space has this name.
fn place(device: &DeviceId) -> SealContext<'_> {
    SealContext { device: device.as_str(), space: "", key: "settings" }
}

impl Reader<'_> {
    /// A device's secrets, if it has any.
    ///
    /// # Errors
    /// When the store fails.
    pub fn device_secrets(&self, id: &DeviceId) -> Result<Option<SealedSettings>, StoreError> {
        self.one("SELECT secrets, sealed FROM device_secrets WHERE device_id = ?1", [id.as_str()], |row| {
            Ok(SealedSettings { bytes: row.get(0)?, sealed: row.get(1)? })
        })
    }
}

impl Tx<'_> {
    /// Writes a device's secrets in place of those before.
    ///
    /// # Errors
    /// When the store fails.
    pub fn set_device_secrets(&self, id: &DeviceId, secrets: &SealedSettings) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO device_secrets (device_id, secrets, sealed) VALUES (?1, ?2, ?3)
             ON CONFLICT (device_id) DO UPDATE SET secrets = excluded.secrets, sealed = excluded.sealed",
            params![id.as_str(), secrets.bytes, secrets.sealed],
        )?;
        Ok(())
    }
}
