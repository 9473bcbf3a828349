//! The library's storage over the device's vault.

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;
use wacore::store::error::{Result, StoreError};

use crate::domain::clock::{Clock, Millis};
use crate::domain::vault::VaultBatch;
use crate::engine::{Vault, VaultError, VaultView};

mod app_sync;
mod device;
mod lids;
mod message_secrets;
mod pending_inbound;
mod protocol;
mod sender_key_devices;
mod signal;
mod spaces;
mod tc_tokens;

/// One device's storage as the library wants it. Holds nothing but handles.
pub struct VaultBackend {
    vault: Arc<dyn Vault>,
    clock: Arc<dyn Clock>,
}

impl VaultBackend {
    /// Puts the library's storage on a vault.
    #[must_use]
    pub fn new(vault: Arc<dyn Vault>, clock: Arc<dyn Clock>) -> Self {
        Self { vault, clock }
    }

    /// Removes all that the library keeps, so that the device must be linked anew. What else is in the vault
    /// stays.
    ///
    /// # Errors
    /// When the store fails; nothing is removed then.
    pub async fn forget(&self) -> std::result::Result<(), VaultError> {
        let mut batch = VaultBatch::new();
        spaces::ALL.iter().for_each(|space| batch.remove_space(space));
        self.vault.apply(batch).await
    }

    fn now(&self) -> Millis {
        self.clock.now()
    }

    async fn get(&self, space: &str, key: &str) -> Result<Option<Vec<u8>>> {
        self.vault.get(space, key).await.map_err(failed)
    }

    async fn get_as<T: DeserializeOwned>(&self, space: &str, key: &str) -> Result<Option<T>> {
        self.get(space, key).await?.map(|bytes| decoded(&bytes)).transpose()
    }

    async fn list(&self, space: &str, prefix: &str) -> Result<Vec<(String, Vec<u8>)>> {
        self.vault.list(space, prefix).await.map_err(failed)
    }

    async fn put(&self, space: &str, key: String, value: Vec<u8>) -> Result<()> {
        self.vault.put(space, &key, Some(value)).await.map_err(failed)
    }

    async fn remove(&self, space: &str, key: &str) -> Result<()> {
        self.vault.put(space, key, None).await.map_err(failed)
    }

    async fn apply(&self, batch: VaultBatch) -> Result<()> {
        self.vault.apply(batch).await.map_err(failed)
    }

    /// Looks and changes in one step; answers what `change` answers, once it is durable.
    async fn update<T, F>(&self, change: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&dyn VaultView, &mut VaultBatch) -> Result<T> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let update = move |view: &dyn VaultView| {
            let mut batch = VaultBatch::new();
            let value = change(view, &mut batch).map_err(|error| VaultError(Box::new(error)))?;
            // Nobody waits any more; the change is made all the same.
            let _ = answer.send(value);
            Ok(batch)
        };
        self.vault.update(Box::new(update)).await.map_err(failed)?;
        answered.await.map_err(|error| StoreError::Database(Box::new(error)))
    }

    /// Removes what was stored, or may be kept, until before the second `before`.
    async fn prune(&self, space: &str, before: i64) -> Result<u32> {
        let before = Millis(before.saturating_mul(1_000));
        let pruned = self.vault.prune(space, before).await.map_err(failed)?;
        Ok(u32::try_from(pruned).unwrap_or(u32::MAX))
    }
}

/// A failure of the vault in the library's words.
fn failed(error: VaultError) -> StoreError {
    StoreError::Database(Box::new(error))
}

fn encoded<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| StoreError::Serialization(Box::new(error)))
}

fn decoded<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| StoreError::Serialization(Box::new(error)))
}

/// Bytes that must have a certain length.
fn exactly<const N: usize>(bytes: &[u8], what: &str) -> Result<[u8; N]> {
    bytes.try_into().map_err(|_| StoreError::Validation(format!("a stored {what} has {} bytes", bytes.len())))
}

fn shared(bytes: Option<Vec<u8>>) -> Option<Bytes> {
    bytes.map(Bytes::from)
}
