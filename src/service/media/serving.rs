//! Serves the files and thumbnails of messages. Files are read in parts and never held whole in memory.

use std::ops::Range;

use crate::domain::ids::{DeviceId, MessageId};
use crate::domain::media::{Media, MediaHash};
use crate::media::{ByteStream, MediaError};
use crate::service::error::require_device;
use crate::service::media::links::MediaLinks;
use crate::service::{MediaService, ServiceError};
use crate::store::{Reader, StoreError};

impl MediaService {
    /// The file of a message: its description, and its stored file if it was not removed.
    ///
    /// # Errors
    /// If there is no such device or message, it has no file, or the store fails.
    pub async fn message_media(&self, device: &DeviceId, id: &MessageId) -> Result<Media, ServiceError> {
        let (device, id, links) = (device.clone(), id.clone(), self.link_base());
        let read = move |store: &Reader<'_>| {
            require_device(store, &device)?;
            let mut found = store.message(&device, &id)?.ok_or(ServiceError::MessageNotFound)?;
            links.attach_all(store, &device, [&mut found.message])?;
            Ok::<_, ServiceError>(found.message)
        };
        self.store.read(read).await?.media.ok_or(ServiceError::NoMedia)
    }

    /// Reads a part of a file.
    ///
    /// # Errors
    /// If the file was removed, or the store fails.
    pub async fn read_media(&self, hash: &MediaHash, range: Range<u64>) -> Result<ByteStream, ServiceError> {
        Ok(self.files.files.read(hash, range).await?)
    }

    /// The thumbnail of a file, a JPEG.
    ///
    /// # Errors
    /// If there is none, or the store fails.
    pub async fn read_media_thumbnail(&self, hash: &MediaHash) -> Result<Vec<u8>, ServiceError> {
        self.files.files.read_thumbnail(hash).await.map_err(|error| match error {
            MediaError::Gone => ServiceError::NoThumbnail,
            error => error.into(),
        })
    }

    /// Whether the signature of a URL for the file of this message is valid.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn is_media_link(
        &self,
        device: &DeviceId,
        message: &MessageId,
        signature: &str,
    ) -> Result<bool, ServiceError> {
        let (of, message, signature) = (device.clone(), message.clone(), signature.to_owned());
        let links = self.link_base();
        self.store
            .read_of(
                device,
                move |store| Ok(MediaLinks::of(store, &of, &links)?.verify(&message, &signature)),
            )
            .await
    }

    /// Invalidates all signed URLs of a device's files.
    ///
    /// # Errors
    /// If there is no such device, or the store fails.
    pub async fn revoke_media_links(&self, device: &DeviceId) -> Result<(), ServiceError> {
        let (of, secret) = (device.clone(), self.new_media_secret());
        self.store
            .write(move |tx| {
                tx.device(&of)?.ok_or(ServiceError::DeviceNotFound)?;
                Ok::<_, ServiceError>(tx.set_media_secret(&of, &secret)?)
            })
            .await?;
        tracing::info!(%device, "signed URLs invalidated");
        Ok(())
    }

    /// Reads a whole file for an engine.
    pub(in crate::service) async fn open_media(&self, hash: &MediaHash) -> Result<ByteStream, MediaError> {
        let of = hash.clone();
        let known = self.store.read(move |store| store.media(&of)).await;
        let failed = |error: StoreError| MediaError::Storage(std::io::Error::other(error));
        let file = known.map_err(failed)?.ok_or(MediaError::Gone)?;
        self.files.files.read(hash, 0..file.filesize).await
    }
}
