//! Stores an uploaded export in an unnamed temporary file, which the system removes with its last handle,
//! also after a crash.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::time::Instant;

use super::{ImportLimits, ServiceError, blocking, refused};
use crate::engine::ByteStream;
use crate::store::StoreError;

/// Bytes that are read to detect the format.
const START: usize = 64;

/// An uploaded export on disk.
#[derive(Clone)]
pub(super) struct TempUpload {
    file: Arc<File>,
    len: u64,
}

/// Writes a request body to disk.
pub(super) async fn store_upload(
    limits: &ImportLimits,
    mut bytes: ByteStream,
) -> Result<TempUpload, ServiceError> {
    let dir = limits.dir.clone();
    let file = blocking(move || tempfile::tempfile_in(dir).map_err(|error| broken(&error))).await?;
    let mut file = tokio::fs::File::from_std(file);
    let (mut len, mut waited) = (0, Duration::ZERO);
    loop {
        let since = Instant::now();
        let allowed = max_wait(limits, len).saturating_sub(waited);
        let piece = tokio::time::timeout(allowed, bytes.next()).await.map_err(|_| too_slow(limits))?;
        // Only waiting for the client counts, not writing to disk.
        waited += since.elapsed();
        let Some(piece) = piece else { break };
        let piece = piece.map_err(|_| refused("the request body ended early"))?;
        len += piece.len() as u64;
        if len > limits.max_bytes {
            return Err(ServiceError::TooLarge(limits.max_bytes));
        }
        file.write_all(&piece).await.map_err(|error| broken(&error))?;
    }
    file.flush().await.map_err(|error| broken(&error))?;
    Ok(TempUpload { file: Arc::new(file.into_std().await), len })
}

/// The total wait for a client that has sent `len` bytes.
fn max_wait(limits: &ImportLimits, len: u64) -> Duration {
    let earned_ms = len.saturating_mul(1_000) / limits.min_bytes_per_second.max(1);
    limits.grace.saturating_add(Duration::from_millis(earned_ms))
}

fn too_slow(limits: &ImportLimits) -> ServiceError {
    let least = limits.min_bytes_per_second;
    refused(format!("the request body arrived too slowly: send at least {least} bytes per second on average"))
}

/// Logs a disk error and returns the error for the client.
fn broken(error: &io::Error) -> ServiceError {
    tracing::warn!(%error, "cannot write an import to disk");
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::DiskFull.into(),
        _ => StoreError::RolledBack.into(),
    }
}

impl TempUpload {
    /// The first bytes of the file.
    pub(super) fn start(&self) -> Result<Vec<u8>, ServiceError> {
        let mut start = Vec::with_capacity(START);
        let read = self.reader().take(START as u64).read_to_end(&mut start);
        read.map_err(|error| broken(&error))?;
        Ok(start)
    }

    /// Creates a reader at the beginning; readers are independent of each other.
    pub(super) fn reader(&self) -> TempUploadReader {
        TempUploadReader { spooled: self.clone(), at: 0, remaining: u64::MAX }
    }
}

/// A reader with its own position.
pub(super) struct TempUploadReader {
    spooled: TempUpload,
    at: u64,
    remaining: u64,
}

impl TempUploadReader {
    /// Limits the number of bytes that can be read, at any position.
    pub(super) fn at_most(self, remaining: u64) -> Self {
        Self { remaining, ..self }
    }
}

impl Read for TempUploadReader {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.spooled.file.read_at(bytes, self.at)?;
        self.at += read as u64;
        self.remaining = self
            .remaining
            .checked_sub(read as u64)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the list of files is too large"))?;
        Ok(read)
    }
}

impl Seek for TempUploadReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.spooled.len.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a negative position"))?;
        Ok(self.at)
    }
}
