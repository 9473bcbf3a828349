//! Sounds as dashboards get them: those of the binary, and files of the user's directory. Anybody can ask for them, so
//! what is given out is a sound by what is in it, and lies in that directory: no link leads out of it.

use std::io::Read as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::effects::sounds::{NAMES, built_in, media_type};
use crate::service::{Core, ServiceError};

/// Bytes of the largest file that is given out: as large as may be played.
const MAX_BYTES: u64 = 10 * 1024 * 1024;
/// How sounds in the user's directory are called, in the order in which a bare name is looked for.
const ENDINGS: [&str; 4] = ["wav", "ogg", "flac", "mp3"];
/// Bytes that tell a sound from what is none.
const BEGINNING: u64 = 16;
/// Files of the directory that are listed, and that are looked at for it.
const MAX_LISTED: usize = 200;
const MAX_LOOKED_AT: usize = 2_000;

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
        let dir = dir.clone();
        let own = tokio::task::spawn_blocking(move || own_names(&dir)).await.unwrap_or_default();
        all.extend(own.iter().map(|name| info(name, false)));
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
        let (dir, name) = (self.inner.notify.sounds_dir.clone()?, name.to_owned());
        tokio::task::spawn_blocking(move || own_file(&dir, &name)).await.ok().flatten()
    }
}

fn has_ending(name: &str) -> bool {
    ENDINGS.iter().any(|ending| name.rsplit_once('.').is_some_and(|(_, own)| own == *ending))
}

fn own_names(dir: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let names =
        entries.take(MAX_LOOKED_AT).flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let named = names.filter(|name| is_name(name) && has_ending(name));
    let mut own: Vec<String> =
        named.filter(|name| read(dir, name, BEGINNING).is_some()).take(MAX_LISTED).collect();
    own.sort();
    own
}

fn own_file(dir: &Path, name: &str) -> Option<SoundFile> {
    let bare = ENDINGS.iter().map(|ending| format!("{name}.{ending}"));
    let whole = has_ending(name).then(|| name.to_owned());
    let (bytes, mimetype) = whole.into_iter().chain(bare).find_map(|name| read(dir, &name, MAX_BYTES))?;
    Some(file(bytes, mimetype))
}

/// The first bytes of a sound of a directory, with its media type.
fn read(dir: &Path, name: &str, most: u64) -> Option<(Vec<u8>, &'static str)> {
    let path = dir.join(name).canonicalize().ok()?;
    // Before it is opened: to open a pipe may take for ever.
    if !path.starts_with(dir.canonicalize().ok()?) || !path.metadata().ok()?.is_file() {
        return None;
    }
    let file = std::fs::File::open(path).ok()?;
    let about = file.metadata().ok()?;
    if !about.is_file() || about.len() > MAX_BYTES {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes).ok()?;
    let mimetype = media_type(&bytes)?;
    Some((bytes, mimetype))
}

fn file(bytes: Vec<u8>, mimetype: &'static str) -> SoundFile {
    let etag = hex::encode(Sha256::digest(&bytes)).chars().take(32).collect();
    SoundFile { bytes, mimetype, etag }
}
