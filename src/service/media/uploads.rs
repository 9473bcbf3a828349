//! Stores files that clients upload or a network delivers. A file is durable before its row.

use futures_util::StreamExt as _;

use crate::domain::clock::Millis;
use crate::domain::file_name::safe_filename;
use crate::domain::ids::DeviceId;
use crate::domain::media::{MediaHash, StoredMedia};
use crate::media::{ByteStream, Staged, disk_space};
use crate::service::media::file_store::{UploadOwner, UploadPermit};
use crate::service::{MediaService, ServiceError};
use crate::store::media::Upload;
use crate::store::{Reader, Tx};

/// Random bytes of a `mediaId`, so that it cannot be guessed.
const ID_BYTES: usize = 16;

/// A file that a client uploaded.
#[derive(Debug, Clone, PartialEq)]
pub struct Uploaded {
    /// The `mediaId`, valid for its device until the upload was not sent for a day.
    pub id: String,
    /// The stored file.
    pub file: StoredMedia,
    /// The file name.
    pub filename: Option<String>,
}

impl MediaService {
    /// Maximum bytes of a file.
    #[must_use]
    pub fn max_media_bytes(&self) -> u64 {
        self.limits.media.max_bytes
    }

    /// Stores a file that this device may send. It is durable when this returns.
    ///
    /// # Errors
    /// If there is no such device, the file is empty, too large or incomplete, or it cannot be stored.
    pub async fn upload_media(
        &self,
        device: &DeviceId,
        filename: Option<&str>,
        bytes: &mut ByteStream,
    ) -> Result<Uploaded, ServiceError> {
        let of = device.clone();
        self.store
            .read(move |store| store.device(&of)?.ok_or(ServiceError::DeviceNotFound).map(drop))
            .await?;
        let mut permit = self.upload_permit(device).await?;
        let bytes = std::mem::replace(bytes, futures_util::stream::empty().boxed());
        let staged = self.staged_of_client(device, bytes, &mut permit).await?;
        let (id, filename) = (self.new_media_id(), filename.and_then(safe_filename));
        let (of, named) = (device.clone(), (id.clone(), filename.clone()));
        let file = self
            .persist(staged, move |tx, file, now| {
                tx.device(&of)?.ok_or(ServiceError::DeviceNotFound)?;
                Ok(tx.put_upload(&of, &named.0, &file.hash, named.1.as_deref(), now)?)
            })
            .await?;
        Ok(Uploaded { id, file, filename })
    }

