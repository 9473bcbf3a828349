//! Files: taking them in, giving them out, and letting go of those that nothing refers to.

use super::{Core, ServiceError};
use crate::domain::content::Attachment;
use crate::domain::ids::DeviceId;
use crate::domain::media::MediaHash;

/// A file to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendMedia {
    /// Where it comes from.
    pub source: MediaSource,
    /// What the recipient sees it called.
    pub filename: Option<String>,
    /// As what it is sent.
    pub as_what: SendAs,
}

/// Where a file to be sent comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaSource {
    /// It was uploaded before; this is its `mediaId`.
    Uploaded(String),
    /// It is fetched from there, when the message is accepted.
    Url(String),
    /// These are its bytes.
    Inline(Vec<u8>),
}

/// As what a file is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SendAs {
    /// As its content suggests.
    #[default]
    Content,
    /// A voice note; for sound only.
    Voice,
    /// A sticker; for WebP pictures only.
    Sticker,
    /// A document, whatever it is.
    Document,
}

impl Core {
    /// Makes sure that a file to be sent is in the store.
    pub(super) async fn resolve_media(
        &self,
        _device: &DeviceId,
        _media: &SendMedia,
    ) -> Result<Attachment, ServiceError> {
        Err(ServiceError::NotBuilt("media support"))
    }

    /// A message does not refer to this file any more: when nothing else does, it goes.
    pub(super) fn media_released(&self, _hash: MediaHash) {}
}
