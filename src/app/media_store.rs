//! The store of files, as the settings say.

use super::StartError;
use crate::media::Files;
use crate::settings::Settings;

/// Blocks: call it before serving.
pub(super) fn open(settings: &Settings) -> Result<Files, StartError> {
    let path = settings.store.data_dir.join("media");
    Files::local(&path).map_err(|source| StartError::Media { path, source })
}
