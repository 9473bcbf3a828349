//! A device's settings with their secrets: put together for its engine, taken apart before they are stored.

use serde_json::{Map, Value};

use crate::domain::device::Device;
use crate::domain::ids::DeviceId;
use crate::domain::secret_settings::{bare_mask, join, split};
use crate::service::{Fleet, ServiceError};
use crate::store::{Reader, Tx};

impl Fleet {
    /// A device's settings as its engine reads them.
    ///
    /// # Errors
    /// When there is no such device, or the store fails.
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

    /// The same of a device that was read already.
    pub(in crate::service) fn with_secrets(
        &self,
        reader: &Reader<'_>,
        device: &Device,
    ) -> Result<Map<String, Value>, ServiceError> {
        let secrets = self.store.open_settings(&device.id, reader.device_secrets(&device.id)?)?;
        Ok(join(device.settings.clone(), &secrets))
    }

    /// Checks a device whose settings have their secrets, and leaves masks in their places.
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

/// What [`Fleet::check_and_mask`] took out.
pub(in crate::service) struct SealedSecrets(crate::store::device_secrets::SealedSettings);

impl SealedSecrets {
    /// Stores them, in the transaction that stores their device.
    pub(in crate::service) fn store(&self, tx: &Tx<'_>, id: &DeviceId) -> Result<(), ServiceError> {
        Ok(tx.set_device_secrets(id, &self.0)?)
    }
}
