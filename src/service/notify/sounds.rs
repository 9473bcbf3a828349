//! Sounds as dashboards get them: those of the binary, and files of the user's directory.

use sha2::{Digest as _, Sha256};

use crate::effects::sounds::{NAMES, built_in};
use crate::service::{Core, ServiceError};

/// Bytes of the largest file that is given out: as large as may be played.
const MAX_BYTES: u64 = 10 * 1024 * 1024;
/// What may be in the user's directory, with its media type.
const TYPES: [(&str, &str); 4] =
    [("wav", "audio/wav"), ("ogg", "audio/ogg"), ("flac", "audio/flac"), ("mp3", "audio/mpeg")];
/// Files of the directory that are listed.
const MAX_LISTED: usize = 200;

/// A sound's file.
#[derive(Debug, Clone)]
pub struct SoundFile {
    /// The file.
    pub bytes: Vec<u8>,
    /// Its media type.
    pub mimetype: &'static str,
    /// Tells one content from another: hexadecimal.
    pub etag: String,
}

/// A sound in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SoundInfo {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// Whether it is in the binary.
    pub built_in: bool,
}

fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    !name.is_empty() && name.len() <= 64 && !name.starts_with('.') && name.chars().all(plain)
}

impl Core {
    /// Where dashboards find a sound.
    #[must_use]
    pub fn sound_url(&self, name: &str) -> String {
        format!("{}/assets/sounds/{name}", self.inner.public_url)
    }

    /// All sounds that rules may name.
    ///
    /// # Errors
    /// Never now; the directory that cannot be read has none.
    pub async fn sounds(&self) -> Result<Vec<SoundInfo>, ServiceError> {
        let info =
            |name: &str, built_in| SoundInfo { name: name.to_owned(), url: self.sound_url(name), built_in };
        let mut all: Vec<SoundInfo> = NAMES.iter().map(|name| info(name, true)).collect();
        let Some(dir) = &self.inner.notify.sounds_dir else { return Ok(all) };
        let Ok(mut entries) = tokio::fs::read_dir(dir).await else { return Ok(all) };
        let mut own = Vec::new();
        while let Ok(Some(entry)) = entries.next_entry().await {
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_sound = TYPES.iter().any(|(end, _)| name.ends_with(&format!(".{end}")));
            if is_sound && is_name(&name) && own.len() < MAX_LISTED {
                own.push(info(&name, false));
            }
        }
        own.sort_by(|a, b| a.name.cmp(&b.name));
        all.extend(own);
        Ok(all)
    }

    /// A sound's file: of the user's directory, with or without its ending, else of the binary.
    ///
    /// # Errors
    /// When there is none of this name.
    pub async fn sound(&self, name: &str) -> Result<SoundFile, ServiceError> {
        if !is_name(name) {
            return Err(ServiceError::SoundNotFound);
        }
        if let Some(found) = self.own_sound(name).await {
            return Ok(found);
        }
        let (bytes, mimetype) = built_in(name).ok_or(ServiceError::SoundNotFound)?;
        Ok(file(bytes.to_vec(), mimetype))
    }

    async fn own_sound(&self, name: &str) -> Option<SoundFile> {
        let dir = self.inner.notify.sounds_dir.as_ref()?;
        for (ending, mimetype) in TYPES {
            let whole = match name.rsplit_once('.') {
                Some((_, end)) if end == ending => name.to_owned(),
                _ => format!("{name}.{ending}"),
            };
            let path = dir.join(whole);
            let is_file =
                tokio::fs::metadata(&path).await.is_ok_and(|meta| meta.is_file() && meta.len() <= MAX_BYTES);
            if is_file && let Ok(bytes) = tokio::fs::read(&path).await {
                return Some(file(bytes, mimetype));
            }
        }
        None
    }
}

fn file(bytes: Vec<u8>, mimetype: &'static str) -> SoundFile {
    let etag = Sha256::digest(&bytes).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    SoundFile { bytes, mimetype, etag }
}
