//! Ports that an engine is given: the receiver of its events, the media store, and its vault.

use async_trait::async_trait;
use thiserror::Error;

use super::EngineEvent;
use crate::domain::clock::Millis;
use crate::domain::media::{MediaHash, StoredMedia};
use crate::domain::vault::VaultBatch;

/// Receives an engine's events.
#[async_trait]
pub trait Inbound: Send + Sync {
    /// Returns once the event is durable or, for ephemeral events, emitted; idempotent.
    ///
    /// # Errors
    /// If it could not be stored. The engine must not acknowledge it then, and should end the session.
    async fn deliver(&self, event: EngineEvent) -> Result<(), InboundError>;

    /// Delivers events in order. Messages and receipts that follow one another become durable in one transaction.
    ///
    /// # Errors
    /// As [`Inbound::deliver`]; events before the one that failed may be durable.
    async fn deliver_all(&self, events: Vec<EngineEvent>) -> Result<(), InboundError> {
        for event in events {
            self.deliver(event).await?;
        }
        Ok(())
    }
}

/// Why an event was not ingested.
#[derive(Debug, Error)]
pub enum InboundError {
    /// The store failed.
    #[error("could not store an event of the network")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The device is stopping or deleted.
    #[error("the device is no longer running")]
    Gone,
}

/// A file's bytes in chunks.
pub type ByteStream = futures_util::stream::BoxStream<'static, std::io::Result<bytes::Bytes>>;

/// The store of attachments, shared by all devices. An engine saves a received file before it delivers the
/// message, and opens a file to send it.
#[async_trait]
pub trait MediaStore: Send + Sync {
    /// Stores a file, never whole in memory. A file that belongs to no message is removed after some time.
    ///
    /// # Errors
    /// If it is too large, incomplete, or cannot be stored.
    async fn save(&self, bytes: ByteStream) -> Result<StoredMedia, MediaStoreError>;

    /// Opens a file.
    ///
    /// # Errors
    /// If it is no longer stored, or cannot be read.
    async fn open(&self, hash: &MediaHash) -> Result<ByteStream, MediaStoreError>;

    /// A small JPEG of a picture; `None` if there is none.
    async fn thumbnail(&self, _hash: &MediaHash) -> Option<Vec<u8>> {
        None
    }
}

/// Why a file could not be stored or read.
#[derive(Debug, Error)]
pub enum MediaStoreError {
    /// The file exceeds the limit.
    #[error("the file is larger than {0} bytes")]
    TooLarge(u64),
    /// The file is no longer stored.
    #[error("the file is no longer in the store")]
    Gone,
    /// The bytes ended early.
    #[error("the file ended early")]
    Incomplete(#[source] std::io::Error),
    /// The store failed.
    #[error("the media store failed")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// An engine's private storage for one device: bytes under `(space, key)`, durable when a call returns.
///
/// Keys are ordered by their bytes. A value stays readable after its deadline until [`Vault::prune`]
/// removes it.
#[async_trait]
pub trait Vault: Send + Sync {
    /// Reads values in the order of `keys`, from one snapshot.
    ///
    /// # Errors
    /// If the store fails.
    async fn get_many(&self, space: &str, keys: Vec<String>) -> Result<Vec<Option<Vec<u8>>>, VaultError>;

    /// Values whose keys start with `prefix`, ordered by key; an empty prefix matches the whole space.
    ///
    /// # Errors
    /// If the store fails.
    async fn list(&self, space: &str, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, VaultError>;

    /// The last key that starts with `prefix`.
    ///
    /// # Errors
    /// If the store fails.
    async fn last_key(&self, space: &str, prefix: &str) -> Result<Option<String>, VaultError>;

    /// Reads and writes in one transaction. `change` runs on the writer thread, so it should be short.
    ///
    /// # Errors
    /// The error of `change`, or of the store; nothing is changed then.
    async fn update(&self, change: VaultUpdate) -> Result<(), VaultError>;

    /// Removes the values of a space with a deadline before `before`; returns their number.
    ///
    /// # Errors
    /// If the store fails; some may be removed then.
    async fn prune(&self, space: &str, before: Millis) -> Result<u64, VaultError>;

    /// Reads one value.
    ///
    /// # Errors
    /// If the store fails.
    async fn get(&self, space: &str, key: &str) -> Result<Option<Vec<u8>>, VaultError> {
        let values = self.get_many(space, vec![key.to_owned()]).await?;
        Ok(values.into_iter().next().flatten())
    }

    /// Writes a value, or removes it with `None`.
    ///
    /// # Errors
    /// If the store fails.
    async fn put(&self, space: &str, key: &str, value: Option<Vec<u8>>) -> Result<(), VaultError> {
        let mut batch = VaultBatch::new();
        match value {
            Some(value) => batch.put(space, key, value),
            None => batch.remove(space, key),
        }
        self.apply(batch).await
    }

    /// Applies all changes or none.
    ///
    /// # Errors
    /// If the store fails.
    async fn apply(&self, batch: VaultBatch) -> Result<(), VaultError> {
        if batch.is_empty() {
            return Ok(());
        }
        self.update(Box::new(move |_| Ok(batch.clone()))).await
    }
}

/// Computes changes from the current values. The store may call it again, after it has undone the changes.
pub type VaultUpdate = Box<dyn Fn(&dyn VaultView) -> Result<VaultBatch, VaultError> + Send>;

/// The values that a [`VaultUpdate`] reads, including all earlier changes.
pub trait VaultView {
    /// Reads one value.
    ///
    /// # Errors
    /// If the store fails.
    fn get(&self, space: &str, key: &str) -> Result<Option<Vec<u8>>, VaultError>;

    /// Like [`Vault::list`].
    ///
    /// # Errors
    /// If the store fails.
    fn list(&self, space: &str, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, VaultError>;
}

/// The vault could not be read or written.
#[derive(Debug, Error)]
#[error("the vault failed")]
pub struct VaultError(#[source] pub Box<dyn std::error::Error + Send + Sync>);
