//! The store of files with what keeps it in step with the database.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use futures_util::{StreamExt as _, TryStreamExt as _};
use parking_lot::Mutex;
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard, Semaphore, SemaphorePermit};

use crate::domain::clock::{Clock, Millis};
use crate::domain::ids::DeviceId;
use crate::domain::media::MediaHash;
use crate::domain::upload_rate::UploadWindow;
use crate::media::{ByteStream, Files};
use crate::service::ServiceError;

/// Files that clients send in at once, however they do it: each holds a buffer and a file.
const UPLOADS: usize = 64;
/// The same of one device, so that it leaves room for the others.
const UPLOADS_OF_A_DEVICE: usize = 8;
/// Locks that files share by their hash.
const LOCKS: usize = 64;
/// A reservation without a message expires after this time.
const PROMISE_MS: i64 = 3_600_000;

/// The store of files, as use cases hold it.
pub(in crate::service) struct MediaFileStore {
    pub(super) files: Files,
    uploads: Semaphore,
    /// The devices with uploads in progress or in the last minute.
    of_devices: Mutex<HashMap<DeviceId, DeviceUploads>>,
    order: Vec<RwLock<()>>,
    promised: Mutex<HashMap<MediaHash, Reservation>>,
    next_shard: AtomicU8,
}

/// Uploads of one device.
#[derive(Debug, Default)]
struct DeviceUploads {
    in_progress: usize,
    /// Bytes of received files that no row of the device refers to yet.
    unrecorded_bytes: u64,
    window: UploadWindow,
}

/// Files that a message will refer to in a moment.
#[derive(Debug)]
struct Reservation {
    count: usize,
    until: Millis,
}

/// A file's place among those that come in at once, until this is dropped.
pub(super) struct UploadPermit<'a> {
    shelf: &'a MediaFileStore,
    device: DeviceId,
    unrecorded_bytes: u64,
    _place: SemaphorePermit<'a>,
}

impl Drop for UploadPermit<'_> {
    fn drop(&mut self) {
        let mut of_devices = self.shelf.of_devices.lock();
        if let Some(uploads) = of_devices.get_mut(&self.device) {
            uploads.in_progress = uploads.in_progress.saturating_sub(1);
            uploads.unrecorded_bytes = uploads.unrecorded_bytes.saturating_sub(self.unrecorded_bytes);
        }
    }
}

impl UploadPermit<'_> {
    /// Adds the size of a received file; returns the sum of the device's files without a row.
    pub(super) fn add_unrecorded(&mut self, bytes: u64) -> u64 {
        self.unrecorded_bytes = self.unrecorded_bytes.saturating_add(bytes);
        let mut of_devices = self.shelf.of_devices.lock();
        let uploads = of_devices.entry(self.device.clone()).or_default();
        uploads.unrecorded_bytes = uploads.unrecorded_bytes.saturating_add(bytes);
        uploads.unrecorded_bytes
    }
}

impl MediaFileStore {
    pub(in crate::service) fn new(files: Files) -> Self {
        let order = (0..LOCKS).map(|_| RwLock::default()).collect();
        let (of_devices, promised) = (Mutex::default(), Mutex::default());
        let (uploads, next_shard) = (Semaphore::new(UPLOADS), AtomicU8::default());
        Self { files, uploads, of_devices, order, promised, next_shard }
    }

    /// Room for one more file of this device that a client sends in, if its clients sent less than
    /// `bytes_per_minute`.
    pub(super) fn place(
        &self,
        device: &DeviceId,
        bytes_per_minute: Option<u64>,
        now: Millis,
    ) -> Result<UploadPermit<'_>, ServiceError> {
        let mut of_devices = self.of_devices.lock();
        // The table has one entry per active upload, and per device with bytes in its minute.
        of_devices.retain(|_, uploads| uploads.in_progress > 0 || !uploads.window.has_ended(now));
        let uploads = of_devices.entry(device.clone()).or_default();
        if uploads.in_progress >= UPLOADS_OF_A_DEVICE {
            return Err(ServiceError::TooManyUploadsOfDevice(UPLOADS_OF_A_DEVICE));
        }
        if let Some(limit) = bytes_per_minute
            && let Some(retry_after_seconds) = uploads.window.wait_seconds(limit, now)
        {
            return Err(ServiceError::UploadRateExceeded { limit, retry_after_seconds });
        }
        let place = self.uploads.try_acquire().map_err(|_| ServiceError::TooManyUploads)?;
        uploads.in_progress += 1;
        Ok(UploadPermit { shelf: self, device: device.clone(), unrecorded_bytes: 0, _place: place })
    }

    /// Counts the bytes of a device's file as they arrive, so that interrupted uploads count too.
    pub(super) fn count_bytes(
        self: &Arc<Self>,
        device: &DeviceId,
        clock: Arc<dyn Clock>,
        bytes: ByteStream,
    ) -> ByteStream {
        let (shelf, device) = (self.clone(), device.clone());
        let count = move |piece: &bytes::Bytes| {
            let mut of_devices = shelf.of_devices.lock();
            let uploads = of_devices.entry(device.clone()).or_default();
            uploads.window.add(u64::try_from(piece.len()).unwrap_or(u64::MAX), clock.now());
        };
        bytes.inspect_ok(count).boxed()
    }

    /// The part of the store that the next sweep checks; the parts take turns.
    pub(super) fn next_shard(&self) -> u8 {
        self.next_shard.fetch_add(1, Ordering::Relaxed)
    }

    /// Held while a file and its row come.
    pub(super) async fn adding(&self, hash: &MediaHash) -> RwLockReadGuard<'_, ()> {
        self.lock_of(hash).read().await
    }

    /// Held while a row and its file go: the same content may be on its way in.
    pub(super) async fn removing(&self, hash: &MediaHash) -> RwLockWriteGuard<'_, ()> {
        self.lock_of(hash).write().await
    }

    /// A slow backend holds up few others.
    fn lock_of(&self, hash: &MediaHash) -> &RwLock<()> {
        let number = hash.as_str().bytes().take(8).fold(0_usize, |sum, byte| sum * 31 + usize::from(byte));
        &self.order[number % LOCKS]
    }

    /// This file stays until [`Self::end_reservation`], or for an hour.
    pub(super) fn reserve(&self, hash: &MediaHash, now: Millis) {
        let mut promised = self.promised.lock();
        promised.retain(|_, promise| promise.until > now);
        let promise = promised.entry(hash.clone()).or_insert(Reservation { count: 0, until: now });
        promise.count += 1;
        promise.until = now.plus(PROMISE_MS);
    }

    /// What the file was promised for is stored, or will not be.
    pub(in crate::service) fn end_reservation(&self, hash: &MediaHash) {
        let mut promised = self.promised.lock();
        if let Some(promise) = promised.get_mut(hash) {
            promise.count = promise.count.saturating_sub(1);
            if promise.count == 0 {
                promised.remove(hash);
            }
        }
    }

    pub(super) fn is_promised(&self, hash: &MediaHash, now: Millis) -> bool {
        let promised = self.promised.lock();
        promised.get(hash).is_some_and(|promise| promise.until > now)
    }
}
