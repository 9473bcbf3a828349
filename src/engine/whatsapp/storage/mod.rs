//! The library's storage over the device's vault: one file for each of its traits, and one for each thing that
//! has rules of its own.
//!
//! - A call is durable when it returns, and a batch is one [`Vault::apply`]: all of it, or nothing.
//! - What looks before it writes does both in one [`Vault::update`], on the writer's thread: there are no locks
//!   here, and two backends of one device (as around the end of a linking) do not disturb each other.
//! - Nothing of the library's is kept in memory.
//!
//! # What a kill finds
//!
//! The library (0.7.0) keeps Signal state in a cache and writes it behind. In which order, and what that means:
//!
//! - *A message in, while connected* (`message/commit_batch.rs`, `commit_inbound_batch`): decrypted, stored as
//!   pending, handed to the durability hook, removed from pending, acknowledged; its ratchet is written 25 ms
//!   after (`signal_flush.rs`). Killed before the acknowledgement, the server sends it again: it is decrypted
//!   again (the ratchet was not written), or is a duplicate whose pending row is handed to the hook
//!   (`message/durability.rs`), or was taken in already. Killed after it, the old ratchet goes forward again
//!   with the next message; a prekey that was used goes only after its session is written (`signal_cache.rs`,
//!   `flush`).
//! - *What is missed there*: a flush writes all ratchets, also that of a message which was decrypted this moment and
//!   is not stored as pending yet. Killed between the two commits, the message comes again as a duplicate of which
//!   nothing is known; the library would acknowledge it, and it would be lost. What was taken in is therefore
//!   remembered, and a duplicate of anything else is not acknowledged but asked for again (`pending_inbound`).
//! - *Messages in, from the offline queue*: up to 400 together, one at a time, pending rows before ratchets before
//!   the hook. No hole.
//! - *A message out*: the counters of a chain are leased 64 at a time, and a lease is written before the first byte
//!   that needs it leaves (`persist_signal_state_pre_wire` in `client/adapters.rs`; a reload goes on behind the
//!   lease, so no counter is used twice). Within a lease the ratchet is written 25 ms after the bytes left.
//! - *What is missed there*: the first answer after a message came in goes out on a new chain, whose private key may be in
//!   the cache only (`rebase_lease_after_sender_chain_reset` leaves it a lease). Killed before the flush, what the
//!   other side sends upon it cannot be decrypted and has to be asked for again. Before a message goes out,
//!   `Client::flush_pending_signal_state` is called (`outbound`): the new chain is durable before anything is on it.
//! - *The account* (`store/persistence_manager.rs`) is saved in the background: each change wakes the saver that
//!   `Bot` starts, and nobody waits for it (`PersistenceManager::flush` does not either, while the saver is at it).
//!   Before a linking is reported the account is saved with `DeviceStore::save` (`session/connection`). The numbers of prekeys are
//!   safe in any case: a new one is above all that are stored (`prekeys.rs`, `start_prekey_id`).
//! - *Secrets of messages* (`msg_secret_buffer.rs`) are written behind too, after the acknowledgement: killed in
//!   between, a vote on, or an edit of, that one message cannot be decrypted. There is no setting against it; the
//!   window is one commit.
//! - *Device lists, LIDs, tokens, app state* can be asked for again.

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
mod lid_map;
mod message_secrets;
mod pending_inbound;
mod protocol;
mod sender_key_devices;
mod signal;
mod spaces;
mod tc_tokens;

pub(super) use self::pending_inbound::MissingMessage;
use self::pending_inbound::MissingMessages;

/// One device's storage as the library wants it. Holds handles, and what is to be asked for again.
pub struct VaultBackend {
    vault: Arc<dyn Vault>,
    clock: Arc<dyn Clock>,
    missing: MissingMessages,
    #[cfg(feature = "testbed")]
    rejects_next: std::sync::atomic::AtomicBool,
}

impl VaultBackend {
    /// Puts the library's storage on a vault.
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

    /// Removes all that the library keeps, so that the device must be linked anew. What else is in the vault
    /// stays.
    ///
    /// # Errors
    /// When the store fails; nothing is removed then.
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

#[cfg(test)]
mod tests;
