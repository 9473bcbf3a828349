//! The account itself: its keys, its numbers and its counters, as the library serialises them.

use async_trait::async_trait;
use wacore::store::Device;
use wacore::store::error::Result;
use wacore::store::traits::DeviceStore;

use super::spaces::DEVICE;
use super::{VaultBackend, encoded, failed};

/// The one key of its space: a vault is one device's.
const KEY: &str = "";
/// What the library calls this device within the store.
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

    /// Makes fresh keys, unless there are some.
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
