//! The content-addressed store of files: each content is stored once under its SHA-256.
//!
//! [`staging`] streams a file to a temporary file while it is hashed and counted; [`sniff`] detects its type from its
//! content, [`probe`] reads its headers, [`thumbnail`] makes a thumbnail. [`Backend`] stores it: on the local
//! disk or, in a build with the feature `s3`, in a bucket.
//!
//! Invariants: no file is ever whole in memory; nothing is unpacked, and only pictures are decoded, within limits; no
//! name or type from outside reaches a path or a decision. The caller must not save and remove the same file at once.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use thiserror::Error;

use crate::domain::media::{MediaHash, StoredMedia};

mod backend;
mod decode_limiter;
mod free_space;
mod local_files;
mod office;
mod probe;
#[cfg(feature = "s3")]
pub mod s3;
mod sniff;
mod staging;
#[cfg(test)]
mod tests;
mod thumbnail;

pub use backend::{Backend, BackendEntry, Key};
pub use free_space::{DiskSpace, disk_space};

/// A file's bytes, piece by piece.
pub type ByteStream = BoxStream<'static, io::Result<bytes::Bytes>>;

/// Bytes read from a file at a time.
const PIECE_BYTES: usize = 64 * 1024;
/// Bytes a second, on average, that a file must come with.
const SLOWEST: u32 = 4_096;
/// A thumbnail is some tens of thousands of bytes; this is more than it can be.
const MAX_THUMBNAIL_BYTES: u64 = 1024 * 1024;

/// The type of a raster image, by its content; `None` for all other files.
#[must_use]
pub fn raster_type(bytes: &[u8]) -> Option<&'static str> {
    let head = &bytes[..bytes.len().min(sniff::HEAD_BYTES)];
    let found = sniff::mimetype(head, false);
    matches!(found, "image/jpeg" | "image/png" | "image/webp" | "image/gif").then_some(found)
}

