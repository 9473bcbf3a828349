//! Fetches a profile picture from the URL that a network returned. Only raster images within the size limit are
//! accepted.

use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use url::Url;

use crate::media::raster_type;
use crate::service::{MediaService, ServiceError};

/// Time limit of a fetch.
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);

/// A picture.
#[derive(Debug, Clone)]
pub struct Picture {
    /// The content type, detected from the bytes.
    pub mimetype: &'static str,
    /// Its bytes.
    pub bytes: Bytes,
}

impl MediaService {
    /// Fetches a picture of at most `limit` bytes.
    ///
    /// # Errors
    /// If the address is refused or does not answer, or the file is too large or no raster image.
    pub(in crate::service) async fn fetch_picture(
        &self,
        address: &str,
        limit: usize,
    ) -> Result<Picture, ServiceError> {
        let url = Url::parse(address).map_err(|_| unavailable("its address is not a URL"))?;
        let fetched = self.http.download(&url, limit as u64, FETCH_TIMEOUT).await;
        let mut pieces = fetched.map_err(|error| unavailable(&error.to_string()))?;
        let mut bytes = Vec::new();
        while let Some(piece) = pieces.try_next().await.map_err(|error| unavailable(&error.to_string()))? {
            bytes.extend_from_slice(&piece);
            if bytes.len() > limit {
                return Err(unavailable(&format!("it is larger than {limit} bytes")));
            }
        }
        let mimetype =
            raster_type(&bytes).ok_or_else(|| unavailable("it is not a JPEG, PNG, WebP or GIF"))?;
        Ok(Picture { mimetype, bytes: bytes.into() })
    }
}

fn unavailable(why: &str) -> ServiceError {
    let message = format!("the picture could not be fetched: {why}");
    ServiceError::Impossible { code: "picture_unavailable", message }
}
