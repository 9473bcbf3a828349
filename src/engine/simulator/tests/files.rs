//! A media store in memory with failures on request.

use std::collections::HashMap;
use std::io;
use std::sync::Mutex;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use sha2::{Digest as _, Sha256};

use crate::domain::media::{MediaHash, StoredMedia};
use crate::engine::{ByteStream, MediaStore, MediaStoreError};

/// The failure of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Failing {
    #[default]
    Not,
    /// Reading breaks off after the first byte.
    Torn,
    /// Reading returns other bytes.
    Damaged,
    /// Every call fails.
    Broken,
    /// Every file is too large.
    Full,
}

#[derive(Default)]
pub(super) struct MemoryFiles {
    kept: Mutex<HashMap<MediaHash, Bytes>>,
    failing: Mutex<Failing>,
}

impl MemoryFiles {
    pub(super) fn fail(&self, how: Failing) {
        *self.failing.lock().unwrap() = how;
    }

    pub(super) fn put(&self, bytes: Vec<u8>) -> StoredMedia {
        let file = described(&bytes);
        self.kept.lock().unwrap().insert(file.hash.clone(), bytes.into());
        file
    }

    pub(super) fn get(&self, hash: &MediaHash) -> Option<Bytes> {
        self.kept.lock().unwrap().get(hash).cloned()
    }

    fn failing(&self) -> Failing {
        *self.failing.lock().unwrap()
    }
}

/// The description of a file by its content.
fn described(bytes: &[u8]) -> StoredMedia {
    let mimetype = match bytes {
        [0x89, b'P', b'N', b'G', ..] => "image/png",
        [0xff, 0xd8, 0xff, ..] => "image/jpeg",
        [b'O', b'g', b'g', b'S', ..] => "audio/ogg",
        _ => "application/octet-stream",
    };
    StoredMedia {
        hash: MediaHash::of_digest(&Sha256::digest(bytes).into()),
        mimetype: mimetype.to_owned(),
        filesize: bytes.len() as u64,
        duration: None,
        dimensions: None,
        has_thumbnail: false,
    }
}

fn store_error() -> MediaStoreError {
    MediaStoreError::Store("the disk is full".into())
}

#[async_trait]
impl MediaStore for MemoryFiles {
    async fn save(&self, mut bytes: ByteStream) -> Result<StoredMedia, MediaStoreError> {
        match self.failing() {
            Failing::Broken => return Err(store_error()),
            Failing::Full => return Err(MediaStoreError::TooLarge(1)),
            _ => {}
        }
        let mut all = Vec::new();
        while let Some(piece) = bytes.next().await {
            all.extend_from_slice(&piece.map_err(MediaStoreError::Incomplete)?);
        }
        Ok(self.put(all))
    }

    async fn open(&self, hash: &MediaHash) -> Result<ByteStream, MediaStoreError> {
        let failing = self.failing();
        if failing == Failing::Broken {
            return Err(store_error());
        }
        let bytes = self.get(hash).ok_or(MediaStoreError::Gone)?;
        let (first, rest) = (bytes.slice(..1), bytes.slice(1..));
        let rest = match failing {
            Failing::Torn => Err(io::Error::other("the disk has a hole")),
            Failing::Damaged => Ok(Bytes::from_static(b"something else")),
            _ => Ok(rest),
        };
        Ok(stream::iter([Ok(first), rest]).boxed())
    }
}
