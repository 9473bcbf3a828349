//! Implements the library's storage traits on the device's vault: one file for each trait, and one for each
//! value with rules of its own. None of the library's state is in memory here.
//!
//! - A call is durable when it returns; a batch is one atomic [`Vault::apply`].
//! - A write that depends on a read is one [`Vault::update`] on the writer thread. There are no locks here,
//!   so two backends of one device, as around the end of linking, do not conflict.
//!
//! # After a kill
//!
//! The library (0.7.0) caches Signal state and writes it behind:
//!
//! - *Message in, while connected* (`message/commit_batch.rs`, `commit_inbound_batch`): decrypted, stored as
//!   pending, passed to the durability hook, removed from pending, acknowledged; its ratchet is written 25 ms
//!   later (`signal_flush.rs`). After a kill before the acknowledgement, the server sends the message again.
//!   Then it is decrypted again (the ratchet was not written), or it is a duplicate whose pending row is
//!   passed to the hook (`message/durability.rs`), or it was ingested already. After a kill behind the
//!   acknowledgement, the next message advances the old ratchet; a used prekey is removed only after its
//!   session is written (`signal_cache.rs`, `flush`).
//! - *The gap there*: a flush writes all ratchets, including that of a message that was just decrypted and is
//!   not stored as pending yet. After a kill between the two commits, the message arrives as a duplicate
//!   without any row; the library would acknowledge it, and it would be lost. Ingested messages are therefore
//!   recorded, and any other duplicate is not acknowledged but requested again (`pending_inbound`).
//! - *Messages in, from the offline queue*: up to 400 together, one at a time, with pending rows before
//!   ratchets before the hook. There is no gap.
//! - *Message out*: the counters of a chain are leased 64 at a time, and a lease is written before the first
//!   byte that needs it is sent (`persist_signal_state_pre_wire` in `client/adapters.rs`). A reload continues
//!   behind the lease, so no counter is used twice. Within a lease the ratchet is written 25 ms after the
//!   bytes were sent.
//! - *The gap there*: the first reply after a received message uses a new chain, whose private key may be in
//!   the cache only (`rebase_lease_after_sender_chain_reset` leaves it a lease). After a kill before the
//!   flush, answers on that chain cannot be decrypted and must be requested again. `outbound` therefore calls
//!   `Client::flush_pending_signal_state` before a message is sent, so that the new chain is durable first.
//! - *The account* (`store/persistence_manager.rs`) is saved in the background: each change wakes a saver
//!   that cannot be awaited (`PersistenceManager::flush` does not wait for a running save either). Before a
//!   link is reported, `session/connection` saves the account with `DeviceStore::save`. Prekey numbers are
//!   safe in any case: a new one is above all stored ones (`prekeys.rs`, `start_prekey_id`).
//! - *Secrets of messages* (`msg_secret_buffer.rs`) are written behind too, after the acknowledgement. After
//!   a kill in between, votes on and edits of that one message cannot be decrypted. The library has no
//!   setting for this; the window is one commit.
//! - *Device lists, LIDs, tokens, app state* can be requested again.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use wacore::store::error::{Result, StoreError};

use crate::domain::clock::{Clock, Millis};
use crate::domain::vault::VaultBatch;
use crate::engine::{Vault, VaultError, VaultView};

mod app_sync;
mod device;
mod lid_map;
mod message_secrets;
mod missing_messages;
mod pending_inbound;
mod protocol;
mod sender_key_devices;
mod signal;
mod spaces;
mod tc_tokens;

pub(super) use self::missing_messages::MissingMessage;
use self::missing_messages::MissingMessages;

/// One device's storage for the library, with the queue of missing messages.
pub struct VaultBackend {
    vault: Arc<dyn Vault>,
    clock: Arc<dyn Clock>,
    missing: MissingMessages,
    #[cfg(feature = "testbed")]
    rejects_next: std::sync::atomic::AtomicBool,
}

impl VaultBackend {
    /// Implements the storage on a vault.
    #[must_use]
    pub fn new(vault: Arc<dyn Vault>, clock: Arc<dyn Clock>) -> Self {
        Self {
            vault,
            clock,
            missing: MissingMessages::default(),
            #[cfg(feature = "testbed")]
            rejects_next: std::sync::atomic::AtomicBool::default(),
        }
    }

    /// Removes the library's values, so that the device must be linked again; other values stay.
    ///
    /// # Errors
    /// If the store fails; nothing is removed then.
    pub async fn clear(&self) -> std::result::Result<(), VaultError> {
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

    /// Reads and writes in one step; returns the result of `change` once it is durable.
    async fn update<T, F>(&self, change: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&dyn VaultView, &mut VaultBatch) -> Result<T> + Send + 'static,
    {
        let result = Arc::new(Mutex::new(None));
        let slot = Arc::clone(&result);
        let update = move |view: &dyn VaultView| {
            let mut batch = VaultBatch::new();
            let value = change(view, &mut batch).map_err(|error| VaultError(Box::new(error)))?;
            // The vault may run the change again; the last result counts.
            *slot.lock() = Some(value);
            Ok(batch)
        };
        self.vault.update(Box::new(update)).await.map_err(failed)?;
        let value = result.lock().take();
        value.ok_or_else(|| StoreError::Database("the vault did not run the change".into()))
    }

    /// Removes values whose deadline is before the second `before`.
    async fn prune(&self, space: &str, before: i64) -> Result<u32> {
        let before = Millis(before.saturating_mul(1_000));
        let pruned = self.vault.prune(space, before).await.map_err(failed)?;
        Ok(u32::try_from(pruned).unwrap_or(u32::MAX))
    }
}

/// Converts a failure of the vault.
fn failed(error: VaultError) -> StoreError {
    StoreError::Database(Box::new(error))
}

fn encoded<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| StoreError::Serialization(Box::new(error)))
}

fn decoded<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| StoreError::Serialization(Box::new(error)))
}

/// Checks the length of a stored value.
fn exactly<const N: usize>(bytes: &[u8], what: &str) -> Result<[u8; N]> {
    bytes.try_into().map_err(|_| StoreError::Validation(format!("a stored {what} has {} bytes", bytes.len())))
}

fn shared(bytes: Option<Vec<u8>>) -> Option<Bytes> {
    bytes.map(Bytes::from)
}

#[cfg(test)]
mod tests;
