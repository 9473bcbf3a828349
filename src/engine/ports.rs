//! What an engine is given: where its news goes, where its files and its own state are.

use async_trait::async_trait;
use thiserror::Error;

use super::EngineEvent;
use crate::domain::clock::Millis;
use crate::domain::media::{MediaHash, StoredMedia};
use crate::domain::vault::VaultBatch;

/// Where an engine hands over what it hears.
#[async_trait]
pub trait Inbound: Send + Sync {
    /// Returns once the event is durable (or, for what no log keeps, passed on). Calling it again with the
    /// same event is safe.
    ///
    /// # Errors
    /// When it could not be stored: the engine must not acknowledge it, and should end the session.
    async fn deliver(&self, event: EngineEvent) -> Result<(), InboundError>;
}

/// Why news could not be taken in.
#[derive(Debug, Error)]
pub enum InboundError {
    /// The store did not take it.
    #[error("could not store what the network told")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The device is stopping or gone.
    #[error("the device is not running any more")]
    Gone,
}

/// A file's bytes, piece by piece.
pub type ByteStream = futures_util::stream::BoxStream<'static, std::io::Result<bytes::Bytes>>;

/// The files of messages, shared by all devices. An engine saves what comes in before it delivers the
/// message, and opens what is to go out.
#[async_trait]
pub trait MediaStore: Send + Sync {
    /// Takes in a file, never whole in memory. What is saved and belongs to no message is removed again
    /// after some time.
    ///
    /// # Errors
    /// When it is too large, breaks off, or cannot be stored.
    async fn save(&self, bytes: ByteStream) -> Result<StoredMedia, MediaStoreError>;

    /// Opens a file.
    ///
    /// # Errors
    /// When it is not there any more, or cannot be read.
    async fn open(&self, hash: &MediaHash) -> Result<ByteStream, MediaStoreError>;

    /// A small JPEG of a picture; `None` where there is none, or it cannot be read.
    async fn thumbnail(&self, _hash: &MediaHash) -> Option<Vec<u8>> {
        None
    }
}

/// A file could not be taken in or read.
#[derive(Debug, Error)]
pub enum MediaStoreError {
    /// Larger than may be.
    #[error("the file is larger than {0} bytes")]
    TooLarge(u64),
    /// Not there (any more).
    #[error("the file is not in the store any more")]
    Gone,
    /// The bytes broke off before the end.
    #[error("the file broke off")]
    Incomplete(#[source] std::io::Error),
    /// The store failed.
    #[error("the media store failed")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// An engine's own storage for one device: bytes under `(space, key)`, durable when a call returns.
///
/// Keys are ordered as their bytes are. A value with a deadline stays readable until [`Vault::prune`] takes it.
#[async_trait]
pub trait Vault: Send + Sync {
    /// Reads values, in the order of `keys`, all of one moment.
    ///
    /// # Errors
    /// When the store fails.
    async fn get_many(&self, space: &str, keys: Vec<String>) -> Result<Vec<Option<Vec<u8>>>, VaultError>;

    /// All whose key begins with `prefix`, in the order of their keys; with an empty prefix the whole space.
    ///
    /// # Errors
    /// When the store fails.
    async fn list(&self, space: &str, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, VaultError>;

    /// The last of the keys that begin with `prefix`, without reading the others.
    ///
    /// # Errors
    /// When the store fails.
    async fn last_key(&self, space: &str, prefix: &str) -> Result<Option<String>, VaultError>;

    /// Looks at the vault and changes it in one step: nobody else's change comes between. `change` runs
    /// while all other writes wait, so it should be short.
    ///
    /// # Errors
    /// What `change` answers, or that the store failed; nothing is changed then.
    async fn update(&self, change: VaultUpdate) -> Result<(), VaultError>;

    /// Removes the values of a space whose deadline is before `before`, and says how many.
    ///
    /// # Errors
    /// When the store fails; some may be removed then.
    async fn prune(&self, space: &str, before: Millis) -> Result<u64, VaultError>;

    /// Reads one value.
    ///
    /// # Errors
    /// When the store fails.
    async fn get(&self, space: &str, key: &str) -> Result<Option<Vec<u8>>, VaultError> {
        let values = self.get_many(space, vec![key.to_owned()]).await?;
        Ok(values.into_iter().next().flatten())
    }

    /// Writes a value, or removes it with `None`.
    ///
    /// # Errors
    /// When the store fails.
    async fn put(&self, space: &str, key: &str, value: Option<Vec<u8>>) -> Result<(), VaultError> {
        let mut batch = VaultBatch::new();
        match value {
            Some(value) => batch.put(space, key, value),
            None => batch.remove(space, key),
        }
        self.apply(batch).await
    }

    /// Makes all changes, or none.
    ///
    /// # Errors
    /// When the store fails.
    async fn apply(&self, batch: VaultBatch) -> Result<(), VaultError> {
        if batch.is_empty() {
            return Ok(());
        }
        self.update(Box::new(move |_| Ok(batch))).await
    }
}

/// Decides on changes by what is there.
pub type VaultUpdate = Box<dyn FnOnce(&dyn VaultView) -> Result<VaultBatch, VaultError> + Send>;

/// What a [`VaultUpdate`] sees: the vault as all changes before it left it.
pub trait VaultView {
    /// Reads one value.
    ///
    /// # Errors
    /// When the store fails.
    fn get(&self, space: &str, key: &str) -> Result<Option<Vec<u8>>, VaultError>;

    /// As [`Vault::list`].
    ///
    /// # Errors
    /// When the store fails.
    fn list(&self, space: &str, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, VaultError>;
}

/// The vault could not be read or written.
#[derive(Debug, Error)]
#[error("the vault failed")]
pub struct VaultError(#[source] pub Box<dyn std::error::Error + Send + Sync>);
