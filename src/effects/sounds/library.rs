//! Which file a sound's name stands for: one of the user's directory, else one of the binary. Anybody may be given what
//! is found, so it is a sound by what is in it, and lies in that directory: no link leads out of it.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::{built_in, media_type};
use crate::domain::notify::{has_sound_ending, is_sound_name, sound_files};
use crate::effects::EffectError;

/// Bytes of the largest file that counts.
const MAX_BYTES: u64 = 10_000_000;
/// Bytes that tell a sound from what is none.
const BEGINNING: u64 = 16;
/// Files of the directory that are listed, and that are looked at for it.
const MAX_LISTED: usize = 200;
const MAX_LOOKED_AT: usize = 2_000;

/// A sound's file, read whole.
#[derive(Debug, Clone)]
pub struct Sound {
    /// What is in it.
    pub bytes: Vec<u8>,
    /// Its media type, by how it begins.
    pub media_type: &'static str,
}

/// The sound of a name, with or without its ending. A file of the user's that is no sound is passed over. Blocks while
/// it reads.
///
/// # Errors
/// [`EffectError::BadSound`] when there is nothing but such a file, [`EffectError::NoSound`] when there is nothing.
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

/// The names of the sounds of the user's directory, sorted: at most 200. Blocks while it reads.
#[must_use]
pub fn own_names(dir: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let names =
        entries.take(MAX_LOOKED_AT).flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let named = names.filter(|name| is_sound_name(name) && has_sound_ending(name));
    let is_sound = |name: &String| path_in(dir, name).is_some_and(|path| read(&path, BEGINNING).is_some());
    let mut own: Vec<String> = named.filter(is_sound).take(MAX_LISTED).collect();
    own.sort();
    own
}

/// Where a file of a directory is, if it is a file and lies in there.
fn path_in(dir: &Path, file: &str) -> Option<PathBuf> {
    let path = dir.join(file).canonicalize().ok()?;
    // Before it is opened: to open a pipe may take for ever.
    let is_there = path.starts_with(dir.canonicalize().ok()?) && path.metadata().ok()?.is_file();
    is_there.then_some(path)
}

/// The first bytes of a sound.
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
