//! Resolves the file of a message to be sent: an upload, a URL, or bytes of the request. The file is reserved until
//! its message is stored.

use std::time::Duration;

use url::Url;

use super::{MediaSource, SendAs, SendMedia};
use crate::domain::content::Attachment;
use crate::domain::file_name::safe_filename;
use crate::domain::ids::DeviceId;
use crate::domain::media::{MediaHash, MediaKind, StoredMedia};
use crate::media::{MediaError, whole};
use crate::net::NetError;
use crate::service::{MediaService, ServiceError};

impl MediaService {
    /// Stores the file of a message and reserves it until [`MediaService::release_reservation`].
    pub(in crate::service) async fn resolve_media(
        &self,
        device: &DeviceId,
        media: &SendMedia,
    ) -> Result<Attachment, ServiceError> {
        let (file, own_name) = match &media.source {
            MediaSource::Uploaded(id) => self.uploaded(device, id).await?,
            MediaSource::Url(url) => self.fetched(device, url).await?,
            MediaSource::Inline(bytes) => {
                let mut permit = self.upload_permit(device).await?;
                (self.keep_client_media(device, whole(bytes.clone()), &mut permit).await?, None)
            }
        };
        match kind(media.as_what, &file.mimetype) {
            Ok(kind) => {
                let filename = media.filename.as_deref().and_then(safe_filename).or(own_name);
                Ok(Attachment { kind, file, filename })
            }
            Err(error) => {
                self.release_reservation(&file.hash);
                Err(error)
            }
        }
    }

    /// Releases the reservation of a file, after its message was stored or refused.
    pub(in crate::service) fn release_reservation(&self, hash: &MediaHash) {
        self.files.end_reservation(hash);
    }

    async fn uploaded(
        &self,
        device: &DeviceId,
        id: &str,
    ) -> Result<(StoredMedia, Option<String>), ServiceError> {
        let upload = self.promised_upload(device, id).await?.ok_or(ServiceError::UploadNotFound)?;
        Ok((upload.file, upload.filename))
    }

    async fn fetched(
        &self,
        device: &DeviceId,
        url: &str,
    ) -> Result<(StoredMedia, Option<String>), ServiceError> {
        let url = Url::parse(url)
            .map_err(|error| ServiceError::invalid("media.url", format!("is not a URL: {error}")))?;
        let mut permit = self.upload_permit(device).await?;
        let limits = &self.limits.media;
        let patience = Duration::from_millis(limits.fetch_timeout_ms);
        let bytes = self.http.download(&url, limits.max_bytes, patience).await.map_err(not_fetched)?;
        let kept = self.keep_client_media(device, bytes, &mut permit).await;
        let file = kept.map_err(|error| match error {
            ServiceError::Media(MediaError::Incomplete(_)) => unreachable("it broke off before its end"),
            ServiceError::Media(error @ MediaError::TooSlow) => unreachable(&error.to_string()),
            other => other,
        })?;
        Ok((file, name_in(&url)))
    }
}

/// The kind of media of a file, or an error if the requested kind does not fit its type.
fn kind(as_what: SendAs, mimetype: &str) -> Result<MediaKind, ServiceError> {
    let refused = |code, needed: &str| {
        Err(ServiceError::Impossible {
            code,
            message: format!("{needed}; by its content this file is {mimetype}"),
        })
    };
    match as_what {
        SendAs::Content => Ok(MediaKind::of_mimetype(mimetype)),
        SendAs::Document => Ok(MediaKind::Document),
        SendAs::Voice if mimetype.starts_with("audio/") => Ok(MediaKind::Ptt),
        SendAs::Voice => refused("not_audio", "a voice note must be a sound file"),
        SendAs::Sticker if mimetype == "image/webp" => Ok(MediaKind::Sticker),
        SendAs::Sticker => refused("not_webp", "a sticker must be a WebP picture"),
    }
}

fn not_fetched(error: NetError) -> ServiceError {
    match error {
        NetError::TooLarge(limit) => ServiceError::Media(MediaError::TooLarge(limit as u64)),
        NetError::Url => ServiceError::invalid("media.url", error.to_string()),
        error => {
            tracing::info!(error = &error as &dyn std::error::Error, "file to be sent not fetched");
            unreachable(&error.to_string())
        }
    }
}

fn unreachable(why: &str) -> ServiceError {
    let message = format!("the file at media.url could not be fetched: {why}");
    ServiceError::Impossible { code: "media_unreachable", message }
}

/// The last segment of a URL's path, decoded.
fn name_in(url: &Url) -> Option<String> {
    let last = url.path_segments()?.next_back()?;
    let escaped = last.replace('+', "%2B").replace('&', "%26");
    let (name, _) = url::form_urlencoded::parse(escaped.as_bytes()).next()?;
    safe_filename(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outgoing_media_kind_follows_content() {
        assert_eq!(kind(SendAs::Voice, "audio/ogg").unwrap(), MediaKind::Ptt);
        assert_eq!(kind(SendAs::Sticker, "image/webp").unwrap(), MediaKind::Sticker);
        assert_eq!(kind(SendAs::Content, "image/webp").unwrap(), MediaKind::Image);
        assert_eq!(kind(SendAs::Document, "image/png").unwrap(), MediaKind::Document);
        assert_eq!(kind(SendAs::Voice, "video/mp4").unwrap_err().code(), "not_audio");
        assert_eq!(kind(SendAs::Sticker, "image/png").unwrap_err().code(), "not_webp");
    }

    #[test]
    fn file_name_is_taken_from_url() {
        let name = |url: &str| name_in(&url.parse().unwrap());
        assert_eq!(name("https://a.example/b/price%20list.pdf?x=1").unwrap(), "price list.pdf");
        assert_eq!(name("https://a.example/1+1&2.txt").unwrap(), "1+1&2.txt");
        assert_eq!(name("https://a.example/x%2F..%2Fpasswd").unwrap(), "x.passwd");
        assert_eq!(name("https://a.example/"), None);
    }
}
