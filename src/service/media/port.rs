//! The engine port [`MediaStore`] over the media service. Errors keep their source.

use async_trait::async_trait;

use super::MediaService;
use crate::domain::ids::DeviceId;
use crate::domain::media::{MediaHash, StoredMedia};
use crate::engine::{ByteStream, MediaStore, MediaStoreError};
use crate::media::MediaError;
use crate::service::ServiceError;

/// The media store as engines and exports use it.
pub(in crate::service) struct MediaPort {
    media: MediaService,
    /// The device that stores files; `None` if files are only read.
    device: Option<DeviceId>,
}

impl MediaPort {
    pub(in crate::service) fn new(media: &MediaService) -> Self {
        Self { media: media.clone(), device: None }
    }

    pub(in crate::service) fn of(media: &MediaService, device: &DeviceId) -> Self {
        Self { media: media.clone(), device: Some(device.clone()) }
    }
}

#[async_trait]
impl MediaStore for MediaPort {
    async fn save(&self, mut bytes: ByteStream) -> Result<StoredMedia, MediaStoreError> {
        let owner = self.device.as_ref().map_or("", DeviceId::as_str);
        self.media.keep_media(owner, &mut bytes).await.map_err(|error| match error {
            ServiceError::Media(MediaError::TooLarge(limit)) => MediaStoreError::TooLarge(limit),
            ServiceError::Media(MediaError::Incomplete(source)) => MediaStoreError::Incomplete(source),
            ServiceError::Media(MediaError::TooSlow) => {
                MediaStoreError::Incomplete(std::io::ErrorKind::TimedOut.into())
            }
            ServiceError::EmptyFile => MediaStoreError::Incomplete(std::io::ErrorKind::UnexpectedEof.into()),
            error => MediaStoreError::Store(Box::new(error)),
        })
    }

    async fn open(&self, hash: &MediaHash) -> Result<ByteStream, MediaStoreError> {
        self.media.open_media(hash).await.map_err(|error| match error {
            MediaError::Gone => MediaStoreError::Gone,
            error => MediaStoreError::Store(Box::new(error)),
        })
    }

    async fn thumbnail(&self, hash: &MediaHash) -> Option<Vec<u8>> {
        self.media.read_media_thumbnail(hash).await.ok()
    }
}
