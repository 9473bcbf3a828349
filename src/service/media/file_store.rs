//! The file store with the locks, permits and reservations that keep it consistent with the database. A row exists
//! only while its file exists.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use futures_util::{StreamExt as _, TryStreamExt as _};
use parking_lot::Mutex;
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard, Semaphore, SemaphorePermit};

use crate::domain::clock::{Clock, Millis};
use crate::domain::ids::DeviceId;
use crate::domain::media::MediaHash;
use crate::domain::minute_window::MinuteWindow;
use crate::domain::operator_chat::ids::UserPk;
use crate::media::{ByteStream, Files};
use crate::service::ServiceError;

/// Maximum concurrent uploads; each has a buffer and an open file.
const UPLOADS: usize = 64;
/// Maximum concurrent uploads of one owner, so that others can upload too.
const UPLOADS_OF_AN_OWNER: usize = 8;
/// Locks that files share by their hash.
const LOCKS: usize = 64;
/// A reservation without a message expires after this time.
const RESERVATION_MS: i64 = 3_600_000;

/// The device or the user of operator chat that an upload counts against.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::service) enum UploadOwner {
    Device(DeviceId),
    User(UserPk),
}

impl UploadOwner {
    /// The name under which pictures are decoded one at a time; a device id has no space.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Device(device) => device.to_string(),
            Self::User(user) => format!("user {user}"),
        }
    }
}

/// The file store of the use cases.
pub(in crate::service) struct MediaFileStore {
    pub(super) files: Files,
    uploads: Semaphore,
    /// The owners with uploads in progress or in the last minute.
    of_owners: Mutex<HashMap<UploadOwner, OwnerUploads>>,
    order: Vec<RwLock<()>>,
    reservations: Mutex<HashMap<MediaHash, Reservation>>,
    next_shard: AtomicU8,
}

/// Uploads of one owner.
#[derive(Debug, Default)]
struct OwnerUploads {
    in_progress: usize,
    /// Bytes of received files that no row of the owner refers to yet.
    unrecorded_bytes: u64,
    window: MinuteWindow,
}

/// The reservation of a file whose message is not stored yet.
#[derive(Debug)]
struct Reservation {
    count: usize,
    until: Millis,
}

/// Permit of one upload; dropping it releases the capacity.
pub(super) struct UploadPermit<'a> {
    store: &'a MediaFileStore,
    owner: UploadOwner,
    unrecorded_bytes: u64,
    _place: SemaphorePermit<'a>,
}

impl Drop for UploadPermit<'_> {
    fn drop(&mut self) {
        let mut of_owners = self.store.of_owners.lock();
        if let Some(uploads) = of_owners.get_mut(&self.owner) {
            uploads.in_progress = uploads.in_progress.saturating_sub(1);
            uploads.unrecorded_bytes = uploads.unrecorded_bytes.saturating_sub(self.unrecorded_bytes);
        }
    }
}

impl UploadPermit<'_> {
    /// Adds the size of a received file; returns the sum of the owner's files without a row.
    pub(super) fn add_unrecorded(&mut self, bytes: u64) -> u64 {
        self.unrecorded_bytes = self.unrecorded_bytes.saturating_add(bytes);
        let mut of_owners = self.store.of_owners.lock();
        let uploads = of_owners.entry(self.owner.clone()).or_default();
        uploads.unrecorded_bytes = uploads.unrecorded_bytes.saturating_add(bytes);
        uploads.unrecorded_bytes
    }
}

impl MediaFileStore {
    pub(in crate::service) fn new(files: Files) -> Self {
        let order = (0..LOCKS).map(|_| RwLock::default()).collect();
        let (of_owners, reservations) = (Mutex::default(), Mutex::default());
        let (uploads, next_shard) = (Semaphore::new(UPLOADS), AtomicU8::default());
        Self { files, uploads, of_owners, order, reservations, next_shard }
    }

