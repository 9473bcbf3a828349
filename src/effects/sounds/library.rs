//! Resolves sound names to files: custom ones first, then built-in ones. Clients can download the result, so
//! only sounds within the directory are returned; links out of it are ignored.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::{built_in, media_type};
use crate::domain::notify::{has_sound_ending, is_sound_name, sound_files};
use crate::effects::EffectError;

/// Limit in bytes of a sound file.
const MAX_BYTES: u64 = 10_000_000;
/// Number of bytes that identify the format.
const BEGINNING: u64 = 16;
/// Limits of listed files and of directory entries that are read.
const MAX_LISTED: usize = 200;
const MAX_SCANNED: usize = 2_000;

/// A complete sound file.
#[derive(Debug, Clone)]
pub struct Sound {
    /// The file's content.
    pub bytes: Vec<u8>,
    /// Media type, detected from the content.
    pub media_type: &'static str,
}

/// Finds a sound by name, with or without its extension. Skips custom files that are no sounds. Blocking.
///
/// # Errors
/// [`EffectError::BadSound`] when only invalid files match, [`EffectError::NoSound`] when nothing matches.
pub fn find(name: &str, dir: Option<&Path>) -> Result<Sound, EffectError> {
    let files = sound_files(name);
    let own = |file: &String| path_in(dir?, file);
    if let Some(sound) = files.iter().filter_map(own).find_map(|path| read(&path, MAX_BYTES)) {
        return Ok(sound);
    }
    if let Some((bytes, media_type)) = built_in(name) {
        return Ok(Sound { bytes: bytes.to_vec(), media_type });
    }
    let name = name.chars().take(64).collect();
    match files.iter().find_map(own) {
        Some(_) => Err(EffectError::BadSound(name)),
        None => Err(EffectError::NoSound(name)),
    }
}

/// Names of custom sounds, sorted, at most 200. Blocking.
#[must_use]
pub fn own_names(dir: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let names = entries.take(MAX_SCANNED).flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let named = names.filter(|name| is_sound_name(name) && has_sound_ending(name));
    let is_sound = |name: &String| path_in(dir, name).is_some_and(|path| read(&path, BEGINNING).is_some());
    let mut own: Vec<String> = named.filter(is_sound).take(MAX_LISTED).collect();
    own.sort();
    own
}

/// Path of a regular file inside the directory; `None` for all others.
fn path_in(dir: &Path, file: &str) -> Option<PathBuf> {
    let path = dir.join(file).canonicalize().ok()?;
    // Checked before opening, because opening a pipe can block forever.
    let is_there = path.starts_with(dir.canonicalize().ok()?) && path.metadata().ok()?.is_file();
    is_there.then_some(path)
}

/// Reads the first `most` bytes of a sound.
fn read(path: &Path, most: u64) -> Option<Sound> {
    let file = std::fs::File::open(path).ok()?;
    let about = file.metadata().ok()?;
    if !about.is_file() || about.len() > MAX_BYTES {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes).ok()?;
    let media_type = media_type(&bytes)?;
    Some(Sound { bytes, media_type })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_sound_overrides_built_in() {
        let dir = tempfile::tempdir().unwrap();
        let found = |name: &str| find(name, Some(dir.path()));
        assert!(found("message").unwrap().bytes.starts_with(b"RIFF"));
        std::fs::write(dir.path().join("message.ogg"), "OggS mine").unwrap();
        assert_eq!(found("message").unwrap().bytes, b"OggS mine");
        assert_eq!(found("message.ogg").unwrap().media_type, "audio/ogg");
        assert_eq!(own_names(dir.path()), ["message.ogg"]);
    }

    #[test]
    fn invalid_sound_file_is_skipped_or_named() {
        let dir = tempfile::tempdir().unwrap();
        for file in ["message.wav", "bell.wav"] {
            std::fs::write(dir.path().join(file), "no sound").unwrap();
        }
        assert!(find("message", Some(dir.path())).unwrap().bytes.starts_with(b"RIFF"));
        assert!(matches!(find("bell", Some(dir.path())), Err(EffectError::BadSound(_))));
        assert!(matches!(find("other", Some(dir.path())), Err(EffectError::NoSound(_))));
        assert!(own_names(dir.path()).is_empty());
    }

    #[cfg(unix)]
    #[test]
    fn sound_name_cannot_leave_directory() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("secret.wav"), "OggS").unwrap();
        let below = dir.path().join("sounds");
        std::fs::create_dir(&below).unwrap();
        std::os::unix::fs::symlink(dir.path().join("secret.wav"), below.join("link.wav")).unwrap();
        for name in ["../secret.wav", "../secret", "/etc/passwd", "..", "link", "link.wav"] {
            assert!(matches!(find(name, Some(&below)), Err(EffectError::NoSound(_))), "{name:?}");
        }
        assert!(own_names(&below).is_empty());
    }
}
