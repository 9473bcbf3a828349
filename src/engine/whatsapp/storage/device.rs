//! The account: its keys, numbers and counters, as the library serialises them.

use async_trait::async_trait;
use wacore::store::Device;
use wacore::store::error::Result;
use wacore::store::traits::DeviceStore;

use super::spaces::DEVICE;
use super::{VaultBackend, encoded, failed};

/// The only key of its space: a vault belongs to one device.
const KEY: &str = "";
/// The library's id of this device within the store.
const ONLY: i32 = 1;

#[async_trait]
impl DeviceStore for VaultBackend {
    async fn save(&self, device: &Device) -> Result<()> {
        self.put(DEVICE, KEY.to_owned(), encoded(device)?).await
    }

    async fn load(&self) -> Result<Option<Device>> {
        self.get_as(DEVICE, KEY).await
    }

    async fn exists(&self) -> Result<bool> {
        Ok(self.get(DEVICE, KEY).await?.is_some())
    }

    /// Creates keys, unless they exist.
    async fn create(&self) -> Result<i32> {
        self.update(|view, batch| {
            if view.get(DEVICE, KEY).map_err(failed)?.is_none() {
                batch.put(DEVICE, KEY, encoded(&Device::new())?);
            }
            Ok(ONLY)
        })
        .await
    }
}
