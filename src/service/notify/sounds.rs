//! Sounds for dashboards: the built-in ones and those of the user's directory. Only valid sound names are
//! resolved to files.

use sha2::{Digest as _, Sha256};

use crate::effects::sounds::{NAMES, library};
use crate::service::{Notifications, ServiceError};

/// A sound's file.
#[derive(Debug, Clone)]
pub struct SoundFile {
    /// The file.
    pub bytes: Vec<u8>,
    /// Its media type.
    pub mimetype: &'static str,
    /// Hexadecimal hash of the content.
    pub etag: String,
}

/// A sound in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SoundInfo {
    /// Its name.
    pub name: String,
    /// Its URL.
    pub url: String,
    /// Whether it is built in.
    pub built_in: bool,
}

impl Notifications {
    /// The URL of a sound.
    #[must_use]
    pub fn sound_url(&self, name: &str) -> String {
        format!("{}/assets/sounds/{name}", self.public_url)
    }

    /// All available sounds.
    ///
    /// # Errors
    /// Currently never; an unreadable directory counts as empty.
    pub async fn sounds(&self) -> Result<Vec<SoundInfo>, ServiceError> {
        let info =
            |name: &str, built_in| SoundInfo { name: name.to_owned(), url: self.sound_url(name), built_in };
        let mut all: Vec<SoundInfo> = NAMES.iter().map(|name| info(name, true)).collect();
        let Some(dir) = &self.state.sounds_dir else { return Ok(all) };
        let dir = dir.clone();
        let own = tokio::task::spawn_blocking(move || library::own_names(&dir)).await.unwrap_or_default();
        all.extend(own.iter().map(|name| info(name, false)));
        Ok(all)
    }

    /// Reads a sound: first from the user's directory, with or without its extension, then from the built-in
    /// sounds.
    ///
    /// # Errors
    /// When there is no such sound.
    pub async fn sound(&self, name: &str) -> Result<SoundFile, ServiceError> {
        let (dir, name) = (self.state.sounds_dir.clone(), name.to_owned());
        let found = tokio::task::spawn_blocking(move || library::find(&name, dir.as_deref())).await;
        let Ok(Ok(library::Sound { bytes, media_type })) = found else {
            return Err(ServiceError::SoundNotFound);
        };
        let etag = hex::encode(Sha256::digest(&bytes)).chars().take(32).collect();
        Ok(SoundFile { bytes, mimetype: media_type, etag })
    }
}
