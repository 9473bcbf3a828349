//! The store of files, as the settings say.

use std::path::Path;

use super::StartError;
use crate::media::Files;
use crate::settings::{MediaBackend, MediaSettings, Settings};

/// Blocks: call it before serving.
pub(super) fn open(settings: &Settings) -> Result<Files, StartError> {
    let path = settings.store.data_dir.join("media");
    let opened = match settings.media.backend {
        MediaBackend::Files => Files::local(&path),
        MediaBackend::S3 => in_bucket(&path, &settings.media)?,
    };
    opened.map_err(|source| StartError::Media { path, source })
}

#[cfg(feature = "s3")]
fn in_bucket(path: &Path, media: &MediaSettings) -> Result<std::io::Result<Files>, StartError> {
    use crate::media::s3::{Bucket, S3};
    if media.s3_access_key_id.is_empty() || media.s3_secret_access_key.is_empty() {
        let needed = "media.backend \"s3\" needs media.s3_access_key_id and media.s3_secret_access_key";
        return Err(StartError::Setting(needed.to_owned()));
    }
    let bucket = Bucket {
        name: media.s3_bucket.clone(),
        endpoint: media.s3_endpoint.clone(),
        region: media.s3_region.clone(),
        access_key_id: media.s3_access_key_id.clone(),
        secret_access_key: media.s3_secret_access_key.expose().to_owned(),
    };
    Ok(S3::new(&bucket).and_then(|bucket| Files::with_backend(path, std::sync::Arc::new(bucket))))
}

#[cfg(not(feature = "s3"))]
fn in_bucket(_: &Path, _: &MediaSettings) -> Result<std::io::Result<Files>, StartError> {
    let missing =
        "media.backend is \"s3\", and this program was built without it; build it with --features s3";
    Err(StartError::Setting(missing.to_owned()))
}