/// Why a file could not be stored or read.
#[derive(Debug, Error)]
pub enum MediaError {
    /// Larger than may be.
    #[error("the file is larger than {0} bytes")]
    TooLarge(u64),
    /// The bytes broke off before the end.
    #[error("the file broke off before its end; send it again")]
    Incomplete(#[source] io::Error),
    /// Slower than may be, on average.
    #[error("the file came too slowly: it takes at least {SLOWEST} bytes a second on average; send it again")]
    TooSlow,
    /// Not there (any more).
    #[error("the file is not in the store any more")]
    Gone,
    /// What keeps the files cannot be reached, or refuses.
    #[error("the media store does not answer as it should; try again in a moment")]
    Unavailable(#[source] io::Error),
    /// The disk failed.
    #[error("the media store failed")]
    Storage(#[from] io::Error),
}

/// The store.
pub struct Files {
    staging: staging::Staging,
    backend: Arc<dyn Backend>,
    turns: decode_limiter::DecodeLimiter,
}

/// A file that has come in and waits to be kept. Dropped, it is removed.
pub struct Staged {
    path: staging::StagedPath,
    thumbnail: Option<Vec<u8>>,
    media: StoredMedia,
}

impl Staged {
    /// What it is.
    #[must_use]
    pub fn media(&self) -> &StoredMedia {
        &self.media
    }
}

impl Files {
    /// A store on the local disk. Blocks: open it before serving.
    ///
    /// # Errors
    /// When the folder cannot be used.
    pub fn local(folder: &Path) -> io::Result<Self> {
        let root = folder.join("files");
        create_private(&root)?;
        Self::with_backend(folder, Arc::new(local_files::LocalFiles::new(root)))
    }

    /// A store on this backend, with `folder` for files that are on their way in. Blocks.
    ///
    /// # Errors
    /// When the folder cannot be used.
    pub fn with_backend(folder: &Path, backend: Arc<dyn Backend>) -> io::Result<Self> {
        let staging = staging::Staging::open(folder.join("staging"))?;
        Ok(Self { staging, backend, turns: decode_limiter::DecodeLimiter::new() })
    }

    /// Stores a file of at most `limit` bytes and detects its type. A picture has no smaller one when too
    /// many are decoded at this moment; `owner` has one decoded at a time.
    ///
    /// # Errors
    /// When it is too large, breaks off, or the disk fails.
    pub async fn receive(
        &self,
        owner: &str,
        bytes: &mut ByteStream,
        limit: u64,
    ) -> Result<Staged, MediaError> {
        let staging::Received { path, hash, mimetype, size } = self.staging.receive(bytes, limit).await?;
        let file = path.as_path().to_owned();
        let read_headers = move || {
            let mimetype = office::refine(&file, mimetype);
            Ok((mimetype, probe::probe(&file, mimetype)))
        };
        let (mimetype, probed) = off_the_async_threads(read_headers).await?;
        let suits = thumbnail::suits(mimetype);
        let thumbnail = if suits { self.thumbnail_of(owner, path.as_path()).await } else { None };
        let media = StoredMedia {
            hash,
            mimetype: mimetype.to_owned(),
            filesize: size,
            duration: probed.duration,
            dimensions: probed.dimensions,
            has_thumbnail: thumbnail.is_some(),
        };
        Ok(Staged { path, thumbnail, media })
    }

    /// Puts a file where it stays; it is durable when this returns.
    ///
    /// # Errors
    /// When the backend fails.
    pub async fn keep(&self, staged: Staged) -> Result<StoredMedia, MediaError> {
        let Staged { path, thumbnail, media } = staged;
        if let Some(jpeg) = thumbnail {
            let beside = self.staging.path();
            let to = beside.as_path().to_owned();
            off_the_async_threads(move || write_durably(&to, &jpeg)).await?;
            self.backend.put(Key::Thumbnail(&media.hash), beside.as_path()).await?;
        }
        self.backend.put(Key::File(&media.hash), path.as_path()).await?;
        Ok(media)
    }

    /// Reads a file, or a part of it.
    ///
    /// # Errors
    /// [`MediaError::Gone`] when it is not there, or the backend fails.
    pub async fn read(&self, hash: &MediaHash, range: Range<u64>) -> Result<ByteStream, MediaError> {
        self.backend.read(Key::File(hash), range).await
    }

    /// The thumbnail of a file, a JPEG.
    ///
    /// # Errors
    /// [`MediaError::Gone`] when there is none, or the backend fails.
    pub async fn read_thumbnail(&self, hash: &MediaHash) -> Result<Vec<u8>, MediaError> {
        let mut pieces = self.backend.read(Key::Thumbnail(hash), 0..MAX_THUMBNAIL_BYTES).await?;
        let mut jpeg = Vec::new();
        while let Some(piece) = pieces.try_next().await? {
            jpeg.extend_from_slice(&piece);
        }
        Ok(jpeg)
    }

    /// Removes a file and what lies beside it.
    ///
    /// # Errors
    /// When the backend fails.
    pub async fn remove(&self, hash: &MediaHash) -> Result<(), MediaError> {
        self.backend.remove(Key::File(hash)).await?;
        self.backend.remove(Key::Thumbnail(hash)).await
    }

    /// A 256th of the stored files, whether the database has them or not; `shard` counts through them.
    ///
    /// # Errors
    /// When the backend fails.
    pub async fn list(&self, shard: u8) -> Result<Vec<BackendEntry>, MediaError> {
        self.backend.list(shard).await
    }

    async fn thumbnail_of(&self, owner: &str, path: &Path) -> Option<Vec<u8>> {
        let turn = self.turns.turn(owner).await?;
        let path = path.to_owned();
        let decode = move || {
            let picture = thumbnail::thumbnail(&path);
            // Not earlier: a caller that waited for it may have gone.
            drop(turn);
            picture
        };
        // A decoder that panics on a file of a contact gives no picture; the panic hook has logged where.
        tokio::task::spawn_blocking(decode).await.ok()?
    }
}

/// All the bytes of a small thing at once.
#[must_use]
pub fn whole(bytes: Vec<u8>) -> ByteStream {
    futures_util::stream::once(async { Ok(bytes.into()) }).boxed()
}

/// Files of messages are private.
fn create_private(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use io::Write as _;
    let mut file = std::fs::File::options().create_new(true).write(true).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

async fn off_the_async_threads<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, MediaError> {
    let done = tokio::task::spawn_blocking(work).await;
    Ok(done.map_err(io::Error::other)??)
}
