//! The files of messages for the device, from the network to the daemon's media store.
//!
//! The media store rejects some files permanently; their messages are delivered without them.

use super::fake_media;
use super::network_message::NetworkAttachment;
use crate::domain::content::{Attachment, Content};
use crate::domain::media::MediaKind;
use crate::engine::{ByteStream, MediaStore, MediaStoreError};

/// Saves a file; without a `kind`, its content decides.
pub(super) async fn save(
    media: &dyn MediaStore,
    bytes: ByteStream,
    kind: Option<MediaKind>,
    filename: Option<String>,
) -> Result<Content, MediaStoreError> {
    match media.save(bytes).await {
        Ok(file) => {
            let kind = kind.unwrap_or_else(|| MediaKind::of_mimetype(&file.mimetype));
            Ok(Content::Media(Attachment { kind, file, filename }))
        }
        Err(error @ MediaStoreError::Store(_)) => Err(error),
        Err(error) => {
            tracing::warn!(%error, "the media store rejected a file; its message has none");
            Ok(without_file(kind))
        }
    }
}

/// Generates a fake file and saves it.
pub(super) async fn save_fake(
    media: &dyn MediaStore,
    file: NetworkAttachment,
) -> Result<Content, MediaStoreError> {
    let NetworkAttachment { kind, filename, mimetype, seed, size } = file;
    save(media, fake_media::stream(&mimetype, seed, size), kind, filename).await
}

/// Saves a stored file again: its reservation ended with the process that accepted the message.
pub(super) async fn save_again(
    media: &dyn MediaStore,
    attachment: Attachment,
) -> Result<Content, MediaStoreError> {
    let Attachment { kind, file, filename } = attachment;
    match media.open(&file.hash).await {
        Ok(bytes) => save(media, bytes, Some(kind), filename).await,
        Err(MediaStoreError::Gone) => Ok(without_file(Some(kind))),
        Err(error) => Err(error),
    }
}

/// The content of a message that has lost its file.
pub(super) fn without_file(kind: Option<MediaKind>) -> Content {
    Content::Other(kind.unwrap_or(MediaKind::Document).message_type())
}
