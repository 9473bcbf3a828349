//! Secrets in device settings, stored apart from the visible settings and sealed with the key of the vault.

use rusqlite::params;

use super::Store;
use super::column_codec::to_json;
use super::error::StoreError;
use super::seal::SealContext;
use super::tx::{Reader, Tx};
use crate::domain::ids::DeviceId;
use crate::domain::secret_settings::Secrets;

/// A device's secrets in their stored form.
#[derive(Debug, Clone)]
pub struct SealedSettings {
    bytes: Vec<u8>,
    sealed: bool,
}

impl Store {
    /// Seals a device's secrets with the key of the vault.
    ///
    /// # Errors
    /// When the secrets cannot be serialized or sealed.
    pub fn seal_settings(&self, device: &DeviceId, secrets: &Secrets) -> Result<SealedSettings, StoreError> {
        let bytes = to_json(secrets, "device's secrets")?.into_bytes();
        let (bytes, sealed) = self.inner.seal.close(place(device), bytes)?;
        Ok(SealedSettings { bytes, sealed })
    }

    /// Opens a device's sealed secrets; empty for a device without secrets.
    ///
    /// # Errors
    /// When the secrets cannot be opened or parsed.
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

/// Seal context of device secrets; no engine uses an empty space.
fn place(device: &DeviceId) -> SealContext<'_> {
    SealContext { device: device.as_str(), space: "", key: "settings" }
}

impl Reader<'_> {
    /// A device's sealed secrets, if it has any.
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
    /// Stores a device's secrets, replacing earlier ones.
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
