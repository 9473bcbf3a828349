//! Streams an incoming file to a temporary file, and hashes, counts and types it meanwhile. A temporary file is
//! removed when it is dropped and at the next start.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::sniff::{HEAD_BYTES, TextCheck, mimetype};
use super::{ByteStream, MediaError, SLOWEST, off_the_async_threads};
use crate::domain::media::MediaHash;

/// Bytes that are collected before they are hashed and written.
const BATCH_BYTES: usize = 256 * 1024;
/// Time without a byte after which an upload is aborted.
const PATIENCE: Duration = Duration::from_secs(60);
/// The minimum rate is enforced after this time.
const START: Duration = Duration::from_secs(30);

/// The folder of temporary files; it is emptied when it is opened.
pub(super) struct Staging {
    folder: PathBuf,
    next: AtomicU64,
}

impl Staging {
    /// Opens the temporary file. It blocks.
    pub(super) fn open(folder: PathBuf) -> io::Result<Self> {
        super::create_private(&folder)?;
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_file() {
                std::fs::remove_file(path)?;
            }
        }
        Ok(Self { folder, next: AtomicU64::new(0) })
    }

    /// An unused name.
    pub(super) fn path(&self) -> StagedPath {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        StagedPath(self.folder.join(format!("{number}.part")))
    }

    /// Writes a stream of at most `limit` bytes that has the minimum rate.
    pub(super) async fn receive(&self, bytes: &mut ByteStream, limit: u64) -> Result<Received, MediaError> {
        let path = self.path();
        let file = path.0.clone();
        let mut sink = off_the_async_threads(move || StagingWriter::create(&file)).await?;
        let (mut batch, mut waiting, mut size) = (Vec::new(), 0, 0_u64);
        let mut pace = Pace::begin();
        while let Some(piece) = pace.next(bytes, size).await? {
            size = size.saturating_add(piece.len() as u64);
            if size > limit {
                return Err(MediaError::TooLarge(limit));
            }
            waiting += piece.len();
            batch.push(piece);
            if waiting >= BATCH_BYTES {
                sink = sink.write(std::mem::take(&mut batch)).await?;
                waiting = 0;
            }
        }
        let sink = sink.write(batch).await?;
        sink.finish(path, size).await
    }
}

/// Measures the rate of a sender. Only the time of waiting for it counts.
struct Pace {
    waited: Duration,
}

impl Pace {
    fn begin() -> Self {
        Self { waited: Duration::ZERO }
    }

    /// The next piece of a file after `size` bytes; `None` at its end.
    async fn next(&mut self, bytes: &mut ByteStream, size: u64) -> Result<Option<Bytes>, MediaError> {
        let since = Instant::now();
        let allowed = START.max(Duration::from_secs(size / u64::from(SLOWEST))).saturating_sub(self.waited);
        let next = tokio::time::timeout(allowed.min(PATIENCE), bytes.next()).await;
        self.waited += since.elapsed();
        match next {
            Ok(piece) => piece.transpose().map_err(MediaError::Incomplete),
            Err(_) if allowed <= PATIENCE => Err(MediaError::TooSlow),
            Err(_) => Err(MediaError::Incomplete(io::ErrorKind::TimedOut.into())),
        }
    }
}

/// A temporary file, removed when this is dropped.
pub(super) struct StagedPath(PathBuf);

impl StagedPath {
    pub(super) fn as_path(&self) -> &Path {
        &self.0
    }
}

impl Drop for StagedPath {
    fn drop(&mut self) {
        let path = std::mem::take(&mut self.0);
        // The file does not exist any more after it was stored. A file that cannot be removed goes at the next start.
        let remove = move || drop(std::fs::remove_file(path));
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(remove)),
            Err(_) => remove(),
        }
    }
}

/// A completely received file on the disk.
pub(super) struct Received {
    pub(super) path: StagedPath,
    pub(super) hash: MediaHash,
    pub(super) mimetype: &'static str,
    pub(super) size: u64,
}

/// The temporary file, and the properties of the bytes so far.
struct StagingWriter {
    file: File,
    hash: Sha256,
    text: TextCheck,
    head: Vec<u8>,
}

impl StagingWriter {
    fn create(path: &Path) -> io::Result<Self> {
        let file = File::options().create_new(true).write(true).open(path)?;
        Ok(Self { file, hash: Sha256::new(), text: TextCheck::default(), head: Vec::new() })
    }

    async fn write(mut self, batch: Vec<Bytes>) -> Result<Self, MediaError> {
        off_the_async_threads(move || {
            for piece in batch {
                self.hash.update(&piece);
                self.text.update(&piece);
                let missing = HEAD_BYTES - self.head.len();
                self.head.extend_from_slice(&piece[..piece.len().min(missing)]);
                self.file.write_all(&piece)?;
            }
            Ok(self)
        })
        .await
    }

    async fn finish(self, path: StagedPath, size: u64) -> Result<Received, MediaError> {
        off_the_async_threads(move || {
            self.file.sync_all()?;
            let hash = MediaHash::of_digest(&self.hash.finalize().into());
            Ok(Received { path, hash, mimetype: mimetype(&self.head, self.text.is_text()), size })
        })
        .await
    }
}
