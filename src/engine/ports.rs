//! What an engine is given: where its news goes, where its files and its own state are.

use async_trait::async_trait;
use thiserror::Error;

use super::EngineEvent;
use crate::domain::media::{MediaHash, StoredMedia};

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
#[async_trait]
pub trait Vault: Send + Sync {
    /// Reads one value.
    ///
    /// # Errors
    /// When the store fails.
    async fn get(&self, space: &str, key: &str) -> Result<Option<Vec<u8>>, VaultError>;

    /// Writes a value, or removes it with `None`.
    ///
    /// # Errors
    /// When the store fails.
    async fn put(&self, space: &str, key: &str, value: Option<Vec<u8>>) -> Result<(), VaultError>;
}

/// The vault could not be read or written.
#[derive(Debug, Error)]
#[error("the vault failed")]
pub struct VaultError(#[source] pub Box<dyn std::error::Error + Send + Sync>);
