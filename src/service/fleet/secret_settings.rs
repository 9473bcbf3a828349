//! Separates the secrets from a device's settings before they are stored, and adds them for its engine. Stored
//! settings have masks in place of secrets.

use serde_json::{Map, Value};

use crate::domain::device::Device;
use crate::domain::engine_name::rename_secrets;
use crate::domain::ids::DeviceId;
use crate::domain::secret_settings::{bare_mask, join, split};
use crate::service::{Fleet, ServiceError};
use crate::store::{Reader, Tx};

impl Fleet {
    /// A device's settings with their secrets.
    ///
    /// # Errors
    /// If there is no such device, or the store fails.
    pub(in crate::service) async fn settings_of(
        &self,
        id: &DeviceId,
    ) -> Result<Map<String, Value>, ServiceError> {
        let (fleet, id) = (self.clone(), id.clone());
        self.store
            .read(move |store| {
                let device = store.device(&id)?.ok_or(ServiceError::DeviceNotFound)?;
                fleet.with_secrets(store, &device)
            })
            .await
    }

    /// The settings of a loaded device with their secrets.
    pub(in crate::service) fn with_secrets(
        &self,
        reader: &Reader<'_>,
        device: &Device,
    ) -> Result<Map<String, Value>, ServiceError> {
        let secrets = self.store.open_settings(&device.id, reader.device_secrets(&device.id)?)?;
        Ok(join(device.settings.clone(), &rename_secrets(&device.engine, secrets)))
    }

    /// Validates a device with its secrets, and replaces the secrets by masks.
    pub(in crate::service) fn check_and_mask(
        &self,
        device: &mut Device,
    ) -> Result<SealedSecrets, ServiceError> {
        if let Some(place) = bare_mask(&device.settings) {
            let wrong = "is the mask that is shown in place of a secret; give the secret itself";
            return Err(ServiceError::invalid(format!("settings.{place}"), wrong));
        }
        self.check(device)?;
        let (masked, secrets) = split(std::mem::take(&mut device.settings));
        device.settings = masked;
        Ok(SealedSecrets(self.store.seal_settings(&device.id, &secrets)?))
    }
}

/// The secrets that [`Fleet::check_and_mask`] removed.
pub(in crate::service) struct SealedSecrets(crate::store::device_secrets::SealedSettings);

impl SealedSecrets {
    /// Stores the secrets in the transaction of their device.
    pub(in crate::service) fn store(&self, tx: &Tx<'_>, id: &DeviceId) -> Result<(), ServiceError> {
        Ok(tx.set_device_secrets(id, &self.0)?)
    }
}
