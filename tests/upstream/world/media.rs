//! The files of an upstream's account, in memory.

use std::collections::HashMap;
use std::sync::Mutex;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use sha2::{Digest as _, Sha256};
use wharf::domain::media::{MediaHash, StoredMedia};
use wharf::engine::{ByteStream, MediaStore, MediaStoreError};

/// Bytes of one piece.
const PIECE: usize = 64 << 10;

/// Files by their hash.
#[derive(Default)]
pub struct MemoryMedia(Mutex<HashMap<MediaHash, Bytes>>);

impl MemoryMedia {
    /// Stores a file; its type is detected from its content.
    pub fn keep(&self, bytes: Bytes) -> StoredMedia {
        let hash = MediaHash::of_digest(&Sha256::digest(&bytes).into());
        let stored = StoredMedia {
            hash: hash.clone(),
            mimetype: mimetype(&bytes),
            filesize: bytes.len() as u64,
            duration: None,
            dimensions: None,
            has_thumbnail: false,
        };
        self.0.lock().unwrap().insert(hash, bytes);
        stored
    }

    /// The bytes of a file.
    pub fn bytes(&self, hash: &MediaHash) -> Option<Bytes> {
        self.0.lock().unwrap().get(hash).cloned()
    }
}

fn mimetype(bytes: &[u8]) -> String {
    let detected = infer::get(bytes).map(|kind| match kind.mime_type() {
        "audio/opus" => "audio/ogg".to_owned(),
        other => other.to_owned(),
    });
    let plain = std::str::from_utf8(bytes).is_ok();
    detected.unwrap_or_else(|| if plain { "text/plain" } else { "application/octet-stream" }.to_owned())
}

#[async_trait]
impl MediaStore for MemoryMedia {
    async fn save(&self, bytes: ByteStream) -> Result<StoredMedia, MediaStoreError> {
        let pieces: Vec<Bytes> = bytes.try_collect().await.map_err(MediaStoreError::Incomplete)?;
        Ok(self.keep(pieces.concat().into()))
    }

    async fn open(&self, hash: &MediaHash) -> Result<ByteStream, MediaStoreError> {
        let bytes = self.bytes(hash).ok_or(MediaStoreError::Gone)?;
        let pieces: Vec<_> = bytes.chunks(PIECE).map(|piece| Ok(bytes.slice_ref(piece))).collect();
        Ok(stream::iter(pieces).boxed())
    }
}