    /// Acquires the permit of an upload of this owner, if its clients sent less than `bytes_per_minute`.
    pub(super) fn place(
        &self,
        owner: &UploadOwner,
        bytes_per_minute: Option<u64>,
        now: Millis,
    ) -> Result<UploadPermit<'_>, ServiceError> {
        let mut of_owners = self.of_owners.lock();
        // The table has one entry per active upload, and per owner with bytes in its minute.
        of_owners.retain(|_, uploads| uploads.in_progress > 0 || !uploads.window.has_ended(now));
        let uploads = of_owners.entry(owner.clone()).or_default();
        if uploads.in_progress >= UPLOADS_OF_AN_OWNER {
            return Err(ServiceError::TooManyUploadsOfDevice(UPLOADS_OF_AN_OWNER));
        }
        if let Some(limit) = bytes_per_minute
            && let Some(retry_after_seconds) = uploads.window.wait_seconds(limit, now)
        {
            return Err(ServiceError::UploadRateExceeded { limit, retry_after_seconds });
        }
        let place = self.uploads.try_acquire().map_err(|_| ServiceError::TooManyUploads)?;
        uploads.in_progress += 1;
        Ok(UploadPermit { store: self, owner: owner.clone(), unrecorded_bytes: 0, _place: place })
    }

    /// Counts the bytes of an owner's file as they arrive, so that interrupted uploads count too.
    pub(super) fn count_bytes(
        self: &Arc<Self>,
        owner: &UploadOwner,
        clock: Arc<dyn Clock>,
        bytes: ByteStream,
    ) -> ByteStream {
        let (store, owner) = (self.clone(), owner.clone());
        let count = move |piece: &bytes::Bytes| {
            let mut of_owners = store.of_owners.lock();
            let uploads = of_owners.entry(owner.clone()).or_default();
            uploads.window.add(u64::try_from(piece.len()).unwrap_or(u64::MAX), clock.now());
        };
        bytes.inspect_ok(count).boxed()
    }

    /// The part of the store that the next sweep checks, in rotation.
    pub(super) fn next_shard(&self) -> u8 {
        self.next_shard.fetch_add(1, Ordering::Relaxed)
    }

    /// Held while a file and its row are stored.
    pub(super) async fn adding(&self, hash: &MediaHash) -> RwLockReadGuard<'_, ()> {
        self.lock_of(hash).read().await
    }

    /// Held while a row and its file are removed, because the same content may be uploaded at the same time.
    pub(super) async fn removing(&self, hash: &MediaHash) -> RwLockWriteGuard<'_, ()> {
        self.lock_of(hash).write().await
    }

    /// Many locks, so that a slow backend delays few other files.
    fn lock_of(&self, hash: &MediaHash) -> &RwLock<()> {
        let number = hash.as_str().bytes().take(8).fold(0_usize, |sum, byte| sum * 31 + usize::from(byte));
        &self.order[number % LOCKS]
    }

    /// Protects a file until [`Self::end_reservation`], for at most an hour.
    pub(super) fn reserve(&self, hash: &MediaHash, now: Millis) {
        let mut reservations = self.reservations.lock();
        reservations.retain(|_, reservation| reservation.until > now);
        let reservation = reservations.entry(hash.clone()).or_insert(Reservation { count: 0, until: now });
        reservation.count += 1;
        reservation.until = now.plus(RESERVATION_MS);
    }

    /// Releases a reservation, after its message was stored or refused.
    pub(in crate::service) fn end_reservation(&self, hash: &MediaHash) {
        let mut reservations = self.reservations.lock();
        if let Some(reservation) = reservations.get_mut(hash) {
            reservation.count = reservation.count.saturating_sub(1);
            if reservation.count == 0 {
                reservations.remove(hash);
            }
        }
    }

    pub(super) fn is_promised(&self, hash: &MediaHash, now: Millis) -> bool {
        let reservations = self.reservations.lock();
        reservations.get(hash).is_some_and(|reservation| reservation.until > now)
    }
}
