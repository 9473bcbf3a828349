//! The interface of the storage backends, and the naming of objects that they share. An object never changes under
//! its key.

use std::ops::Range;
use std::path::Path;

use async_trait::async_trait;

use super::{ByteStream, MediaError};
use crate::domain::clock::Millis;
use crate::domain::media::MediaHash;

/// The key of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key<'a> {
    /// A file.
    File(&'a MediaHash),
    /// The thumbnail of a file.
    Thumbnail(&'a MediaHash),
}

impl Key<'_> {
    /// The path of the object, in two levels of folders, so that no folder gets large.
    pub(super) fn path(self) -> String {
        let (hash, end) = match self {
            Self::File(hash) => (hash, ""),
            Self::Thumbnail(hash) => (hash, THUMBNAIL),
        };
        let text = hash.as_str();
        format!("{}/{}/{text}{end}", &text[..2], &text[2..4])
    }
}

/// The suffix of a thumbnail's name.
const THUMBNAIL: &str = ".thumb.jpg";

/// The file of a name, also of a thumbnail's name.
pub(super) fn hash_of(name: &str) -> Option<MediaHash> {
    name.strip_suffix(THUMBNAIL).unwrap_or(name).parse().ok()
}

/// A stored object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendEntry {
    /// The file, or the file of the thumbnail.
    pub hash: MediaHash,
    /// When it was stored.
    pub at: Millis,
}

/// Stores files under their keys. A file survives a crash once [`Backend::put`] has returned.
#[async_trait]
pub trait Backend: Send + Sync {
    /// Moves or copies a local file into the store. An existing object with the key has the same content.
    async fn put(&self, key: Key<'_>, staged: &Path) -> Result<(), MediaError>;

    /// Reads a range of an object.
    async fn read(&self, key: Key<'_>, range: Range<u64>) -> Result<ByteStream, MediaError>;

    /// Removes an object; a missing one is no error.
    async fn remove(&self, key: Key<'_>) -> Result<(), MediaError>;

    /// The objects in the folder `shard`, 0 to 255.
    async fn list(&self, shard: u8) -> Result<Vec<BackendEntry>, MediaError>;
}