    /// Permits an upload of a device, as [`Self::upload_permit_of`].
    pub(super) async fn upload_permit(&self, device: &DeviceId) -> Result<UploadPermit<'_>, ServiceError> {
        self.upload_permit_of(&UploadOwner::Device(device.clone())).await
    }

    /// Permits an upload if the disk and the quota of the owner have space, and the owner has neither too many
    /// uploads nor too many bytes in the last minute.
    pub(super) async fn upload_permit_of(
        &self,
        owner: &UploadOwner,
    ) -> Result<UploadPermit<'_>, ServiceError> {
        self.require_free_space().await?;
        let limits = &self.limits.media;
        let rate = (limits.max_upload_bytes_per_minute > 0).then_some(limits.max_upload_bytes_per_minute);
        let permit = self.files.place(owner, rate, self.clock.now())?;
        // Refused before the file is read; an upload of no bytes fails anyway.
        self.require_quota(owner, None, 1).await?;
        Ok(permit)
    }

    /// Refuses a file of `bytes` that the quota of the owner has no room for.
    pub(super) async fn require_quota(
        &self,
        owner: &UploadOwner,
        hash: Option<&MediaHash>,
        bytes: u64,
    ) -> Result<(), ServiceError> {
        let quota = self.limits.media.max_bytes_per_device;
        if quota == 0 {
            return Ok(());
        }
        let (owner, hash) = (owner.clone(), hash.cloned());
        let read = move |store: &Reader<'_>| -> Result<u64, ServiceError> {
            Ok(match owner {
                UploadOwner::Device(device) => store.media_bytes_of_device(&device, hash.as_ref())?,
                UploadOwner::User(user) => store.chat_file_bytes_of(user, hash.as_ref())?,
            })
        };
        let stored = self.store.read(read).await;
        if stored?.saturating_add(bytes) > quota {
            return Err(ServiceError::MediaQuotaExceeded(quota));
        }
        Ok(())
    }

    /// Refuses uploads while the disk has little space, so that messages can still be stored.
    pub(in crate::service) async fn require_free_space(&self) -> Result<(), ServiceError> {
        let limits = &self.limits.media;
        let disk = disk_space(self.limits.import.dir.clone()).await?;
        if !disk.is_below(limits.min_free_bytes, limits.min_free_percent) {
            return Ok(());
        }
        Err(ServiceError::NotReady {
            code: "disk_full",
            message: "the disk has too little free space for files (media.min_free_bytes, media.min_free_percent); \
                      messages without new files are still accepted"
                .to_owned(),
        })
    }

    /// Stores and reserves a file for a message that is not stored yet.
    pub(in crate::service) async fn keep_media(
        &self,
        owner: &str,
        bytes: &mut ByteStream,
    ) -> Result<StoredMedia, ServiceError> {
        let staged = self.staged(owner, bytes).await?;
        self.keep_staged(staged).await
    }

    /// The same for a file of a client, which counts against the limits of the device.
    pub(super) async fn keep_client_media(
        &self,
        device: &DeviceId,
        bytes: ByteStream,
        permit: &mut UploadPermit<'_>,
    ) -> Result<StoredMedia, ServiceError> {
        let staged = self.staged_of_client(device, bytes, permit).await?;
        self.keep_staged(staged).await
    }

    async fn staged_of_client(
        &self,
        device: &DeviceId,
        bytes: ByteStream,
        permit: &mut UploadPermit<'_>,
    ) -> Result<Staged, ServiceError> {
        let limit = self.limits.media.max_bytes;
        self.staged_of_owner(&UploadOwner::Device(device.clone()), bytes, limit, permit).await
    }

    /// Receives a file that counts against the limits of its owner.
    pub(super) async fn staged_of_owner(
        &self,
        owner: &UploadOwner,
        bytes: ByteStream,
        limit: u64,
        permit: &mut UploadPermit<'_>,
    ) -> Result<Staged, ServiceError> {
        let mut bytes = self.files.count_bytes(owner, self.clock.clone(), bytes);
        let staged = self.staged_within(&owner.name(), &mut bytes, limit).await?;
        let unrecorded = permit.add_unrecorded(staged.media().filesize);
        self.require_quota(owner, Some(&staged.media().hash), unrecorded).await?;
        Ok(staged)
    }

    pub(super) async fn keep_staged(&self, staged: Staged) -> Result<StoredMedia, ServiceError> {
        let hash = staged.media().hash.clone();
        self.files.reserve(&hash, self.clock.now());
        let kept = self.persist(staged, |_, _, _| Ok(())).await;
        if kept.is_err() {
            self.files.end_reservation(&hash);
        }
        kept
    }

    async fn staged(&self, owner: &str, bytes: &mut ByteStream) -> Result<Staged, ServiceError> {
        self.staged_within(owner, bytes, self.limits.media.max_bytes).await
    }

    async fn staged_within(
        &self,
        owner: &str,
        bytes: &mut ByteStream,
        limit: u64,
    ) -> Result<Staged, ServiceError> {
        let staged = self.files.files.receive(owner, bytes, limit).await?;
        if staged.media().filesize == 0 {
            return Err(ServiceError::EmptyFile);
        }
        Ok(staged)
    }

    /// Stores a file and its row, with the writes of `also` in the same transaction. If the transaction is refused,
    /// the file is removed, unless another message or upload refers to it.
    async fn persist(
        &self,
        staged: Staged,
        also: impl Fn(&Tx<'_>, &StoredMedia, Millis) -> Result<(), ServiceError> + Send + 'static,
    ) -> Result<StoredMedia, ServiceError> {
        let hash = staged.media().hash.clone();
        let shelved = self.kept_with_row(staged, also).await;
        if shelved.is_err()
            && let Err(error) = self.remove_if_stray(&hash).await
        {
            tracing::warn!(%error, "unreferenced file not removed; the next sweep retries");
        }
        shelved
    }

    async fn kept_with_row(
        &self,
        staged: Staged,
        also: impl Fn(&Tx<'_>, &StoredMedia, Millis) -> Result<(), ServiceError> + Send + 'static,
    ) -> Result<StoredMedia, ServiceError> {
        let _order = self.files.adding(&staged.media().hash).await;
        let file = self.files.files.keep(staged).await?;
        let (row, now) = (file.clone(), self.clock.now());
        let write = move |tx: &Tx<'_>| {
            tx.put_media(&row, now)?;
            also(tx, &row, now)
        };
        // A patient write: a long upload is not lost because the store is busy for a moment.
        self.store.write_patiently(write).await?;
        Ok(file)
    }

    fn new_media_id(&self) -> String {
        use base64::Engine as _;
        let mut bytes = [0; ID_BYTES];
        self.random.fill(&mut bytes);
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
    }

    /// An upload of this device, with a reservation of its file.
    pub(super) async fn promised_upload(
        &self,
        device: &DeviceId,
        id: &str,
    ) -> Result<Option<Upload>, ServiceError> {
        let Some(found) = self.find_upload(device, id).await? else { return Ok(None) };
        let hash = &found.file.hash;
        let _order = self.files.adding(hash).await;
        // The file may have been removed before it was reserved.
        let still = self.find_upload(device, id).await?;
        if still.is_some() {
            self.files.reserve(hash, self.clock.now());
        }
        Ok(still)
    }

    async fn find_upload(&self, device: &DeviceId, id: &str) -> Result<Option<Upload>, ServiceError> {
        let (device, id) = (device.clone(), id.to_owned());
        self.store.read(move |store| Ok(store.upload(&device, &id)?)).await
    }
}
